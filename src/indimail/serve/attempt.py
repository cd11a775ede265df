"""One attempt to deliver to one recipient: the steps of its plan, one after the other.

    Attempt(local, job, send, decided).begin(header)        # ends in send.finish(job, outcome)

What earlier attempts did is left out.  An attempt that finds a copy staged settles it first:
published, or written again.  Each step goes on from a callback; nothing here waits.

Not here: how an attempt is prepared (`serve.local`).
"""

from collections.abc import Callable
from functools import partial
from time import asctime, gmtime
from typing import TYPE_CHECKING, Final, Protocol

from indimail.delivery.blackhole import discarding
from indimail.delivery.duplicate import digest, discarding_duplicate
from indimail.delivery.environment import Lines, environment, of_virtual
from indimail.delivery.headers import ahead, ahead_of_command, from_line, return_path
from indimail.delivery.localdomains import refuse_remote
from indimail.delivery.loop import LOOPING, is_looping
from indimail.delivery.overquota import MAILBOX_FULL
from indimail.delivery.plan import (
    DID_ONE,
    Command,
    Defer,
    Deliver,
    Discard,
    Fail,
    Forward,
    Mbox,
    Relay,
    Run,
    discarded,
    joined,
    outcome,
)
from indimail.delivery.program import Ended, Next, judge
from indimail.delivery.verp import expanded
from indimail.mail.dsn import Dsn
from indimail.mail.errors import CopyGone, MailboxFull, MailError, Permanent
from indimail.mail.foreseen import Foreseen
from indimail.mail.outcome import Deferred, Delivered, Failed, Outcome
from indimail.mail.verdict import Rule
from indimail.mailbox import maildir
from indimail.mailbox.dupmd5 import Mark
from indimail.mailbox.maildirsize import inbox
from indimail.queue.port import Accepted, Step
from indimail.queue.spool import Spool
from indimail.serve.duplicates import Claim
from indimail.serve.foresight import Decided
from indimail.serve.forward import new_sender
from indimail.serve.hands import Content, Program
from indimail.serve.job import Job
from indimail.serve.quota import Admission

if TYPE_CHECKING:
    from indimail.serve.local import LocalDelivery

WRONG: Final = "Sorry, something is wrong here"
NO_BOOT: Final = ""  # of a copy known not to be in tmp/: `recovery` believes only what it sees
STOPPED: Final = "99"  # the name of a program's mark, where it left out the rest
REFUSED: Final = "refused: "  # how the name of a row's mark begins, where its mailbox was full


class Scheduler(Protocol):
    """What a delivery tells; `stage` and `finish` from any thread, each `done` runs on the loop."""

    @property
    def spool(self) -> Spool:
        """Where large bodies are."""

    def stage(self, job: Job, step: Step, done: Callable[[], None]) -> None:
        """Mark a copy staged; `done` after the commit."""

    def step(self, job: Job, step: Step, done: Callable[[], None]) -> None:
        """Mark a step done; `done` after the commit."""

    def finish(self, job: Job, result: Outcome, forwards: tuple[Accepted, ...] = ()) -> None:
        """End the attempt."""

    def put_back(self, job: Job) -> None:
        """End an attempt that never began."""

    def tell(self, job: Job, verdict: str, text: str, rule: Rule) -> None:
        """Record what became of one of several steps."""

    def has_forgotten(self, job: Job) -> bool:
        """Tell whether nothing of this attempt is heard any longer."""


class Attempt:
    """Walks the steps of a plan."""

    __slots__ = (
        "_at",
        "_counts",
        "_decided",
        "_digest",
        "_done",
        "_failures",
        "_forwards",
        "_number",
        "_said",
        "_sender",
        "hands",
        "job",
        "local",
        "quotas",
        "send",
    )

    def __init__(self, local: "LocalDelivery", job: Job, send: Scheduler, decided: Decided) -> None:
        self.local = local
        self.job = job
        self.send = send
        self.hands = local.hands(decided.uid, decided.gid)
        self.quotas = local.quotas.of(decided.uid, decided.gid)
        self._decided = decided
        self._sender = expanded(job.mail.message.reverse_path, job.recipient.address)
        self._at = 0
        self._counts = [0, 0, 0]  # files, forwards, programs
        self._said: list[str] = []
        self._forwards: list[Forward | Relay] = []
        self._digest = ""  # where duplicates are discarded
        self._failures: list[Failed] = []  # of rows, behind which the others are made
        self._done = [(step.place, step.name) for step in job.steps if step.done]
        self._number = 1 + max(step.step for step in job.steps) if job.steps else 0

    # -- the walk --------------------------------------------------------------------------------

    def begin(self, header: bytes, settled: maildir.Settlement | None = None) -> None:
        """Start; on the event loop."""
        self.guarded(partial(self._begin, header, settled))

    def _go_on(self) -> None:
        """Make the next step; on the event loop."""
        self.guarded(self._walk)

    def guarded(self, move: Callable[[], None]) -> None:
        """What nobody thought of keeps no slot, and stops no other mail."""
        try:
            move()
        except Exception as error:  # the task boundary of a delivery
            self.send.finish(self.job, Deferred(f"{WRONG}: {error!r} (#4.3.0)"))

    def _begin(self, header: bytes, settled: maildir.Settlement | None) -> None:
        """Settle what an earlier attempt staged, then go on with the plan."""
        plan, settings = self._decided.plan, self.local.own.settings()
        if settings.duplicates:
            self._digest = digest(header)
        staged = self.job.staged
        if staged is not None and settled is maildir.Settlement.AGAIN:
            self._number = staged.step  # written again, in its place
        elif staged is not None:
            self._settle(staged, publish=settled is maildir.Settlement.PUBLISH)
            return
        remote = refuse_remote(self._sender, plan.only_local, settings.local_domains)
        if remote is not None:
            self.send.finish(self.job, remote)
        elif is_looping(header, self._decided.delivered_to, settings.max_delivered_to):
            self.send.finish(self.job, Failed(LOOPING, plan.rule))
        elif plan.virtual and (unread := self._unread()) is not None:
            self.send.finish(self.job, unread)
        else:
            self._walk()

    def _unread(self) -> Delivered | None:
        """Discard the mail of a sender in vdelivermail's black hole."""
        rule = self.local.own.black_hole().find(self._sender)
        if rule is None:
            return None
        return Delivered(f"{discarding(self._sender)}\n{DID_ONE}", rule, dsn=None)

    def _settle(self, step: Step, *, publish: bool) -> None:
        """Bring a staged copy to its end; what follows it is decided by today's plan."""
        self._done.append((step.place, step.name))
        if step.last:  # then no walk counts what was made
            made = [0 if mark.place.startswith("/") else 2 for mark in self.job.steps]
            self._counts = [made.count(0), 0, made.count(2)]
            for mark in self.job.steps:
                self._recall(mark.name, self._decided.plan.rule)
        rule = self._decided.plan.rule
        copy = Copy(self, step.place, step.name, rule, step.step, last=step.last)
        if publish:
            # Marked once more, with this boot: a copy that is then gone from tmp/ was seen.
            copy.stored(None)
        else:
            copy.published(None)

    def _walk(self) -> None:
        actions = self._decided.plan.actions
        while self._at < len(actions):
            action = actions[self._at]
            self._at += 1
            match action:
                case Forward() | Relay():
                    self._forwards.append(action)
                    self._counts[1] += 1
                    self._say(action.text)
                case Discard():
                    self._discard(action)
                case Fail() | Defer():
                    if isinstance(action, Fail) and action.instruction:
                        self.send.tell(self.job, "failed", action.instruction, action.rule)
                    self._refuse(action)
                    return
                case Deliver() | Mbox() | Run():
                    self._counts[2 if isinstance(action, Run) else 0] += 1
                    self._say(action.text if isinstance(action, Deliver) else "")
                    place = place_of(action, self.job.mail.message.born)
                    done = next((mark for mark in self._done if mark[0] == place), None)
                    if done is None:
                        self._make(action)
                        return
                    self._done.remove(done)
                    if isinstance(action, Run) and done[1] == STOPPED:
                        self._leave_out(action)
                    self._recall(done[1], action.rule)
        self._end()

    def _recall(self, mark: str, rule: Rule) -> None:
        """Fail in the end for a row that an earlier attempt found full."""
        if mark.startswith(REFUSED):
            self._failures.append(Failed(mark.removeprefix(REFUSED), rule))

    def _then(self, go_on: Callable[..., None], *known: object) -> Callable[[object], None]:
        """Return what a hand tells its result, on any thread: the attempt goes on in the loop."""

        def told(result: object) -> None:
            self.local.wake(partial(self.guarded, partial(go_on, *known, result)))

        return told

    def _then_here(self, go_on: Callable[..., None], *known: object) -> Callable[[object], None]:
        """Return what is told a result on the event loop, and goes on at once."""
        return lambda result: self.guarded(partial(go_on, *known, result))

    def _leave_out(self, action: Run) -> None:
        """Exit 99: go on behind what the program stands before."""
        self._at = min(len(self._decided.plan.actions), self._at + action.skip)

    @property
    def _is_last(self) -> bool:
        return self._at >= len(self._decided.plan.actions) and not self._forwards

    def _say(self, text: str) -> None:
        if text:
            self._said.append(text)

    def _make(self, action: Deliver | Mbox | Run) -> None:
        match action:
            case Deliver():
                self._copy(action)
            case Mbox(path, rule):
                line = from_line(self._sender, asctime(gmtime(self.local.clock.now())))
                content = self.content(ahead(self._sender, self.job.recipient.target))
                self.hands.append(path, content, line, self._then(self._appended, path, rule))
            case Run():
                self.hands.run(self._program(action), self._then(self._ran, action))

    def _end(self) -> None:
        """Every step is made: forward, and say so."""
        if not self._forwards:
            self.send.finish(self.job, self._result())
            return

        self.local.forwards.make(
            self.job, self.send.spool, self._decided, self._sender, self._forwards, self._dsn,
            self._then(self._forwarded),
        )  # fmt: skip

    def _forwarded(self, result: object) -> None:
        if not isinstance(result, tuple):
            self._fail_to_forward(result)
            return
        for action in self._forwards:
            self._tell_one_of_several(f"forward to {action.address}", action.rule)
        for forward in result:
            self._tell_rewritten(forward.message.reverse_path)
        numbers = [f"qp {forward.message.id}" for forward in result]
        self.send.finish(self.job, self._result(*numbers), result)

    def _tell_rewritten(self, path: str) -> None:
        """Record that a forward has another sender than this plan gives it (SRS)."""
        given = new_sender(self._decided.plan, self._sender)
        if path not in (given, self._sender):
            text = f"reverse-path <{given}> rewritten to <{path}>"
            self.send.tell(self.job, "done", text, self.local.forwards.srs_rule)

    def _fail_to_forward(self, failure: object) -> None:
        said = f"Unable to forward message: {failure}. (#4.3.0)"
        self.send.finish(self.job, Deferred(said, self._forwards[0].rule))

    def _result(self, *numbers: str) -> Outcome:
        """Return the end of a walk that made all steps."""
        if self._failures:
            return joined(self._failures)
        plan = self._decided.plan
        did = DID_ONE if plan.virtual else "did {}+{}+{}".format(*self._counts)
        return Delivered("\n".join([*self._said, did, *numbers]), plan.rule, self._dsn)

    @property
    def _dsn(self) -> Dsn | None:
        """What a sender is told who asked for success (RFC 3461 5.2.7).

        A list is the end of the way, an alias of one address is not: what was asked goes on with the
        mail.  Nobody is told of a mail that was discarded.
        """
        files, forwards, programs = self._counts
        if not forwards or new_sender(self._decided.plan, self._sender) != self._sender:
            return Dsn.DELIVERED if files + forwards + programs else None
        return Dsn.EXPANDED if files + forwards + programs > 1 else None

    def _tell_one_of_several(self, text: str, rule: Rule) -> None:
        """Record a step; the only one is told by the end of the delivery."""
        if self._has_several:
            self.send.tell(self.job, "done", text, rule)

    @property
    def _has_several(self) -> bool:
        return len(self._decided.plan.actions) > 1

    def _did(self, place: str, name: str = "") -> None:
        """Go on after a step that is not a copy; its mark comes first where more follow."""
        if self._is_last:
            self._end()
            return
        step = Step(
            self.job.recipient.number, self._number, place, name, self.local.own.boot,
            self.local.clock.now(), last=False, done=True,
        )  # fmt: skip
        self._number += 1
        self.send.step(self.job, step, self._go_on)

    def fail(self, failure: object, rule: Rule, place: str) -> None:
        """End the attempt for a failure of ours."""
        result: Outcome
        match failure:
            case Permanent():
                result = Failed(str(failure), rule)
            case MailError():
                result = Deferred(str(failure), rule)
            case OSError():
                result = Deferred(f"{maildir.TEMPORARY} {place}: {failure.strerror}", rule)
            case _:
                result = Deferred(f"{WRONG}: {failure!r} (#4.3.0)", rule)
        self.send.finish(self.job, result)

    # -- copies ----------------------------------------------------------------------------------

    def _copy(self, action: Deliver) -> None:
        """Store a copy, where it is no duplicate and the mailbox's quota lets it in."""
        if action.limit is None:
            self._store(action, self.block(), None, None)
        elif self._digest:
            local = self.local
            local.duplicates.ask(
                self.hands, inbox(action.maildir), self._digest, self.job.mail.message.id,
                local.own.settings().duplicates, self._then_here(self._compared, action),
            )  # fmt: skip
        else:
            self._ask_quota(action, None)

    def _compared(self, action: Deliver, found: Mark | Claim) -> None:
        """Go on without a copy where the mail is there already."""
        if isinstance(found, Claim):
            if self.send.has_forgotten(self.job):
                found.gone()  # the attempt that follows has a claim of its own
            else:
                self._ask_quota(action, found)
            return
        text = discarding_duplicate(found.id)
        self._say(text)
        self._tell_one_of_several(f"{action.maildir}: {text}", action.rule)
        self._did(place_of(action, self.job.mail.message.born))

    def _ask_quota(self, action: Deliver, claim: Claim | None) -> None:
        block = self.block()
        size = len(block) + self.job.mail.message.size
        self.quotas.ask(action, size, self._then_here(self._admitted, action, block, claim))

    def _admitted(
        self, action: Deliver, block: bytes, claim: Claim | None, admission: object
    ) -> None:
        is_let_in = isinstance(admission, Admission) and admission.plan is None
        if claim is not None and not is_let_in:
            claim.gone()
        if not isinstance(admission, Admission):
            self.fail(admission, action.rule, action.maildir)
            return
        if admission.quota is not None:
            self.job.mailbox = admission.usage, admission.quota
        if admission.lock is not None:
            self.local.quotas.lock(action.account, admission.lock)
        for command in admission.commands:
            self.tell_of_quota(command)
        match admission.plan:
            case None:
                self._store(action, block, admission, claim)
            case Fail() as fail:
                self.over(action, fail)
            case defer:
                self._refuse(defer)

    def over(self, action: Deliver, fail: Fail) -> None:
        """A mailbox is full, or had enough for a day: end, or go on where vdelivermail does."""
        place = place_of(action, self.job.mail.message.born)
        if self.local.own.settings().discard_bounce:
            self._discard(discarded(fail))
            self._did(place)
        elif action.is_row and self._decided.plan.virtual:
            self.send.tell(self.job, "failed", fail.text, fail.rule)
            self._failures.append(Failed(fail.text, fail.rule))
            self._did(place, f"{REFUSED}{fail.text}")
        else:
            self._refuse(fail)

    def _store(
        self, action: Deliver, block: bytes, admission: Admission | None, claim: Claim | None
    ) -> None:
        job, local = self.job, self.local
        message = job.mail.message
        folder = place_of(action, message.born)
        name = maildir.file_name(
            int(local.clock.now()), message.id, job.recipient.number, self._number, local.own.me(),
            len(block) + message.size,
        )  # fmt: skip
        counted = None if admission is None else Counted(self, action, admission)
        copy = Copy(
            self, folder, name, action.rule, self._number, counted, claim, last=self._is_last
        )
        self._number += 1
        self.hands.store(folder, name, self.content(block), copy.stored)

    def _refuse(self, action: Fail | Defer) -> None:
        """End as the plan says."""
        self._tell_of_lock(action.command)
        self.send.finish(self.job, outcome(action))

    def _discard(self, action: Discard) -> None:
        self._say(action.text)
        self._tell_of_lock(action.command)

    def _tell_of_lock(self, command: Command | None) -> None:
        """Let the over-quota command hear of a mail to a mailbox that is locked."""
        if command is not None:
            self.tell_of_quota(command.of(len(self.block()) + self.job.mail.message.size))

    def tell_of_quota(self, command: Command) -> None:
        """Run the over-quota command, with the mail before it; nobody waits for it."""
        quotas = self.local.quotas
        line = quotas.begin(command)
        if line:
            self.hands.run(self._program(Run(line)), partial(quotas.ended, command))

    def copied(self, copy: "Copy") -> None:
        """Go on after a copy that is not the last step: mark it done; on the event loop."""
        self._tell_one_of_several(copy.folder, copy.rule)
        self.send.step(self.job, copy.step(done=True), self._go_on)

    def copied_last(self, copy: "Copy") -> None:
        """The recipient has all; on any thread."""
        if self._has_several:  # a single one needs no turn of the loop
            self.local.wake(partial(self._tell_one_of_several, copy.folder, copy.rule))
        self.send.finish(self.job, self._result())

    def block(self) -> bytes:
        """Return the lines in front of this recipient's copy; the same at every attempt."""
        message = self.job.mail.message
        return self.local.lines(
            self._sender, self.job.recipient.target, message.id, message.born, self._decided
        )

    def content(self, block: bytes) -> Content:
        """Return the mail with these lines in front."""
        message = self.job.mail.message
        return Content(
            block, message.body, message.size, self.send.spool, message.id, message.offset
        )

    def _appended(self, path: str, rule: Rule, failure: Exception | None) -> None:
        if failure is None:
            self._tell_one_of_several(path, rule)
            self._did(path)
        else:
            self.fail(failure, rule, path)

    # -- programs --------------------------------------------------------------------------------

    def _program(self, action: Run) -> Program:
        decided, message = self._decided, self.job.mail.message
        who, now = decided.who, self.local.clock.now()
        sender = self._sender
        lines = Lines(
            return_path(sender), decided.delivered_to.decode("utf-8", "surrogateescape"),
            from_line(sender, asctime(gmtime(now))),
        )  # fmt: skip
        variables = environment(who, sender, new_sender(decided.plan, sender), lines)
        block = b""
        if action.block:
            variables = of_virtual(variables, action.command)
            block = ahead_of_command(
                f"|{action.command}", self.job.recipient.address, message.id, decided.uid,
                self.local.own.dates(now),
            )  # fmt: skip
        home = action.home or who.home
        return Program(action.command, home, variables, action.envdirs, self.content(block))

    def _ran(self, action: Run, result: Ended | Exception) -> None:
        if isinstance(result, Exception):
            self.fail(result, action.rule, action.command)
            return
        place, rule = place_of(action, self.job.mail.message.born), action.rule
        how = f"signal {result.signal}" if result.signal else f"exit {result.code}"
        text = "\n".join(filter(None, (f"{place}: {result.limit or how}", result.output.strip())))
        match judge(result, action.command, rule, virtual=action.block):
            case Next.GO_ON:
                self.send.tell(self.job, "done", text, rule)
                self._did(place)
            case Next.STOP:
                self.send.tell(self.job, "done", text, rule)
                self._leave_out(action)
                self._did(place, STOPPED)
            case ended:
                self.send.tell(self.job, "failed", text, rule)
                self.send.finish(self.job, ended)


def place_of(action: Deliver | Mbox | Run, born: float) -> str:
    """Return what tells a step from others of its recipient, whatever line it stands on."""
    match action:
        case Deliver(maildir=folder, dateformat=dateformat):
            return maildir.date_folder(folder, dateformat, born) if dateformat else folder
        case Mbox(path):
            return path
        case Run(command):
            return f"|{command}"


class Counted:
    """A copy's share of its mailbox's quota: expected, then counted once, or given back."""

    __slots__ = ("_admission", "_attempt", "_deliver")

    def __init__(self, attempt: Attempt, deliver: Deliver, admission: Admission) -> None:
        self._attempt = attempt
        self._deliver = deliver
        self._admission = admission

    def published(self) -> None:
        """It is in new/: count it; on the event loop."""
        if self._admission.size:
            attempt = self._attempt
            attempt.quotas.add(self._admission, self._deliver, attempt.tell_of_quota)

    def gone(self) -> None:
        """It did not come, unless it was counted; on any thread."""
        self._attempt.quotas.forget(self._admission)

    def full(self, failure: MailboxFull) -> None:
        """The disk's quota is a quota too (5.5 step 8); on the event loop."""
        deliver = self._deliver
        fail = Fail(str(failure), MAILBOX_FULL, Foreseen.DELIVERABLE, deliver.rule)
        self._attempt.over(deliver, fail)


class Copy:
    """One copy on its way into a Maildir; one that a crash left is counted and marked nowhere.

    `stored` and `published` may run on any thread; `marked` runs on the event loop.
    """

    __slots__ = ("_attempt", "_claim", "_counted", "_last", "_name", "_number", "folder", "rule")

    def __init__(
        self, attempt: Attempt, folder: str, name: str, rule: Rule, number: int,
        counted: Counted | None = None, claim: Claim | None = None, *, last: bool,
    ) -> None:  # fmt: skip
        self._attempt = attempt
        self._name = name
        self._number = number
        self._counted = counted
        self._claim = claim
        self._last = last
        self.folder = folder
        self.rule = rule

    def step(self, boot: str | None = None, *, done: bool = False) -> Step:
        """Return what the queue keeps of it."""
        local = self._attempt.local
        return Step(
            self._attempt.job.recipient.number, self._number, self.folder, self._name,
            local.own.boot if boot is None else boot, local.clock.now(), self._last, done,
        )  # fmt: skip

    def stored(self, failure: Exception | None) -> None:
        """The copy and its name in tmp/ are durable: mark it."""
        attempt = self._attempt
        if failure is not None:
            failed = partial(attempt.fail, failure, self.rule, self.folder)
            if self._claim is not None:
                self._claim.gone()
            if self._counted is not None:
                self._counted.gone()
                if isinstance(failure, MailboxFull):
                    failed = partial(self._counted.full, failure)
            attempt.local.wake(partial(attempt.guarded, failed))
            return
        attempt.send.stage(attempt.job, self.step(), self.marked)

    def marked(self) -> None:
        """It is marked staged: only now may it be seen in new/."""
        self._attempt.hands.publish(self.folder, self._name, self.published)
        if self._counted is not None:
            self._counted.published()

    def published(self, failure: Exception | None) -> None:
        """Its name in new/ is durable: it is delivered."""
        attempt = self._attempt
        if self._claim is not None and failure is None:
            self._claim.published()
        elif self._claim is not None:
            self._claim.gone()
        if failure is not None and self._counted is not None:
            self._counted.gone()
        if isinstance(failure, CopyGone):
            # By its mark, gone means published.  It was not: the next attempt writes it again.
            gone = partial(attempt.fail, failure, self.rule, self.folder)
            attempt.send.stage(attempt.job, self.step(NO_BOOT), gone)
        elif failure is not None:
            attempt.local.wake(partial(attempt.fail, failure, self.rule, self.folder))
        elif self._last:
            attempt.copied_last(self)
        else:
            attempt.local.wake(partial(attempt.copied, self))
