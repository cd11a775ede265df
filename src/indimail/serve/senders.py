"""Is this sender one of ours?  CHECKSENDER's look-up.

    find = SenderLookup(foresight, users)
    find(Address("ana", "example.com"), "example.com-ana@example.com")
        -> SenderFound(SenderState.THERE, "ana@example.com")

A sender is there where mail to it would be delivered.  Runs on a thread.

Source: spec/smtp.md 5.3.  Not here: what follows from it (`policy.sender`).
"""

from dataclasses import dataclass
from typing import Final

from indimail.accounts.port import Flag, Lookup
from indimail.delivery.plan import foresee
from indimail.mail.address import Address
from indimail.mail.foreseen import Foreseen
from indimail.policy.sender import SenderState
from indimail.serve.foresight import Foresight
from indimail.serve.login import split_login
from indimail.serve.reception import SenderFound

_STATES: Final = {
    Foreseen.ABSENT: SenderState.ABSENT,
    Foreseen.INACTIVE: SenderState.CLOSED,
    Foreseen.UNKNOWN: SenderState.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class SenderLookup:
    """Looks where deliveries look."""

    foresight: Foresight
    users: Lookup

    def __call__(self, address: Address, target: str) -> SenderFound:
        """Tell of a sender in a domain of ours; `target` is where its mail goes."""
        state = _STATES.get(foresee(self.foresight.decide(target).plan))
        if state is not None:
            return SenderFound(state)
        name, domain = split_login(str(address), "")
        domain = self.users.real_domain(domain)
        account = self.users.known(name, domain).account
        if account is not None and Flag.NO_SMTP in account.flags:
            return SenderFound(SenderState.CLOSED)
        return SenderFound(SenderState.THERE, f"{name}@{domain}")
