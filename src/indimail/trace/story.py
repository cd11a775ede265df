"""A mail's story in plain words: what happened, why, and which line of which file decided.

    for sentence in tell(story):
        print(render(sentence))

The first sentence is the mail's heading. With several recipients, what happened to each follows the
conversation as a group of its own; else all is in time order. Facts that are told: ``ip name
listener`` (connect), ``sender recipient size message_id helo auth_user tls instruction offered``
(decisions; or the ``argument`` of a command that was refused unread), ``login mechanism`` (auth),
``target`` (route), ``attempt next_try age lifetime owed`` (deliveries; what the sender is to be
told), ``hop tls tls_rule verified auth_user auth_rule source reused`` (those to another host),
``report told`` (bounces and other reports: of whom). What a peer sent is shown without its control
characters. Times are UTC.

Not here: finding the records (`trace.find`), colours (`cli.explain`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from indimail.mail.events import Event, Record
from indimail.mail.reply import printable
from indimail.mail.verdict import NO_RULE
from indimail.trace.find import Story

INDENT: Final = " " * 16  # the width of a time and the blanks around it


class Tone(Enum):
    """How a sentence is meant, for who has colours."""

    HEADING = auto()
    PLAIN = auto()
    GOOD = auto()
    LATER = auto()
    BAD = auto()


@dataclass(frozen=True, slots=True)
class Sentence:
    """One event: its time (None for a heading), what happened, then rule and reply."""

    time: float | None
    tone: Tone
    text: str
    details: tuple[str, ...] = ()


_PER_RECIPIENT: Final = frozenset(
    {Event.ROUTE, Event.ATTEMPT, Event.STEP, Event.DELIVERY, Event.OUTCOME}
)
_TONES: Final = {
    "refuse": Tone.BAD,
    "failed": Tone.BAD,
    "removed": Tone.BAD,
    "later": Tone.LATER,
    "deferred": Tone.LATER,
    "delivered": Tone.GOOD,
    "accept": Tone.GOOD,
}
_PAST: Final = {"accept": "accepted", "refuse": "refused", "later": "put off"}


def tell(story: Story) -> Iterator[Sentence]:
    """Walk the sentences of a story."""
    yield Sentence(None, Tone.HEADING, _heading(story))
    groups: dict[str, list[Record]] = {}
    for record in story.records:
        if record.event in _PER_RECIPIENT:
            groups.setdefault(_fact(record, "recipient"), []).append(record)
    if len(groups) < 2:
        yield from map(_sentence, story.records)
        return
    yield from (_sentence(r) for r in story.records if r.event not in _PER_RECIPIENT)
    for recipient, records in groups.items():
        yield Sentence(None, Tone.PLAIN, f"to <{recipient}>")
        yield from map(_sentence, records)


def render(sentence: Sentence) -> str:
    """Return a sentence as lines for a terminal, without colours."""
    if sentence.time is None:
        blanks = "" if sentence.tone is Tone.HEADING else "  "
        return f"{blanks}{sentence.text}"
    first = f"  {_clock(sentence.time)}  {sentence.text}"
    return "\n".join([first, *(INDENT + detail for detail in sentence.details)])


def _heading(story: Story) -> str:
    records = story.records
    began = datetime.fromtimestamp(records[0].time, UTC)
    heading = f"{story.id}  {began:%Y-%m-%d %H:%M:%S} UTC"
    message = next((r for r in records if "sender" in r.facts), None)
    sender = f"  from <{_fact(message, 'sender')}>" if message else ""
    return f"{heading}{sender}  {_summary(records)}"


def _summary(records: Iterable[Record]) -> str:
    """Count what became of the recipients, the accepted message's and the refused ones."""
    latest: dict[str, str] = {}
    accepted = False
    for record in records:
        match record.event, record.verdict:
            case Event.MESSAGE, verdict:
                accepted = accepted or verdict == "accept"
            case Event.ROUTE, _:
                latest.setdefault(_path(record, "recipient"), "queued")
            case ((Event.DELIVERY | Event.OUTCOME), verdict):
                latest[_path(record, "recipient")] = verdict
            case Event.RECIPIENT, ("refuse" | "later") as verdict:
                latest[_path(record, "recipient")] = _PAST[verdict]
            case _:
                pass
    found = list(latest.values())
    counted = [f"{found.count(word)} {word}" for word in dict.fromkeys(found)]
    return ", ".join(counted) or ("accepted" if accepted else "no message")


def _sentence(record: Record) -> Sentence:
    first, *more = record.text.split("\n")
    text = f"{_what(record)}: {printable(first)}" if first else _what(record)
    details = [printable(line) for line in more if line]
    if record.rule != NO_RULE:
        details.append(f"rule {printable(str(record.rule))}")
    if record.reply:
        details.append(f"reply {printable(record.reply)}")
    tone = _TONES.get(record.verdict, Tone.PLAIN)
    return Sentence(record.time, tone, text, tuple(details))


def _what(record: Record) -> str:
    past = _PAST.get(record.verdict, record.verdict)
    match record.event:
        case Event.CONNECT:
            return f"connection from {_client(record)} {past}"
        case Event.AUTH:
            return f"login {past}{_login(record)}"
        case Event.SENDER:
            return f"sender {_path(record, 'sender')} {past}{_circumstances(record)}"
        case Event.RECIPIENT:
            return f"recipient {_path(record, 'recipient')} {past}{_circumstances(record)}"
        case Event.MESSAGE:
            return f"message {past}{_message(record)}"
        case Event.ROUTE:
            target = _fact(record, "target")
            return f"route {record.verdict}" + (f", as {target}" if target else "")
        case Event.ATTEMPT:
            return f"attempt {_fact(record, 'attempt')}".rstrip() + " started"
        case Event.STEP:
            return f"step {record.verdict}"
        case Event.DELIVERY:
            owed = (
                _owed(record) if record.verdict == "deferred" else ""
            )  # else the outcome tells it
            told = f"{_hop(record)}{_next_try(record)}{owed}{_mailbox(record)}"
            return f"delivery {record.verdict}{told}"
        case Event.OUTCOME:
            return f"outcome {record.verdict}{_owed(record)}"
        case Event.BOUNCE:
            return f"{_report(record)} {record.verdict}"
        case Event.DISCONNECT:
            return "conversation ended"


def _client(record: Record) -> str:
    name, listener = _fact(record, "name"), _fact(record, "listener")
    client = _fact(record, "ip") + (f" ({name})" if name else "")
    if "uid" in record.facts:  # a program of this machine
        client = f"uid {_fact(record, 'uid')}"
    return client + (f" on {listener}" if listener else "")


def _path(record: Record, name: str) -> str:
    """Return an address in its brackets, or what stood in its place."""
    shown = f"<{_fact(record, name)}>"
    return shown if name in record.facts else _fact(record, "argument") or shown


def _circumstances(record: Record) -> str:
    words = {
        "helo": "HELO", "auth_user": "AUTH", "tls": "TLS", "instruction": "instruction",
        "offered": "given as",
    }  # fmt: skip
    told = [f"{word} {_fact(record, fact)}" for fact, word in words.items() if _fact(record, fact)]
    return f" ({', '.join(told)})" if told else ""


def _login(record: Record) -> str:
    told = [_fact(record, fact) for fact in ("login", "mechanism", "tls") if _fact(record, fact)]
    return f" ({', '.join(told)})" if told else ""


def _message(record: Record) -> str:
    size, message_id = _fact(record, "size"), _fact(record, "message_id")
    told = f", {size} octets" if size else ""
    return told + (f", Message-ID {message_id}" if message_id else "")


def _hop(record: Record) -> str:
    """Return which host had the mail, and how it was talked to."""
    hop = _fact(record, "hop")
    if not hop:
        return ""
    how = [(_fact(record, "tls") or "in clear") + _by(record, "tls_rule")]
    if record.facts.get("verified"):
        how.append("its certificate is right")
    if user := _fact(record, "auth_user"):
        how.append(f"AUTH {user}{_by(record, 'auth_rule')}")
    elif rule := _fact(record, "auth_rule"):
        how.append(f"no AUTH: nothing in {rule}")
    if source := _fact(record, "source"):
        how.append(f"from {source}")
    if reused := _fact(record, "reused"):
        how.append(f"after {reused} other mail{'s' if reused != '1' else ''}")
    return f" at {hop} ({', '.join(how)})"


def _by(record: Record, name: str) -> str:
    """Return the rule that decided something, where one did."""
    rule = _fact(record, name)
    return f" by {rule}" if rule else ""


def _next_try(record: Record) -> str:
    """Return when it is tried again, and why then: the waits grow with the mail's age."""
    due, age, lifetime = (record.facts.get(name) for name in ("next_try", "age", "lifetime"))
    if not isinstance(due, int | float) or not due:
        return ""
    told = f", next try {_moment(due)}"
    if isinstance(age, int | float) and isinstance(lifetime, int | float):
        told += f" ({_duration(age)} after it came; given up after {_duration(lifetime)})"
    return told


def _owed(record: Record) -> str:
    """Return what the sender is to be told of it."""
    return f", the sender is to be told: {_fact(record, 'owed')}" if "owed" in record.facts else ""


def _report(record: Record) -> str:
    """Return what kind of report it is, and of whom."""
    kind = _fact(record, "report")
    word = "bounce" if kind in {"", "failed"} else f"report ({kind})"
    return f"{word} of {_fact(record, 'told')}" if "told" in record.facts else word


def _mailbox(record: Record) -> str:
    """Return what the mailbox held before this mail, and may hold (as maildirsize has it)."""
    if "quota" not in record.facts:
        return ""
    return f" (the mailbox held {_fact(record, 'held')} of {_fact(record, 'quota')})"


def _fact(record: Record, name: str) -> str:
    return printable(str(record.facts.get(name, "")))


def _duration(seconds: float) -> str:
    """Return ``2 h 46 min``: the two largest units."""
    left, words = round(seconds), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def _clock(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%H:%M:%S.%f}"[:-3]


def _moment(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"
