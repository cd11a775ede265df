"""A server goes on while a backup is made: whenever that is, no mail is missing."""

import os
import shutil
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal
from cli.backups.kit import LARGE, ROOT, SMALL, SPOOLED
from indimail.cli.progress import Progress
from indimail.mail.channel import Channel
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Delivered
from indimail.mail.verdict import Rule
from indimail.queue.port import Accepted, Finished, QueuedMessage, QueuedRecipient, Traced
from indimail.queue.sqlite import SqliteQueue, SqliteReader

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`


def go_on(root: str) -> None:
    """Do at once what a server does: adopt what is spooled, deliver what is queued."""
    directory, new = (
        Path(root, "queue/queue1"),
        Path(root, "mail/A2E/example.com/alice/Maildir/new"),
    )
    spooled = Path(root, "queue/spool", SPOOLED)
    queue = SqliteQueue.open(str(directory / "queue.db"))
    if spooled.exists():
        adopted = QueuedMessage(
            QueueId(1003), 1.0, "eve@example.net", 5, b"spooled", source=SPOOLED
        )
        recipient = QueuedRecipient(0, "bob@example.com", Channel.LOCAL, "example.com-bob@x")
        queue.apply([Accepted(adopted, (recipient,))])
        spooled.unlink()
    for queue_id, text in ((LARGE, "large"), (SMALL, "small")):
        if not (new / f"3.Q{queue_id}").exists():
            (new / f"3.Q{queue_id}").write_text(text)
            done = Finished(queue_id, 0, Delivered("done", Rule("x")), 2.0)
            queue.apply([done, Traced(((queue_id, 0),))])
            (directory / "mess" / str(queue_id)).unlink(missing_ok=True)
    queue.close()
    if ROOT:
        shutil.chown(new / f"3.Q{SMALL}", os.stat(root).st_uid)
        shutil.chown(new / f"3.Q{LARGE}", os.stat(root).st_uid)


def mails(root: str) -> set[str]:
    """Return what a server of this instance has delivered, or will."""
    reader = SqliteReader.open(f"{root}/queue/queue1/queue.db")
    found = {status.message.id for status in reader.status()}
    for queue_id in found:
        status = reader.message(queue_id)
        assert status is not None
        if status.message.body is None:
            assert Path(root, "queue/queue1/mess", str(queue_id)).read_text() == "large"
    reader.close()
    new = os.listdir(f"{root}/mail/A2E/example.com/alice/Maildir/new")
    spooled = {SPOOLED} & set(os.listdir(f"{root}/queue/spool"))
    names = {LARGE: "large", SMALL: "small", QueueId(1003): "spooled"}
    delivered = {name for queue_id, name in names.items() if f"3.Q{queue_id}" in new}
    return {names[queue_id] for queue_id in found} | delivered | ({"spooled"} if spooled else set())


@pytest.mark.parametrize("number", range(1, 15))
def test_no_mail_is_missing_whenever_the_server_goes_on(
    full: Terminal, new: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    words = []

    def tell(_self: Progress, what: str) -> None:
        words.append(what)
        if len(words) == number:
            go_on(full.root)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tell", tell)
        assert full("backup", "--mail", kept).code == 0
    assert new("restore", kept).code == 0
    assert mails(new.root) == {"large", "small", "spooled"}
    assert words[-1] == "writing everything to the disk"
    assert 10 < len(words) < 15
