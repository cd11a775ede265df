"""What `indimail deliver --dry-run` does: see `cli.deliver`."""

import argparse
import json
import os
import sys
from typing import Final

from indimail.app.configuration import load
from indimail.app.instance import find_root, open_instance
from indimail.app.reading import Overrides
from indimail.cli.other_user import MailboxesAs, is_root, look_as
from indimail.cli.site import Failed, attempt, opened
from indimail.delivery.headers import printable
from indimail.mail.address import Address
from indimail.mail.errors import ConfigErrors
from indimail.mail.outcome import Deferred
from indimail.mail.outcome import Failed as MailFailed
from indimail.mail.verdict import Accept
from indimail.manage.site import Site
from indimail.serve.foresight import Foresight, Place
from indimail.serve.home import look
from indimail.serve.locks import Mailboxes, ReadLocks, StillMailboxes
from indimail.serve.rehearsal import Letter, Rehearsal, rehearse

PROGRAM: Final = "indimail deliver"
BOUNCED: Final = 100
DEFERRED: Final = 111
HEADER_SEEN: Final = 65_536
PIECE: Final = 262_144


def tell(args: argparse.Namespace) -> int:
    """Rehearse the delivery, print it, and return its exit code."""
    ends: list[int] = []
    return attempt(PROGRAM, lambda: ends.append(_run(args))) or ends[0]


def _run(args: argparse.Namespace) -> int:
    if not args.dry_run:
        raise Failed("only with --dry-run: mail is delivered by the server", os.EX_USAGE)
    letter = _letter(args)
    rehearsal = _rehearse(args, letter)
    if args.json:
        print(json.dumps(_as_json(letter, rehearsal), indent=1))
    else:
        _print(letter, rehearsal)
    match rehearsal.end:
        case MailFailed():
            return BOUNCED
        case Deferred():
            return DEFERRED
        case _:
            return os.EX_OK


def _letter(args: argparse.Namespace) -> Letter:
    recipient = Address.parse(args.address)
    if not recipient:
        raise Failed("an empty address gets no mail", os.EX_USAGE)
    header, size = b"", 0
    while not sys.stdin.isatty() and (piece := sys.stdin.buffer.read(PIECE)):
        piece = piece.replace(b"\r\n", b"\n")
        header += piece[: HEADER_SEEN - len(header)]
        size += len(piece)
    return Letter(recipient, Address.parse(args.sender), header, size)


def _rehearse(args: argparse.Namespace, letter: Letter) -> Rehearsal:
    with opened(PROGRAM, args) as command:
        instance = open_instance(find_root(args.root, os.environ), os.environ)
        try:
            snapshot = load(instance, os.environ, Overrides())
        except ConfigErrors as errors:
            raise Failed(str(errors), os.EX_CONFIG) from errors
        site = command.site
        own = StillMailboxes(command.disk, snapshot.quota)

        def mailboxes(uid: int, gid: int) -> Mailboxes:
            return MailboxesAs(uid, gid, own) if _is_other(site, uid) else own

        foresight = Foresight(
            command.accounts, lambda: snapshot, lambda: 0.0, command.disk, _Unwatched(),
            Place(instance.root, instance.alias, site.uid, site.gid),
            lambda entry: look_as(entry.uid, entry.gid) if _is_other(site, entry.uid) else look,
            ReadLocks(command.accounts, mailboxes),
        )  # fmt: skip
        return rehearse(letter, foresight, snapshot, command.disk, mailboxes)


def _is_other(site: Site, uid: int) -> bool:
    """Tell whether to look as this user: where root asks, and nothing is delivered as root."""
    return uid not in (0, site.uid) and is_root()


class _Unwatched:
    """Folders that are looked at once."""

    def add(self, folder: str) -> bool:  # noqa: ARG002
        return True

    def news(self) -> tuple[bool, tuple[int, ...]]:
        return False, ()


def _told(rehearsal: Rehearsal) -> tuple[str, str]:
    """Return how RCPT is answered, and why."""
    rcpt = rehearsal.rcpt
    if isinstance(rcpt, Accept):
        return "accepted", rcpt.reason
    return str(rcpt.reply).strip(), rcpt.reason


def _end(rehearsal: Rehearsal) -> tuple[str, str]:
    if rehearsal.end is None:
        return "queued", f"for {rehearsal.route.target}"
    return type(rehearsal.end).__name__.lower(), rehearsal.end.text


def _print(letter: Letter, rehearsal: Rehearsal) -> None:
    def line(word: str, text: str, *details: str) -> None:
        print(f"  {word:8} {printable(text)}")
        for detail in details:
            print(f"           {printable(detail)}")

    print(f"to <{printable(str(letter.recipient))}> from <{printable(str(letter.sender))}>,"
          f" {letter.size} octets")  # fmt: skip
    line("RCPT", ": ".join(_told(rehearsal)), f"rule {rehearsal.rcpt.rule}")
    way = rehearsal.route
    line("route", f"{way.channel.value}, {way.target}", f"rule {way.rule}")
    for step in rehearsal.steps:
        quota = [f"quota {step.quota}"] if step.quota else []
        line(step.step, step.text, *([f"rule {step.rule}"] if step.rule.file else []), *quota)
    line("end", ": ".join(_end(rehearsal)))


def _as_json(letter: Letter, rehearsal: Rehearsal) -> dict[str, object]:
    """Return all of it with the keys that `--json` promises."""
    answer, reason = _told(rehearsal)
    end, text = _end(rehearsal)
    way = rehearsal.route
    return {
        "recipient": str(letter.recipient),
        "sender": str(letter.sender),
        "size": letter.size,
        "rcpt": {"answer": answer, "reason": reason, "rule": str(rehearsal.rcpt.rule)},
        "route": {"channel": way.channel.value, "target": way.target, "rule": str(way.rule)},
        "steps": [
            {
                "step": step.step,
                "text": step.text,
                "rule": str(step.rule),
                "file": step.rule.file,
                "line": step.rule.line,
                "quota": step.quota,
            }
            for step in rehearsal.steps
        ],
        "end": end,
        "text": text,
    }
