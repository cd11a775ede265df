"""`sendmail -bs`: an SMTP conversation on standard input and output, whose mails go into the queue.

    serve_stdio(instance, 0, 1)

Whoever may start it may send, as with `sendmail`: every sender and recipient is taken, and what the
server's limits are to programs of this machine is said at the end of the message.  STARTTLS is not
offered, and a message gets no field but Received.

Commit point: 250 at the end of a message is said after the queue has it.

Source: spec/queue.md 6.2.  Not here: the conversation (`smtp.session`).
"""

import os
import time
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Final

from indimail.app.instance import Instance
from indimail.cli.handover import NotText, give
from indimail.cli.injection import Controls
from indimail.mail.dates import header_date
from indimail.mail.envelope import ForwardPath, ReversePath
from indimail.mail.reply import Reply
from indimail.queue.submission import Submission
from indimail.smtp.event import (
    Event,
    MessageChunk,
    MessageEnded,
    MessageOffered,
    RecipientOffered,
    SenderOffered,
)
from indimail.smtp.replies import text_reply
from indimail.smtp.rules import SessionRules
from indimail.smtp.session import SmtpSession

PIECE: Final = 262_144


def serve_stdio(instance: Instance, source: int, target: int) -> None:
    """Converse until QUIT, or until the client sends no more."""
    name = Controls(instance.control_dir, os.environ).me()
    session = SmtpSession(SessionRules((name,)))
    session.date = header_date(time.time())
    desk = _Desk(instance)
    while True:
        while event := session.next_event():
            session.answer(desk.answer(event))
        _write(target, session.data_to_send())
        if session.closed:
            return
        if data := os.read(source, PIECE):
            session.receive(data)
        else:
            session.receive_eof()


def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


class _Desk:
    """Answers the session's questions; keeps a transaction."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._sender: ReversePath | None = None
        self._recipients: list[ForwardPath] = []
        self._body: IO[bytes] | None = None

    def answer(self, event: Event) -> Reply | None:
        """Return None to take what is offered."""
        match event:
            case SenderOffered(reverse_path):
                self._sender = reverse_path
                self._recipients = []
            case RecipientOffered(forward_path):
                self._recipients.append(forward_path)
            case MessageOffered():
                self._body = TemporaryFile()  # noqa: SIM115 - until the message's end
            case MessageChunk(data) if self._body is not None:
                self._body.write(data)
            case MessageEnded() if self._body is not None and self._sender is not None:
                return self._queued(self._sender, self._body)
            case _:
                pass
        return None

    def _queued(self, sender: ReversePath, body: IO[bytes]) -> Reply:
        submission = Submission(
            str(sender.address),
            tuple(str(path.address) for path in self._recipients),
            sender.body == "8BITMIME",
            sender.smtputf8,
            ret=sender.ret,
            envid=sender.envid,
            notify=tuple(path.notify for path in self._recipients),
            orcpt=tuple(path.orcpt for path in self._recipients),
        )
        try:
            with body:
                receipt = give(self._instance, submission, _pieces(body))
        except NotText as error:
            return text_reply(553, f"{error} (#5.1.3)")
        if receipt.code == 0:
            return Reply(250, "2.0.0", f"ok {int(time.time())} qp {receipt.id}")
        return text_reply(554 if receipt.is_permanent else 451, receipt.reason)


def _pieces(body: IO[bytes]) -> Iterator[bytes]:
    body.seek(0)
    while piece := body.read(PIECE):
        yield piece
