"""What is to be done for one recipient: a `Plan`, decided before anything is touched.

    match decide_virtual(facts):
        case Deliver(maildir, rule): ...      # stage and publish, then Delivered(DID_ONE, rule)
        case Redirect(user, domain): ...      # gather the facts of that mailbox, decide again
        case ended: outcome(ended)            # Discard, Fail and Defer need no disk

`foresee` gives the same plan's meaning at RCPT time, so that the two never contradict.

Source: spec/delivery.md 5.2 to 5.4, 9.1; spec/smtp.md 4.3.  Not here: how a plan is reached
(`delivery.virtual`), how a copy is written (`mailbox.maildir`).
"""

from dataclasses import dataclass
from typing import Final

from indimail.mail.foreseen import Foreseen
from indimail.mail.outcome import Deferred, Delivered, Failed, Outcome
from indimail.mail.verdict import NO_RULE, Rule

DID_ONE: Final = "did 0+0+1"  # qmail-local's files+forwards+programs: one vdelivermail line


@dataclass(frozen=True, slots=True)
class Deliver:
    """Store a copy in the Maildir (absolute path, no slash at the end)."""

    maildir: str
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Redirect:
    """The mailbox `user@domain` is meant; `alias` is the address that led there."""

    user: str
    domain: str
    alias: str
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Discard:
    """Done without a copy, as the operator wants it; `text` is for the log, nobody is told."""

    text: str
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Fail:
    """Bounce.  `status` is the RFC 3463 code, `foreseen` what RCPT would be told."""

    text: str
    status: str
    foreseen: Foreseen
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Defer:
    """Keep the mail and try again."""

    text: str
    rule: Rule = NO_RULE


Plan = Deliver | Redirect | Discard | Fail | Defer


def foresee(plan: Plan) -> Foreseen:
    """Say what RCPT is told: only what the delivery would bounce is refused.

    A plan that defers is accepted: the operator mends the line, the mail waits.  So is an alias
    (spec/delivery.md 9.1).  An accounts lookup that failed never becomes a plan: the caller says
    `Foreseen.UNKNOWN`.
    """
    return plan.foreseen if isinstance(plan, Fail) else Foreseen.DELIVERABLE


def outcome(plan: Discard | Fail | Defer) -> Outcome:
    """Return the recipient's outcome of a plan that needs no disk."""
    match plan:
        case Discard(text, rule):
            return Delivered(text, rule)
        case Fail(text=text, rule=rule):
            return Failed(text, rule)
        case Defer(text, rule):
            return Deferred(text, rule)
