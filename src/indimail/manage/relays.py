"""Logins by POP3 and IMAP that let a client relay, as an administrator sees and makes them.

    add_login(accounts, "alice", "example.com", "192.0.2.7", 1_795_000_000)
    expire_logins(accounts, now=1_795_003_600.0, minutes=60)       -> how many are gone

Neither writes tcp.smtp or its data base.

Source: spec/smtp.md 3.3.  Not here: what a row permits (`serve.logins`).
"""

import os

from indimail.accounts.port import Accounts, Flag, RelayLogin
from indimail.manage.site import Refused


def login_of(
    accounts: Accounts, name: str, domain: str, ip: str, time: int
) -> RelayLogin | Refused:
    """Return the row of a login; refuse one that nothing would ever look at."""
    account = accounts.find(name, domain)
    if account is None or not account.active:
        return Refused(f"{name}@{domain}: no such user, or inactive", os.EX_NOUSER, os.EX_NOUSER)
    if Flag.NO_RELAY in account.flags:
        return Refused(f"{account.address}: may not relay", os.EX_NOPERM, os.EX_NOPERM)
    return RelayLogin(account.address, ip, time)


def is_over(login: RelayLogin, now: float, minutes: int) -> bool:
    """Tell whether a login permits nothing any more."""
    return login.time <= now - 60 * minutes


def expire_logins(accounts: Accounts, now: float, minutes: int) -> int:
    """Remove the logins that are over, and return how many there were."""
    return accounts.expire_relay_logins(int(now - 60 * minutes))
