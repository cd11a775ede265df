"""`indimail explain`: the story of a mail, from the trace.

    indimail explain 1838568448000000001
    indimail explain --to alice@example.com --since 1h --json

The ID may be pasted as a reply has it (``250 2.0.0 ok 1795477000 qp 1838...``, ``[id 1838...]``).
Exit 0, 1 where nothing matches, 64 for a wrong use, 74 or 77 where the trace cannot be read.
Times without a zone are UTC.  Not here: searching (`trace.find`), the words (`trace.story`).
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from indimail.app.instance import DEFAULT_ROOT, Instance, find_root, open_instance
from indimail.mail.errors import MailError
from indimail.mail.events import Record
from indimail.trace.find import LateOutcomes, Query, Story, find
from indimail.trace.story import Sentence, Tone, render, tell

PROGRAM: Final = "indimail explain"
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# 63-bit numbers of this century have 16 digits or more; the time beside them in a reply has 10.
_PASTED_ID: Final = re.compile(r"(?<!\d)\d{16,19}(?!\d)")
_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])\Z")
_COLOURS: Final = {Tone.HEADING: "1", Tone.GOOD: "32", Tone.LATER: "33", Tone.BAD: "31"}


class _WrongUse(Exception):
    """Exit 64; the text says what is wrong."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "id", nargs="*", metavar="ID", help="the id of a reply, refusal or log line"
    )
    parser.add_argument("--message-id", metavar="X", help="the Message-ID of the header")
    parser.add_argument("--to", metavar="A", help="an envelope recipient; @DOMAIN for all of one")
    parser.add_argument(
        "--from", dest="sender", metavar="A", help="the envelope sender; <> for a bounce"
    )
    parser.add_argument(
        "--since", metavar="T", help="an age (90s 30m 1h 2d 1w) or 2026-11-24T10:00"
    )
    parser.add_argument("--until", metavar="T", help="as --since")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="newest N (20; 0: all)")
    parser.add_argument("--json", action="store_true", help="print a list of records")
    parser.add_argument(
        "--root", metavar="DIR", help=f"the instance (INDIMAIL_ROOT, {DEFAULT_ROOT})"
    )


def run(args: argparse.Namespace, late: LateOutcomes | None = None) -> int:
    """Print the stories; `late` are the outcomes that so far only the queues hold."""
    root = find_root(args.root, os.environ)
    try:
        query = _query(args, time.time())
        stories = _found(Instance(root).trace, query, late or _queues(root))
    except _WrongUse as error:
        return _failed(str(error), os.EX_USAGE)
    except OSError as error:
        code = os.EX_NOPERM if isinstance(error, PermissionError) else os.EX_IOERR
        return _failed(f"{error.filename}: {error.strerror}", code)
    if not stories:
        return _failed(f"{_subject(args)}: nothing in the trace of {root}", 1)
    if args.json:
        _print_json(stories)
    else:
        _print_stories(stories, sys.stdout.isatty())
    return os.EX_OK


def _queues(root: str) -> LateOutcomes | None:
    """Return the queues, or None where they cannot be read: then the trace alone tells."""
    from indimail.manage.outcomes import Queues  # noqa: PLC0415

    instance = open_instance(root, os.environ)
    try:
        return Queues.open(instance.queue_base, instance.queuedir)
    except (MailError, OSError) as error:
        _warn_without(error)
        return None


def _warn_without(error: Exception) -> None:
    """Say that a queue cannot be read: the trace alone tells then."""
    print(f"{PROGRAM}: without the queues: {error}", file=sys.stderr)


def _query(args: argparse.Namespace, now: float) -> Query:
    criteria = (args.message_id, args.to, args.sender, args.since, args.until)
    is_search = any(value is not None for value in criteria)
    if bool(args.id) == is_search:
        raise _WrongUse("usage: give an ID, or some of --message-id --to --from --since --until")
    if args.limit < 0:
        raise _WrongUse(f"--limit: {args.limit} is negative")
    if args.id:
        return Query(id=_parse_id(" ".join(args.id)))
    return Query(
        message_id=args.message_id,
        recipient=_bare(args.to),
        sender=_bare(args.sender),
        since=0.0 if args.since is None else _parse_time("--since", args.since, now),
        until=float("inf") if args.until is None else _parse_time("--until", args.until, now),
        limit=args.limit,
    )


def _found(directory: str, query: Query, late: LateOutcomes | None) -> list[Story]:
    """Find, and say where the limit left something out."""
    limit = query.limit
    query = replace(query, limit=limit + 1 if limit else 0)
    try:
        stories = find(directory, query, late=late)
    except MailError as error:
        _warn_without(error)
        stories = find(directory, query)
    if limit and len(stories) > limit:
        print(f"{PROGRAM}: the newest {limit}; more with --limit", file=sys.stderr)
        return stories[:limit]
    return stories


def _parse_id(text: str) -> int:
    found = [text] if text.isdecimal() else _PASTED_ID.findall(text)
    if len(found) != 1:
        raise _WrongUse(f"{text}: is not an id")
    return int(found[0])


def _parse_time(option: str, text: str, now: float) -> float:
    if age := _AGE.match(text):
        return now - float(age[1]) * SECONDS[age[2]]
    from datetime import UTC, datetime  # noqa: PLC0415 - seldom used

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _WrongUse(f"{option}: {text}: expected 90s 30m 1h 2d 1w or a date") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _bare(address: str | None) -> str | None:
    """Return an address without the brackets it is often pasted with."""
    if address is not None and address.startswith("<") and address.endswith(">"):
        return address[1:-1]
    return address


def _subject(args: argparse.Namespace) -> str:
    given = (*args.id, args.message_id, args.to, args.sender, args.since, args.until)
    return " ".join(value for value in given if value is not None)


def _print_json(stories: Iterable[Story]) -> None:
    lines = [json.dumps(as_json(record)) for story in stories for record in story.records]
    print("[" + ",\n ".join(lines) + "]")


def as_json(record: Record) -> dict[str, object]:
    """Return a record with the keys that `--json` promises."""
    return {
        "id": str(record.id),
        "time": record.time,
        "event": str(record.event),
        "verdict": record.verdict,
        "rule": str(record.rule),
        "file": record.rule.file,
        "line": record.rule.line,
        "reply": record.reply,
        "text": record.text,
        "facts": dict(record.facts),
    }


def _print_stories(stories: Iterable[Story], has_colours: bool) -> None:
    for number, story in enumerate(stories):
        if number:
            print()
        for sentence in tell(story):
            print(_coloured(sentence) if has_colours else render(sentence))


def _coloured(sentence: Sentence) -> str:
    colour = _COLOURS.get(sentence.tone)
    return f"\x1b[{colour}m{render(sentence)}\x1b[0m" if colour else render(sentence)


def _failed(reason: str, code: int) -> int:
    print(f"{PROGRAM}: {reason}", file=sys.stderr)
    return code
