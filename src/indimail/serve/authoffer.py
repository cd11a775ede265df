"""Which mechanisms EHLO lists: those that somebody here can use.

    offer = AuthOffer(users, accounts, aside, clock)
    offer.refresh()                     # asks the database, on a thread
    offer.hidden(settings)              -> frozenset({"CRAM-MD5", ...})
    offer.changed("ana", "example.com"); offer.tick(now)

A client picks from the list before it says who it is, most of them CRAM before PLAIN, and does not try
another when it is refused.  So what needs a clear text or keys (`accounts.scram`) is listed once at
least one user has them, within a moment of the command that stored them.  Until the database has
answered, what passwords are stored with today is taken for what is there.

Source: docs/adr/0041; docs/adr/0024.  Not here: what the operator switched off (`app.sessions`).
"""

from dataclasses import dataclass, field
from typing import Final

from indimail.accounts.port import Accounts, Lookup
from indimail.accounts.scram import Form, form_of
from indimail.mail.clock import Clock
from indimail.serve.hands import RunAside
from indimail.serve.login import OURS, AuthSettings
from indimail.wire.sasl_server import MECHANISMS

EVERY: Final = 600.0  # seconds: what others changed in the database
SOON: Final = 5.0  # after changes of whole domains


def _needs(mechanism: str) -> Form:
    """Return the forms one of which a mechanism needs; none for what needs the password alone."""
    if mechanism.startswith("SCRAM-SHA-1"):
        return Form.CLEAR | Form.SHA1
    if mechanism.startswith("SCRAM"):
        return Form.CLEAR | Form.SHA256
    return Form.CLEAR if mechanism.startswith("CRAM") else Form(0)


_NEEDS: Final = {name: _needs(name) for name in MECHANISMS}


@dataclass(slots=True)
class AuthOffer:
    """What a worker knows of stored passwords."""

    users: Lookup
    accounts: Accounts
    aside: RunAside
    clock: Clock
    _forms: Form = Form.SHA256
    _due: float = 0.0
    _kept: dict[tuple[Form, bool, bool], frozenset[str]] = field(default_factory=dict)

    def hidden(self, settings: AuthSettings) -> frozenset[str]:
        """Return what is not listed."""
        forms = self._forms
        others = settings.modules != (OURS,)  # programs may know more
        key = (forms, others, settings.hash_is_secret)
        found = self._kept.get(key)
        if found is None:
            found = frozenset(
                name for name, needs in _NEEDS.items()
                if needs and not needs & forms
                and not (name.startswith("CRAM") and (others or settings.hash_is_secret))
            )  # fmt: skip
            self._kept[key] = found
        return found

    def refresh(self) -> None:
        """Ask the database."""

        def told(result: object) -> None:
            if isinstance(result, Form):
                self._forms = result

        self._due = self.clock.steady() + EVERY
        self.aside(self.accounts.credential_forms, told)

    def changed(self, name: str, domain: str) -> None:
        """An account changed: it may be the first that has something, or the last."""
        if not name:
            self._due = min(self._due, self.clock.steady() + SOON)
            return

        def look() -> Form:
            account = self.users.known(name, domain).account
            return form_of(account.password, account.scram) if account else Form(0)

        def told(result: object) -> None:
            if isinstance(result, Form):
                self._forms |= result

        self.aside(look, told)

    def tick(self, now: float) -> None:
        """Once a second."""
        if now >= self._due:
            self.refresh()
