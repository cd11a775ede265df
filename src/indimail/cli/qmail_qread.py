"""`qmail-qread`: list the mails in the queues, while the server runs and while it does not.

    qmail-qread              23 Nov 2026 10:00:00 GMT  queue1/#1838568448000000001  612  <eve@example.net>
                             \\tlocal\\texample.com-alice@example.com
    qmail-qread -c           the same, and totals by channel; -s -c: totals alone
    qmail-qread -r           only mails with a remote recipient, and only those recipients

A recipient that had its final outcome has ``  done`` in front.  Where IndiMail writes the number of a
split directory stands the queue's name.  Octets outside printable ASCII are shown as ``_``.
Exit 0, 66 where there is no instance, 74 or 77 where a queue cannot be read.

Source: spec/queue.md 5.1.  Not here: changing the queue.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from indimail.app.instance import DEFAULT_ROOT, find_root, missing, open_instance

if TYPE_CHECKING:
    from indimail.manage.outcomes import Queues
    from indimail.queue.port import MessageStatus, RecipientStatus

_SHOWN: Final = bytes(octet if 0x20 < octet < 0x7F else 0x5F for octet in range(256))
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-a", dest="all", action="store_true", help="local and remote (the default)"
    )
    parser.add_argument("-l", dest="local", action="store_true", help="local recipients")
    parser.add_argument("-r", dest="remote", action="store_true", help="remote recipients")
    parser.add_argument("-t", dest="todo", action="store_true",
                        help="mail that is not routed yet: there is never any")  # fmt: skip
    parser.add_argument("-c", dest="counts", action="store_true", help="totals after the list")
    parser.add_argument("-s", dest="silent", action="store_true", help="no list")
    add_common(parser)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Declare what qmail-qread and qmail-qstat share."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--root", metavar="DIR", help=f"the instance (INDIMAIL_ROOT, {DEFAULT_ROOT})"
    )


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    return with_queues("qmail-qread", args.root, lambda queues: _run(args, queues))


def with_queues(program: str, root: str | None, work: "Callable[[Queues], None]") -> int:
    """Open all queues, do the work, and say what went wrong."""
    from indimail.mail.errors import MailError  # noqa: PLC0415
    from indimail.manage.outcomes import Queues  # noqa: PLC0415

    found = find_root(root, os.environ)
    if nothing := missing(found):
        print(f"{program}: {nothing}", file=sys.stderr)
        return os.EX_NOINPUT
    instance = open_instance(found, os.environ)
    try:
        queues = Queues.open(instance.queue_base, instance.queuedir)
        try:
            work(queues)
        finally:
            queues.close()
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"{program}: {error.filename}: {error.strerror}", file=sys.stderr)
        return os.EX_NOPERM if isinstance(error, PermissionError) else os.EX_IOERR
    except MailError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return os.EX_IOERR
    return os.EX_OK


def _run(args: argparse.Namespace, queues: "Queues") -> None:
    wanted = {"local"} if args.local else set()
    wanted |= {"remote"} if args.remote else set()
    if args.all or not (wanted or args.todo):
        wanted = {"local", "remote"}
    if args.json:
        messages = [_as_json(*found) for found in queues.status() if _chosen(found[1], wanted)]
        print(json.dumps(messages, indent=1))
        return
    if not args.silent:
        for queue, status in queues.status():
            if _chosen(status, wanted):
                print("\n".join(_lines(queue, status, wanted)))
    if args.counts or args.silent:
        local = remote = 0
        for _, counts in queues.counts():
            local, remote = local + counts.local, remote + counts.remote
        print(f"Messages in local  queue: {local}")
        print(f"Messages in remote queue: {remote}")
        print("Messages in bounce queue: 0")
        print("Messages in todo   queue: 0")


def _chosen(status: "MessageStatus", wanted: set[str]) -> "list[RecipientStatus]":
    return [r for r in status.recipients if r.recipient.channel.value in wanted]


def _lines(queue: str, status: "MessageStatus", wanted: set[str]) -> Iterator[str]:
    message = status.message
    sender = _safe(message.reverse_path)
    yield f"{_date(message.born)}  {queue}/#{message.id}  {message.size}  <{sender}> "
    for found in _chosen(status, wanted):
        recipient = found.recipient
        done = "" if found.state == "waiting" else "  done"
        shown = recipient.target if recipient.channel.value == "local" else recipient.address
        yield f"{done}\t{recipient.channel.value}\t{_safe(shown)}"


def _safe(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").translate(_SHOWN).decode("ascii")


def _date(when: float) -> str:
    t = time.gmtime(when)
    day = f"{t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year}"
    return f"{day} {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"


def _as_json(queue: str, status: "MessageStatus") -> dict[str, object]:
    message = status.message
    return {
        "id": str(message.id),
        "queue": queue,
        "time": message.born,
        "size": message.size,
        "sender": message.reverse_path,
        "recipients": [
            {
                "address": r.recipient.address,
                "channel": r.recipient.channel.value,
                "target": r.recipient.target,
                "state": r.state.value,
                "attempts": r.recipient.attempts,
                "next_try": r.recipient.due,
                "text": r.text,
                "rule": r.rule,
            }
            for r in status.recipients
        ],
    }
