"""A program's message into the queue: over the server's socket, or into the spool directory.

    receipt = hand_over(instance, sender, recipients, pieces)
    receipt.code, receipt.id, receipt.reason         # 0: it is durable

Where a server runs, its owner of a queue answers after its commit; where none runs the message stays
in ``queue/spool`` until one starts.  Every program that gives mail to the queue goes this way.

Raises `NotText` for an address that no envelope can hold.
Not here: the frames (`queue.submission`), what an exit code is for each program.
"""

import os
from collections.abc import Iterable
from dataclasses import replace

from indimail.app.instance import Instance
from indimail.durable.disk import SystemDisk
from indimail.queue.submission import (
    NobodyListens,
    Receipt,
    Submission,
    spool_submission,
    submit,
)


class NotText(ValueError):
    """An address with control characters, or with octets that are no UTF-8."""


def hand_over(
    instance: Instance, sender: str, recipients: Iterable[str], body: Iterable[bytes],
    *, forwarded: bool = False,
) -> Receipt:  # fmt: skip
    """Queue a message; `body` is read once.  `forwarded`: a delivery sends on what it got."""
    submission = Submission(sender, tuple(recipients), forwarded=forwarded and bool(sender))
    return give(instance, submission, body)


def give(instance: Instance, submission: Submission, body: Iterable[bytes]) -> Receipt:
    """Queue a message whose envelope says more than who sends it to whom."""
    submission = replace(submission, queue=instance.queuedir)
    for address in (submission.reverse_path, *submission.recipients):
        if not is_text(address):
            raise NotText(f"{address!a}: not an address")
    try:
        return submit(os.path.join(instance.run, "inject.sock"), submission, body)
    except NobodyListens:
        umask = os.umask(0o022)  # the server has to read it; only it can find it
        try:
            return spool_submission(SystemDisk(), instance.spool, submission, body)
        finally:
            os.umask(umask)


def is_text(address: str) -> bool:
    """Tell whether a header, a row and a log line can hold the address."""
    return not any(
        c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in address
    )  # the last: what was no UTF-8
