"""What is to be done for one recipient: a `Plan`, decided before anything is touched.

    Plan((Deliver("/srv/mail/A2E/example.com/alice/Maildir", rule),))
    Plan((Run("./sort", rule), Mbox("/home/bob/mbox", rule), Forward("bob@example.net", rule)))
    Plan((Fail("no account ... (#5.1.5)", "5.1.5", Foreseen.ABSENT, rule),))

The steps are made in order; the first that fails ends the attempt, but for rows of valias whose
mailbox is full.  What is to be forwarded goes out as one mail after all other steps, so an attempt
that a step ended forwards nothing.  `foresee` gives the same plan's meaning at RCPT time, so that the
two never contradict.

Source: spec/delivery.md 4 (order, exit codes, forwards), 5.2 to 5.4, 9.1; spec/smtp.md 4.3.
Not here: how a plan is reached (`delivery.dotqmail`, `delivery.virtual`), how it is carried out
(`serve.local`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from indimail.mail.foreseen import Foreseen
from indimail.mail.outcome import Deferred, Delivered, Failed, Outcome
from indimail.mail.verdict import NO_RULE, Rule

DID_ONE: Final = "did 0+0+1"  # qmail-local's files+forwards+programs: one vdelivermail line
TO_THE_END: Final = 1 << 30  # no line of a file has this number


@dataclass(frozen=True, slots=True)
class Deliver:
    """Store a copy in the Maildir (absolute path, no slash at the end).

    `account` is the mailbox it is meant for, empty for a Maildir that a line names; `text` is said
    beside.  `limit` is the quota that vdelivermail obeys, as it is stored: empty, the one that the
    Maildir's own maildirsize tells; None for qmail-local, which knows no quota.  With a
    `dateformat` the copy goes into the sub-folder of the day on which the mail came.  `is_row`: a
    line of valias says it, so where it is full the other rows are made before the mail bounces.
    """

    maildir: str
    rule: Rule = NO_RULE
    account: str = ""
    text: str = ""
    limit: str | None = None
    dateformat: str = ""
    is_row: bool = False


@dataclass(frozen=True, slots=True)
class Mbox:
    """Append to the file (absolute path)."""

    path: str
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Run:
    """Run a shell command with the mail on its standard input.

    It runs in `home`, where that is not the home of the local address: a virtual user's own.
    After exit 99 the next `skip` steps are left out.  `envdirs` are folders of variables (a file
    each).  `block`: the lines that vdelivermail puts in front of a command's input.
    """

    command: str
    rule: Rule = NO_RULE
    skip: int = TO_THE_END
    envdirs: tuple[str, ...] = ()
    block: bool = False
    home: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """Send on to the address; `text` is said beside."""

    address: str
    rule: Rule = NO_RULE
    text: str = ""


@dataclass(frozen=True, slots=True)
class Relay:
    """Hand over to an SMTP server (``domain:host:port``), recipient unchanged (`address`)."""

    address: str
    route: str
    rule: Rule = NO_RULE
    text: str = ""


@dataclass(frozen=True, slots=True)
class Discard:
    """Done without a copy, as the operator wants it; `text` is for the log, nobody is told.

    `command` runs beside, as with `Fail`.
    """

    text: str
    rule: Rule = NO_RULE
    command: "Command | None" = None


@dataclass(frozen=True, slots=True)
class Command:
    """The over-quota command, which is told of what a quota led to: OVERQUOTA_CMD's arguments."""

    arguments: tuple[str, ...]

    def of(self, size: int) -> "Command":
        """Return it for a mail of this size, where that was not known: its second argument."""
        maildir, _, *rest = self.arguments
        return Command((maildir, str(size), *rest))


@dataclass(frozen=True, slots=True)
class Fail:
    """Bounce.  `status` is the RFC 3463 code, `foreseen` what RCPT would be told.

    `instruction` is the domain's for users who do not exist, where that is why; for the operator.
    `command` runs beside, for a mailbox that is locked.
    """

    text: str
    status: str
    foreseen: Foreseen
    rule: Rule = NO_RULE
    command: Command | None = None
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Defer:
    """Keep the mail and try again; `command` as above."""

    text: str
    rule: Rule = NO_RULE
    command: Command | None = None


Action = Deliver | Mbox | Run | Forward | Relay | Discard | Fail | Defer


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one recipient.

    `owner` is the sender of what is forwarded where it is not the mail's own.  `virtual`: all of it
    is one vdelivermail line, which counts as one program, and forwards with the mail's own sender.
    `only_local`: why mail from other domains is not taken, where it is not (`delivery.localdomains`).
    """

    actions: tuple[Action, ...]
    owner: str = ""
    virtual: bool = False
    only_local: Rule | None = None

    @property
    def rule(self) -> Rule:
        """The rule of the first step."""
        return self.actions[0].rule if self.actions else NO_RULE

    @property
    def instruction(self) -> str:
        """The instruction by which it bounces at once; empty for any other plan."""
        match self.actions:
            case (Fail(instruction=instruction), *_):
                return instruction
            case _:
                return ""

    @property
    def maildir(self) -> str:
        """The only Maildir that this plan touches, and nothing else; empty for any other plan."""
        match self.actions:
            case (Deliver(maildir=maildir),):
                return maildir
            case _:
                return ""


@dataclass(frozen=True, slots=True)
class Jump:
    """A `Run` of a file whose lines are not yet counted as steps: 99 goes on at line `to`."""

    run: Run
    to: int = TO_THE_END


def join(lines: Sequence[tuple[int, Jump | tuple[Action, ...]]]) -> tuple[Action, ...]:
    """Return the steps of a file's lines, in order, with what each 99 leaves out counted."""
    counts = [(number, 1 if isinstance(what, Jump) else len(what)) for number, what in lines]
    actions: list[Action] = []
    for at, (_, what) in enumerate(lines):
        if isinstance(what, Jump):
            skip = sum(count for number, count in counts[at + 1 :] if number < what.to)
            actions.append(replace(what.run, skip=skip))
        else:
            actions += what
    return tuple(actions)


def foresee(plan: Plan) -> Foreseen:
    """Say what RCPT is told: only what the delivery would bounce is refused.

    A plan that defers is accepted: the operator mends the line, the mail waits.  So is an alias
    (spec/delivery.md 9.1), and what fails only after a step was made.  An accounts lookup that failed
    never becomes a plan: the caller says `Foreseen.UNKNOWN`.
    """
    match plan.actions:
        case (Fail(foreseen=foreseen), *_):
            return foreseen
        case _:
            return Foreseen.DELIVERABLE


def discarded(fail: Fail) -> Discard:
    """Return what DISCARD_BOUNCE makes of what vdelivermail would bounce."""
    return Discard(f"{fail.text}, discarded (DISCARD_BOUNCE)", fail.rule, fail.command)


def joined(failures: Sequence[Failed]) -> Failed:
    """Return the end of a delivery of whose rows some failed; the first one's rule."""
    return Failed("\n".join(failure.text for failure in failures), failures[0].rule)


def outcome(action: Discard | Fail | Defer) -> Outcome:
    """Return the recipient's outcome of a step that needs no disk."""
    match action:
        case Discard(text, rule):
            return Delivered(text, rule)
        case Fail(text=text, rule=rule):
            return Failed(text, rule)
        case Defer(text=text, rule=rule):
            return Deferred(text, rule)
