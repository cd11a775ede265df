"""What a world at rest has to show, after any number of crashes.

    verdict = judge(world, ledger)      -> Verdict(accepted=31, delivered=24, ..., lost=[], doubled=[])

Counted are recipients of mails whose sender read a 250.  Each has one outcome in the trace, or a
row that waits with a due time.  *Delivered* is proved by a copy that survives a power cut, or that
a reader took.  *Lost* is a recipient without an outcome or without its copy; *doubled* one with two
of either.  Everything else that may not be is a *fault*.

A copy that a reader deleted before its outcome was committed, and that a power cut hid from the
queue, may be delivered again (DESIGN 4: "else deliver again"); such are counted as `again`.
"""

from collections import Counter
from dataclasses import dataclass, field

from indimail.mail.events import Event
from indimail.mail.ids import QueueId
from indimail.queue.port import RecipientStatus, State
from indimail.queue.sqlite import SqliteReader
from indimail.testing.disk import Crash, SimulatedDisk
from indimail.trace.find import Query, find

from .ledger import Ledger, base, check_copy, copies
from .script import home, plan_of
from .world import QUEUE, TRACE, World


@dataclass
class Verdict:
    """Numbers of recipients, and what is wrong in words."""

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    deferred: int = 0
    again: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Every complaint."""
        return [
            *(f"lost: {text}" for text in self.lost),
            *(f"doubled: {text}" for text in self.doubled),
            *self.faults,
        ]


def judge(world: World, ledger: Ledger, *, clean: bool = True) -> Verdict:
    """Look at everything; a power cut comes first, since what is told has to be durable.

    Not `clean` where a removal was made to fail: the next start removes what is left.
    """
    verdict = Verdict(faults=list(ledger.faults))
    _judge_copies(world.disk, ledger, verdict)
    kept = {(tag, folder) for tag, folder, _ in _found(world.disk.survivor(Crash.POWER), ledger)}
    kept |= {(taken.tag, taken.folder) for taken in ledger.taken}
    look = world.look()
    for queue_id, mail in ledger.accepted.items():
        rows = _rows(look, queue_id)
        outcomes = _outcomes(world.disk.survivor(Crash.POWER), queue_id)
        for number, user in enumerate(mail.users):
            verdict.accepted += 1
            what = f"{mail.tag} ({queue_id}) to {user}"
            row, told = rows.get(number), outcomes.get(number, [])
            if (mail.tag, home(user)) in kept:
                expected = "delivered"
            else:
                expected = "failed" if user == "absent" else "deferred"
            _judge_recipient(verdict, what, user, row, told, expected, world.clock.now())
    if clean:
        _judge_leftovers(world.disk, look, verdict)
    look.close()
    return verdict


def _judge_recipient(
    verdict: Verdict,
    what: str,
    user: str,
    row: RecipientStatus | None,
    told: list[str],
    shown: str,
    now: float,
) -> None:
    """Compare the outcome that is recorded with what is seen of it."""
    if row is not None and row.state is State.WAITING:
        told = [*told, "deferred"]
        if row.recipient.due <= now or not row.recipient.attempts:
            verdict.faults.append(f"{what}: waits, and nothing happens")
    elif row is not None:
        verdict.faults.append(f"{what}: its row stays, {row.state}")
    if not told:
        verdict.lost.append(f"{what}: no outcome")
        return
    if len(told) > 1:
        verdict.doubled.append(f"{what}: outcomes {', '.join(told)}")
        return
    if told[0] == "delivered" and shown != "delivered":
        verdict.lost.append(f"{what}: recorded as delivered, but there is no copy")
        return
    if told[0] != shown or (told[0] == "deferred") != (user == "never"):
        verdict.faults.append(f"{what}: {told[0]}, expected {plan_of(user, now)}, seen {shown}")
    setattr(verdict, told[0], getattr(verdict, told[0]) + 1)


def _found(disk: SimulatedDisk, ledger: Ledger) -> list[tuple[str, str, str]]:
    """Return (tag, folder, name) of each whole copy."""
    found = []
    for folder, path, content in copies(disk):
        tag, wrong = check_copy(path, content, ledger.sent)
        if not wrong:
            found.append((tag, folder, base(path)))
    return found


def _judge_copies(disk: SimulatedDisk, ledger: Ledger, verdict: Verdict) -> None:
    for _, path, content in copies(disk):
        _, wrong = check_copy(path, content, ledger.sent)
        if wrong:
            verdict.faults.append(wrong)
    seen = [*_found(disk, ledger), *((t.tag, t.folder, t.name) for t in ledger.taken)]
    every = Counter((tag, folder) for tag, folder, _ in seen)
    held = Counter((tag, folder) for tag, folder, name in seen if name not in ledger.excused)
    for (tag, folder), count in every.items():
        if held[tag, folder] > 1:
            verdict.doubled.append(f"{tag}: {count} copies in {folder}")
        elif count > 1:
            verdict.again += 1


def _rows(look: SqliteReader, queue_id: int) -> dict[int, RecipientStatus]:
    status = look.message(QueueId(queue_id))
    return {} if status is None else {row.recipient.number: row for row in status.recipients}


def _outcomes(disk: SimulatedDisk, queue_id: int) -> dict[int, list[str]]:
    """Return the outcomes that the trace tells, by the recipient's number."""
    told: dict[int, list[str]] = {}
    for story in find(TRACE, Query(id=queue_id), disk):
        for record in story.records:
            if record.event is Event.OUTCOME:
                told.setdefault(int(record.facts["number"]), []).append(record.verdict)
    return told


def _judge_leftovers(disk: SimulatedDisk, look: SqliteReader, verdict: Verdict) -> None:
    """A spool file without a row, or a row of a mail that has no recipient left, is a leak."""
    for path in disk.contents(f"{QUEUE}/mess"):
        if look.message(QueueId(int(path.rpartition("/")[2]))) is None:
            verdict.faults.append(f"{path}: left behind")
    for status in look.status():
        if not any(row.state is State.WAITING for row in status.recipients):
            verdict.faults.append(f"{status.message.id}: done, and its row stays")
