"""SRS outside of SMTP: senders of forwards are rewritten, and mail for a rewritten one finds the sender.

    sender = rewritten("eve@example.net", [Channel.REMOTE], snapshot, now)
    addresses = originals(["SRS0=vmyz=2W=example.net=eve@srs.example.org"], snapshot.signing, now)

Rewritten is the sender of a mail that leaves this machine, unless his domain is ours: the next host
may ask whether we are one of the domain's (SPF), and of other domains we are not.  With
srs_alwaysrewrite it is as with IndiMail: every forward's, but for senders of srs_domain.

Source: spec/smtp.md 8.6; spec/queue.md 3.6, 6.1.  Not here: the address itself (`mail.srs`), RCPT
(`policy.signing`).
"""

from collections.abc import Iterable
from typing import Protocol

from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.policy.relay import RelayRules, is_ours
from indimail.policy.signing import Signing


class Rules(Protocol):
    """The part of the configuration snapshot that is looked at."""

    @property
    def relay(self) -> RelayRules: ...
    @property
    def signing(self) -> Signing: ...


def rewritten(sender: str, channels: Iterable[Channel], rules: Rules, now: float) -> str:
    """Return the sender of a forward to recipients in these channels.

    A null one has nobody to return to; one at ``[]`` is a double bounce's, or a list's that is to be
    expanded for each recipient.
    """
    srs, address = rules.signing.srs, Address.parse(sender)
    if srs is None or not address.local or address.domain in ("", "[]"):
        return sender
    if not srs.always:
        leaves = Channel.REMOTE in channels
        if not leaves or is_ours(address.domain, rules.relay) is not None:
            return sender
    return str(srs.rewritten(address, now))


def originals(addresses: Iterable[str], signing: Signing, now: float) -> tuple[str, ...]:
    """Return whom mail for these addresses is for; of a forged one nothing is known."""
    return tuple(original(address, signing, now) for address in addresses)


def original(address: str, signing: Signing, now: float | None) -> str:
    """Return the one that a rewritten sender stands for; without a time whatever its age."""
    srs = signing.srs
    if srs is None:
        return address
    parsed = Address.parse(address)
    if not srs.is_rewritten(parsed):
        return address
    found = srs.original(parsed, now)
    return str(found) if isinstance(found, Address) else address
