"""A queue opens whole, or nothing of it stays open."""

from pathlib import Path

import apsw
import pytest

from indimail.app.queues import open_queue
from indimail.durable.disk import SystemDisk
from indimail.mail.errors import QueueUnwritable
from indimail.queue.sqlite import SqliteQueue, SqliteReader


def broken(*_: object) -> None:
    raise QueueUnwritable("disk I/O error")


@pytest.mark.parametrize("part", [(SqliteQueue, "reserve_log"), (SqliteReader, "open")])
def test_where_a_part_does_not_open_none_stays_open(
    part: tuple[type, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteQueue, "reserve_log", lambda _: None)  # 34 MB
    monkeypatch.setattr(*part, broken)
    with pytest.raises(QueueUnwritable) as failure:
        open_queue(SystemDisk(), str(tmp_path), lambda: 0)
    assert failure.traceback  # holds the frames, and by them what was opened in them
    assert not [db for db in apsw.connections() if db.filename.startswith(str(tmp_path))]
