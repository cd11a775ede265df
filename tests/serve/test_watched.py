import os
from pathlib import Path

import pytest
from inotify_simple import INotify, flags

from indimail.serve.watched import WatchedHomes


def test_of_many_users_only_those_are_told_whose_homes_changed(tmp_path: Path) -> None:
    watched = WatchedHomes()
    queues = []
    for uid in (1001, 1002, 1003):
        home = tmp_path / str(uid)
        home.mkdir()
        queue = INotify()
        queue.add_watch(str(home), flags.CREATE)
        queues.append(queue)
        assert watched.take(uid, os.dup(queue.fileno()))
    watched.changed()
    for uid in (1001, 1003):
        (tmp_path / str(uid) / ".qmail").touch()
    assert watched.changed() == {1001, 1003}
    assert watched.changed() == frozenset()
    watched.drop(1002)
    assert watched.changed() == {1002}
    for queue in queues:
        queue.close()
    for uid in (1001, 1003):
        watched.drop(uid)


def test_a_file_that_is_no_queue_of_events_is_closed_unread() -> None:
    watched = WatchedHomes()
    read, write = os.pipe()
    assert not watched.take(1001, read)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)
    os.close(write)
