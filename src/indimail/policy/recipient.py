"""What is asked about a recipient besides relaying: one question before it, one after.

    judge_recipient(facts, limits)    -> None, or the refusal       before `relay.decide_relay`
    judge_mailbox(Foreseen.ABSENT, rule, reverse_path, forward_path) -> Refuse(550 5.1.1 ...)

`judge_mailbox` is asked with CHECKRECIPIENT, for domains of ours: the delivery's own decision says
what would become of the mail, so nothing is refused that the delivery would take.

The count of invalid recipients is looked at before the database is: who guesses names learns no
more of them.

Source: spec/smtp.md 4.1 (steps 5, 11, 16), 4.3.  Not here: the number of recipients of one
transaction (`smtp.session`), how long a refused client is made to wait (`serve`).
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Final, assert_never

from msgspec import Struct

from indimail.mail.address import Address
from indimail.mail.foreseen import Foreseen
from indimail.mail.ip import literal
from indimail.mail.reply import Reply
from indimail.mail.verdict import Accept, Refuse, Rule, TryLater


class RecipientFacts(Struct, frozen=True):
    """One RCPT TO; `accepted` and `invalid` count those before it in the transaction."""

    reverse_path: Address
    forward_path: Address
    accepted: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class RecipientLimits:
    """MAX_RCPT_ERRCOUNT, 0 = no limit, and the place that set it."""

    max_rcpt_errcount: int = 0
    rule: Rule = Rule("built-in", key="MAX_RCPT_ERRCOUNT")


def at_our_host(address: Address, ours: Container[str], localiphost: str) -> Address:
    """Return ``box@[192.0.2.7]`` as ``box@localiphost`` where that address is one of ours.

    RFC 5321 4.1.3 writes IPv6 as ``[IPv6:2001:db8::1]``.
    """
    ip = literal(address.domain)
    return Address(address.local, localiphost) if ip is not None and ip in ours else address


def judge_recipient(facts: RecipientFacts, limits: RecipientLimits) -> Refuse | TryLater | None:
    """Return why this recipient cannot be, whoever asks; None where nothing speaks against it."""
    if 0 < limits.max_rcpt_errcount <= facts.invalid:
        return TryLater(TOO_MANY_INVALID, limits.rule, f"{facts.invalid} invalid recipients")
    if not _ROUTING.isdisjoint(facts.forward_path.local):
        return _PROBE
    if facts.accepted and not facts.reverse_path:
        return _SECOND_OF_A_BOUNCE
    return None


def judge_mailbox(
    foreseen: Foreseen, rule: Rule, reverse_path: Address, forward_path: Address
) -> Accept | Refuse | TryLater:
    """Return the verdict that follows from what the delivery foresees; `rule` is the delivery's."""
    match foreseen:
        case Foreseen.DELIVERABLE:
            return Accept(rule, "the delivery would take it")
        case Foreseen.ABSENT:
            status, word = "5.1.1", "absent"
        case Foreseen.INACTIVE:
            status, word = "5.2.1", "inactive"
        case Foreseen.LOCKED:
            status, word = "5.2.2", "overquota"
        case Foreseen.UNKNOWN:
            return TryLater(_DATABASE, rule, "the accounts did not answer")
        case _:
            assert_never(foreseen)
    sender, mailbox = _shown(reverse_path), _shown(forward_path)
    text = f"sorry, {sender} mailbox {mailbox} is {word} on this domain (#{status})"
    return Refuse(Reply(550, status, text), rule, f"the mailbox is {word}")


def _shown(address: Address) -> str:
    """Return an address so that the reply stays below its 512 octets (RFC 5321 4.5.3.1.5)."""
    text = str(address) or "<>"
    return text if len(text) <= 200 else f"{text[:197]}..."


_ROUTING: Final = frozenset("@%!")  # ways to ask for another host in the local part
_PROBE: Final = Refuse(
    Reply(550, "5.7.1", "we don't relay (#5.7.1)"),
    Rule("built-in", key="relay probe"),
    "the local part names another host",
)
_SECOND_OF_A_BOUNCE: Final = Refuse(
    Reply(553, "5.7.1", "sorry, bounce messages should have a single envelope recipient (#5.7.1)"),
    Rule("built-in", key="bounce recipients"),
    "a bounce goes to one recipient",
)
TOO_MANY_INVALID: Final = Reply(421, "4.7.1", "too many invalid addresses, goodbye (#4.7.1)")
_DATABASE: Final = Reply(451, "4.3.2", "Sorry, I got a temporary database error (#4.3.2)")
