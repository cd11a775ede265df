"""Logins by POP3 and IMAP, and the mail that they let a client send afterwards.

    hook = LoginHook(accounts, lambda: config.current, clock, changed)
    hook.logged_in(account, "192.0.2.7", "pop3")     # after a right password; on a thread

    find_login(lookup, reverse_path, "192.0.2.7", CheckRelay.ACCOUNT)    -> RelayLogin(...), or None

A row of the table `relay` says who logged in from where, and when.  With CHECKRELAY a client may send
to any domain if the sender's account has logged in from the client's very address less than
RELAY_CLEAR_MINUTES ago; with ``CHECKRELAY=ip`` if any account has.  A domain's other names count as
the domain; users with NO_RELAY never do, whatever row there is.

No row is ever written into tcp.smtp or its data base: what an operator wrote stays what he wrote.

Source: spec/smtp.md 3.3.  Not here: the decision (`policy.relay`), the table (`accounts`).
"""

from collections.abc import Callable
from enum import StrEnum

from indimail.accounts.port import Account, Accounts, Flag, Lookup, RelayLogin
from indimail.mail.address import Address, domain_key
from indimail.mail.clock import Clock
from indimail.mail.ip import ip_of, plain_ip
from indimail.serve.snapshot import Snapshot


class CheckRelay(StrEnum):
    """What CHECKRELAY says has to be that of a login."""

    ACCOUNT = "account"  # the client's address and the sender's account
    ADDRESS = "ip"  # the client's address alone


def find_login(lookup: Lookup, sender: Address, ip: str, check: CheckRelay) -> RelayLogin | None:
    """Return the last login that speaks for this client.  Raises `AccountsUnavailable`."""
    if check is CheckRelay.ADDRESS:
        logins = lookup.relay_logins_from(ip)
        return next((login for login in logins if _may_relay(lookup, *_split(login.email))), None)
    name, domain = sender.local.lower(), domain_key(sender.domain)
    if not name or not domain:
        return None
    domain = lookup.real_domain(domain)
    logins = lookup.relay_logins(name, domain)
    login = next((login for login in logins if login.ip == ip), None)
    return login if login is not None and _may_relay(lookup, name, domain) else None


def _may_relay(lookup: Lookup, name: str, domain: str) -> bool:
    account = lookup.find(name, domain)
    return account is not None and account.active and Flag.NO_RELAY not in account.flags


def _split(email: str) -> tuple[str, str]:
    name, _, domain = email.rpartition("@")
    return name, domain


class LoginHook:
    """What follows a login by POP3 or IMAP, here or behind a proxy."""

    def __init__(
        self,
        accounts: Accounts,
        config: Callable[[], Snapshot],
        clock: Clock,
        changed: Callable[[str, str], None],
    ) -> None:
        """`changed` makes all workers forget a user, ours first."""
        self._accounts = accounts
        self._config = config
        self._clock = clock
        self._changed = changed

    def logged_in(self, account: Account, ip: str, listener: str) -> bool:
        """Keep the login; False where it is not to be kept.  Raises `AccountsUnavailable`.

        `account` has the flags of its limits too.  Not kept: of who may not relay, where NORELAY is
        set, and of a client that tcp.smtp lets relay anyway.
        """
        if Flag.NO_RELAY in account.flags or ip_of(plain_ip(ip)) is None:
            return False
        snapshot = self._config()
        rule = snapshot.tcp_rules.find(ip)
        if "RELAYCLIENT" in rule.variables or snapshot.session(listener, rule).norelay:
            return False
        login = RelayLogin(account.address, plain_ip(ip), int(self._clock.now()))
        self._accounts.put_relay_login(login)
        self._changed(account.name, account.domain)
        return True
