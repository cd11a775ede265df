"""What a world at rest has to show, after any number of crashes.

    verdict = judge(world, ledger)      -> Verdict(accepted=31, delivered=24, ..., lost=[], doubled=[])

Counted are recipients of mails whose sender read a 250.  Each has one outcome in the trace, or a
row that waits with a due time; so has each of what was forwarded and bounced (`own`).  What was made
of a mail is proved by copies that survive a power cut, or that a reader took, and by rows that wait
for another host (`expected`).  *Lost* is a recipient without an outcome, or a copy, a forward, a failed
recipient in a bounce or a program's run that is not there; *doubled* what is there twice.  Everything
else that may not be is a *fault*.  A program and an mbox may see a mail again: counted as `rerun`.

A copy that a reader deleted before its outcome was committed, and that a power cut hid from the
queue, may be delivered again (DESIGN 4: "else deliver again"); such are counted as `again`.

Of mails that are alike (`Sent.like`) one copy in a mailbox is enough, whichever it is; what is there
beyond one, as a crash before a mark may leave, is counted as `alike`.
"""

from collections import Counter
from dataclasses import dataclass, field

from indimail.mail.channel import Channel
from indimail.mail.events import Event
from indimail.mail.ids import QueueId
from indimail.mailbox.maildirsize import parse_maildirsize
from indimail.queue.port import RecipientStatus, State
from indimail.queue.sqlite import SqliteReader
from indimail.testing.disk import Crash, SimulatedDisk
from indimail.trace.find import Query, find

from .expected import expect
from .ledger import TAG, Ledger, base, check_copy, copies, told_in
from .script import DOMAIN, MAIL, home
from .world import QUEUE, TRACE, World


@dataclass
class Verdict:
    """Numbers of recipients, and what is wrong in words."""

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    deferred: int = 0
    again: int = 0
    rerun: int = 0
    own: int = 0
    counted: int = 0
    alike: int = 0
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
    if not ledger.powered:
        _judge_quotas(world.disk, ledger, verdict)
    survivor = world.disk.survivor(Crash.POWER)
    look = world.look()
    _judge_things(_found(survivor, ledger) + _waiting(look, survivor), ledger, verdict)
    outcomes = _outcomes(survivor)
    for queue_id, mail in ledger.accepted.items():
        rows, told = _rows(look, queue_id), outcomes.get(queue_id, {})
        for number, (user, shown) in enumerate(zip(mail.users, expect(mail).verdicts, strict=True)):
            verdict.accepted += 1
            what = f"{mail.tag} ({queue_id}) to {user}"
            ends = told.get(number, [])
            _judge_recipient(verdict, what, rows.get(number), ends, shown, world.clock.now())
    for queue_id, number in sorted(ledger.finished):
        if queue_id not in ledger.accepted:  # a forward, a bounce, or its client saw no 250
            verdict.own += 1
            ends = outcomes.get(queue_id, {}).get(number, [])
            if len(ends) != 1:
                verdict.faults.append(f"{queue_id}, recipient {number}: outcomes {ends}")
    if clean:
        _judge_leftovers(world.disk, look, verdict, world.clock.now())
    look.close()
    return verdict


def _judge_recipient(
    verdict: Verdict, what: str, row: RecipientStatus | None, told: list[str], shown: str,
    now: float,
) -> None:  # fmt: skip
    """Compare the outcome that is recorded with what is to come of it."""
    if row is not None and row.state is State.WAITING:
        told = [*told, "deferred"]
    elif row is not None:
        verdict.faults.append(f"{what}: its row stays, {row.state}")
    if not told:
        verdict.lost.append(f"{what}: no outcome")
        return
    if len(told) > 1:
        verdict.doubled.append(f"{what}: outcomes {', '.join(told)}")
        return
    if told[0] != shown:
        verdict.faults.append(f"{what}: {told[0]}, expected {shown}")
    setattr(verdict, told[0], getattr(verdict, told[0]) + 1)


@dataclass(frozen=True)
class Thing:
    """A copy or a row that waits, and what it tells of a recipient (`expected`)."""

    tag: str
    where: str
    tells: str
    name: str


def _things(tag: str, where: str, tells: tuple[str, ...], name: str) -> list[Thing]:
    return [Thing(tag, where, one, name) for one in tells or ("",)]


def _found(disk: SimulatedDisk, ledger: Ledger) -> list[Thing]:
    """Return each whole copy."""
    found = []
    for folder, path, content in copies(disk):
        tag, wrong = check_copy(path, content, ledger.sent)
        if not wrong:
            found += _things(tag, folder, told_in(content), base(path))
    return found


def _taken(ledger: Ledger) -> list[Thing]:
    return [thing for t in ledger.taken for thing in _things(t.tag, t.folder, t.tells, t.name)]


def _waiting(look: SqliteReader, disk: SimulatedDisk) -> list[Thing]:
    """Return each row that waits."""
    found = []
    for status in list(look.status()):
        for row in status.recipients:
            if row.state is State.WAITING:
                id_ = status.message.id
                whole = look.message(id_)
                content = whole.message.body if whole is not None else None
                content = disk.read(f"{QUEUE}/mess/{id_}") if content is None else content
                tag = TAG.search(content)
                name = f"{id_}/{row.recipient.number}"
                tells = told_in(content)
                found += _things(tag[1].decode() if tag else "", row.recipient.address, tells, name)
    return found


def _judge_things(durable: list[Thing], ledger: Ledger, verdict: Verdict) -> None:
    """Compare what there is with what is to come of each mail."""
    accepted = {mail.tag for mail in ledger.accepted.values()}
    seen = set(durable) | set(_taken(ledger))
    every = Counter((thing.tag, thing.where, thing.tells) for thing in seen)
    held = Counter((t.tag, t.where, t.tells) for t in seen if t.name not in ledger.excused)
    wanted = {tag: expect(mail) for tag, mail in ledger.sent.items()}
    alike: Counter[tuple[str, str]] = Counter()  # copies, by word and mailbox
    for (tag, where, _), number in every.items():
        if tag in ledger.sent and (word := ledger.sent[tag].like):
            alike[word, where] += number
    verdict.alike = sum(max(0, number - 1) for number in alike.values())
    for key in every.keys() | {(tag, *key) for tag in accepted for key in wanted[tag].things}:
        tag, *thing = key
        word = ledger.sent[tag].like if tag in ledger.sent else ""
        count = wanted[tag].things[thing[0], thing[1]] if tag in wanted else 0
        what = " ".join(filter(None, (f"{tag}: {every[key]} of {count} in {thing[0]}", thing[1])))
        if held[key] > count:
            verdict.doubled.append(what)
        elif every[key] > count:
            verdict.again += 1
        elif every[key] < count and tag in accepted and not alike[word, thing[0]]:
            verdict.lost.append(what)
    for tag, mail in wanted.items():
        for place, count in mail.runs.items():
            if tag in accepted and ledger.runs[tag, place] < count:
                verdict.lost.append(f"{tag}: {ledger.runs[tag, place]} of {count} runs of {place}")
            verdict.rerun += max(0, ledger.runs[tag, place] - count)
    for tag, place in ledger.runs:
        if place not in wanted[tag].runs:
            verdict.faults.append(f"{tag}: {place} was run")


def _judge_copies(disk: SimulatedDisk, ledger: Ledger, verdict: Verdict) -> None:
    for _, path, content in copies(disk):
        _, wrong = check_copy(path, content, ledger.sent)
        if wrong:
            verdict.faults.append(wrong)


def _judge_quotas(disk: SimulatedDisk, ledger: Ledger, verdict: Verdict) -> None:
    """No copy counts twice; one that a crash or an error met may be left uncounted."""
    names = {(folder, base(path)) for folder, path, _ in copies(disk)}
    names |= {(taken.folder, taken.name) for taken in ledger.taken}
    delivered = Counter(folder for folder, _ in names)
    for user in sorted(disk.names(f"{MAIL}/{DOMAIN}")) if disk.exists(f"{MAIL}/{DOMAIN}") else ():
        path = f"{home(user)}/maildirsize"
        content = parse_maildirsize(disk.read(path)) if disk.exists(path) else None
        if content is not None:
            verdict.counted += content.usage.messages
            if content.usage.messages > delivered[home(user)]:
                verdict.doubled.append(f"{path}: counts {content.usage.messages} mails")


def _rows(look: SqliteReader, queue_id: int) -> dict[int, RecipientStatus]:
    status = look.message(QueueId(queue_id))
    return {} if status is None else {row.recipient.number: row for row in status.recipients}


def _outcomes(disk: SimulatedDisk) -> dict[int, dict[int, list[str]]]:
    """Return the outcomes that the trace tells, by id and the recipient's number."""
    told: dict[int, dict[int, list[str]]] = {}
    for story in find(TRACE, Query(limit=0), disk):
        for record in story.records:
            if record.event is Event.OUTCOME:
                ends = told.setdefault(record.id, {})
                ends.setdefault(int(record.facts["number"]), []).append(record.verdict)
    return told


def _judge_leftovers(disk: SimulatedDisk, look: SqliteReader, verdict: Verdict, now: float) -> None:
    """A spool file without a row, a row without an aim, a row that nothing comes to: leaks."""
    for path in disk.contents(f"{QUEUE}/mess"):
        if look.message(QueueId(int(path.rpartition("/")[2]))) is None:
            verdict.faults.append(f"{path}: left behind")
    for status in look.status():
        waiting = [row.recipient for row in status.recipients if row.state is State.WAITING]
        if not waiting:
            verdict.faults.append(f"{status.message.id}: done, and its row stays")
        for to in waiting:
            if to.channel is Channel.LOCAL and (to.due <= now or not to.attempts):
                verdict.faults.append(f"{status.message.id} to {to.address}: nothing happens")
    for queue_id in look.owed():
        verdict.faults.append(f"{queue_id}: a bounce is owed and not made")
