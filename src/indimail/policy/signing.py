"""Senders leave here marked, and what comes back for one is asked for the mark, first of all at RCPT.

    judge_returned(facts, signing, now)
        -> None                                  it is an address like any other
        -> Returned(ana@example.net, rule, ...)  that is who is meant
        -> Refuse(553 ...), TryLater(451 ...)    it is forged, or of another time

A tag of BATV is taken off recipients of ours; a bounce without one, or with a bad one, is refused,
unless the client may relay.  A rewritten sender (SRS) then becomes the sender it stands for, wherever
that is: who has it has had mail of his, and no other permission is needed.

A rewritten sender is signed by that, so BATV neither signs it nor asks it for a signature.

Sources: spec/smtp.md 4.1 (steps 3, 4), 8.6.  Not here: the tags (`mail.batv`, `mail.srs`).
"""

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from indimail.mail.address import Address
from indimail.mail.batv import Batv, Mark
from indimail.mail.reply import Reply
from indimail.mail.srs import Forged, Srs
from indimail.mail.verdict import NO_RULE, Refuse, Rule, TryLater


@dataclass(frozen=True, slots=True)
class Signing:
    """How senders are marked on their way out; None: they are not."""

    srs: Srs | None = None
    batv: Batv | None = None

    def __bool__(self) -> bool:
        """Tell whether any is."""
        return self.srs is not None or self.batv is not None


class ReturnFacts(Struct, frozen=True):
    """One RCPT TO; `may_relay`: the client has a permission for any domain."""

    reverse_path: Address
    forward_path: Address
    may_relay: bool = False


class Returned(Struct, frozen=True):
    """Who is meant.  `srs_rule` permits mail to him, wherever he is; NO_RULE: nothing does."""

    address: Address
    srs_rule: Rule = NO_RULE


def judge_returned(
    facts: ReturnFacts, signing: Signing, now: float
) -> Returned | Refuse | TryLater | None:
    """Say who is meant.  Raises nothing."""
    address, batv, srs = facts.forward_path, signing.batv, signing.srs
    if batv is not None and batv.takes(address):
        found = batv.examined(address, now)
        is_signed_by_srs = srs is not None and srs.is_rewritten(found.address)
        is_asked = batv.expects(address) and not is_signed_by_srs and not facts.may_relay
        if is_asked and _is_bounce(facts.reverse_path) and found.mark in _REFUSALS:
            return Refuse(_REFUSALS[found.mark], batv.rule, f"batv: {found.mark.value}")
        address = found.address
    if srs is None or not srs.is_rewritten(address):
        return Returned(address) if address != facts.forward_path else None
    original = srs.original(address, now)
    if isinstance(original, Forged):
        return TryLater(_NOT_DECODED, srs.rule, f"srs: {original.reason}")
    return Returned(original, srs.rule)


def signed(sender: Address, recipient: Address, signing: Signing, now: float) -> Address:
    """Return what a sender is called to the host of this recipient (spec/queue.md 3.6)."""
    srs, batv = signing.srs, signing.batv
    if batv is None or not batv.signs(sender, recipient):
        return sender
    return sender if srs is not None and srs.is_rewritten(sender) else batv.signed(sender, now)


def own_signature(sender: Address, signing: Signing, now: float) -> Address:
    """Return a sender that we signed ourselves without its tag, any other one as it is (5.1, 2)."""
    batv = signing.batv
    if batv is None or not batv.takes(sender):
        return sender
    found = batv.examined(sender, now)
    return found.address if found.mark in (Mark.SIGNED, Mark.STALE) else sender


def _is_bounce(reverse_path: Address) -> bool:
    return not reverse_path or reverse_path.local.lower() == "mailer-daemon"


_REFUSALS: Final = {
    Mark.NONE: Reply(553, "5.7.1", "Not our message (#5.7.1)"),
    Mark.WRONG: Reply(553, "5.7.1", "message format wrong (#5.7.1)"),
    Mark.STALE: Reply(553, "5.7.1", "message expired (#5.7.1)"),
}
_NOT_DECODED: Final = Reply(451, "4.3.0", "failed to decode srs address (#4.3.0)")
