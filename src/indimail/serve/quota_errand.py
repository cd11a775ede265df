"""What a worker asks of another user's process about quotas, and what that says, as fields.

    asked(deliver, size, settings)           -> {"op": "admit", "maildir": ..., ...}
    read_asked(errand)                       -> Asked(deliver, size, settings)
    admitted(admission)                      -> {"usage": [1500, 1], "quota": [3000, 0], ...}
    read_admitted(answer, deliver)           -> Admission(None, ...)

Operations: ``admit``, whose number the admission has from then on; ``count``, sent right behind the
``publish`` of that copy, so that it counts if the rename was made; ``forget``, where it was not;
``held``, which asks what a locked mailbox holds.

Settings go with each ``admit``: the process obeys what its worker is configured for.  The rule of a
refusal is the worker's own, and so is the address that is locked.  Raises BrokenFrame.
Not here: the frames (`serve.errand`), what is decided (`serve.quota`).
"""

from dataclasses import astuple, dataclass
from typing import Any, Final

from indimail.delivery.daily import DailyLimits
from indimail.delivery.plan import Command, Defer, Deliver, Fail
from indimail.delivery.quota import Quota, Usage
from indimail.mail.foreseen import Foreseen
from indimail.mailbox.maildirsize import Counting, inbox
from indimail.serve.errand import Errand, Fields
from indimail.serve.locks import Held
from indimail.serve.quota import Admission
from indimail.serve.snapshot import QuotaSettings
from indimail.wire.frames import BrokenFrame

_MOST: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Asked:
    """A mail at the door of a mailbox, and what holds there."""

    deliver: Deliver
    size: int
    settings: QuotaSettings


def asked(deliver: Deliver, size: int, settings: QuotaSettings) -> Fields:
    """Return the fields of a question."""
    limits = settings.limits
    return {
        "op": "admit", "maildir": deliver.maildir, "account": deliver.account,
        "limit": deliver.limit or "", "size": size,
        "counting": astuple(settings.counting), "mailsize": settings.mailsize,
        "limits": () if limits is None else astuple(limits), "percents": settings.percents,
        "command": settings.command, "hold": settings.hold,
    }  # fmt: skip


def read_asked(errand: Errand) -> Asked:
    """Return the question; who asks is believed."""
    limits = errand.items("limits")
    settings = QuotaSettings(
        Counting(*errand.items("counting")), errand.whole("mailsize"),
        DailyLimits(*limits) if limits else None, tuple(errand.items("percents")),
        errand.text("command"), errand.text("hold"),
    )  # fmt: skip
    deliver = Deliver(
        errand.text("maildir"), account=errand.text("account"), limit=errand.text("limit")
    )
    return Asked(deliver, errand.whole("size"), settings)


def admitted(admission: Admission) -> Fields:
    """Return the fields of an answer."""
    fields: Fields = {
        "size": admission.size, "usage": astuple(admission.usage),
        "commands": [command.arguments for command in admission.commands],
    }  # fmt: skip
    if admission.quota is not None:
        fields["quota"] = astuple(admission.quota)
    if admission.lock is not None:
        fields["lock"] = admission.lock
    match admission.plan:
        case Fail(text=text, status=status):
            fields |= {"plan": "fail", "text": text, "status": status}
        case Defer(text=text):
            fields |= {"plan": "defer", "text": text}
    return fields


def read_admitted(answer: Errand, deliver: Deliver) -> Admission:
    """Return the answer about this copy, as far as it can be one."""
    maildir = inbox(deliver.maildir)
    size = _number(answer.whole("size"))
    plan: Fail | Defer | None = None
    match answer.text("plan"):
        case "fail":
            text, status = answer.text("text"), answer.text("status")
            plan = Fail(text, status, Foreseen.DELIVERABLE, deliver.rule)
        case "defer":
            plan = Defer(answer.text("text"), deliver.rule)
    quota = Quota(*_pair(answer.items("quota"))) if "quota" in answer.fields else None
    lock = _number(answer.whole("lock")) or None if deliver.account else None
    commands = tuple(read_command(found, deliver) for found in answer.items("commands"))
    usage = Usage(*_pair(answer.items("usage")))
    return Admission(plan, maildir, size, usage, quota, lock, commands, answer.number)


def told_held(held: Held) -> Fields:
    """Return the fields of what a mailbox holds."""
    return {"usage": astuple(held.usage), "waits": held.waits}


def read_held(answer: Errand) -> Held:
    """Return what a mailbox holds."""
    return Held(Usage(*_pair(answer.items("usage"))), answer.truth("waits"))


def read_command(found: object, deliver: Deliver) -> Command:
    """Return what the over-quota command is told: of this mailbox, and of no other."""
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise BrokenFrame("a command in a frame")
    if len(found) < 2 or found[0] not in {inbox(deliver.maildir), deliver.account}:
        raise BrokenFrame("another mailbox's command in a frame")
    return Command(tuple(found))


def _pair(found: list[Any]) -> tuple[int, int]:
    if len(found) != 2:
        raise BrokenFrame("no pair in a frame")
    return _number(found[0]), _number(found[1])


def _number(found: object) -> int:
    if not isinstance(found, int) or not -_MOST < found < _MOST:
        raise BrokenFrame("no number in a frame")
    return found
