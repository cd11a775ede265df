"""A login with a password: right or wrong, and its hash made anew where a better one is made today.

    account = lookup.find("alice", "example.com")           # or None
    opened = open_account(accounts, account, b"secret", Storing(Method.ARGON2ID, Mechanism.SHA256))
    opened            -> the account as it is stored now, or None: no such user, or wrong

With `bounds` (`accounts.limits`) a right password may open nothing, and then says why: an `Ended`.
The account that comes back has the flags of its limits too, and is not one to be stored.

A wrong password and no such user take the same time.  It takes tens of milliseconds, so it is
called on a thread (`app.aside`); who keeps accounts in a cache forgets one that came back with
another hash.

A hash is replaced only where it still is the one that was compared, so a password that is set
meanwhile stays; where that fails the login is as good, and the next one tries again.

Sources: spec/cluster-users.md 3.3, 3.4.
Not here: whether the account may use the service (its flags).
"""

from dataclasses import dataclass, replace

import scramp.utils  # noqa: F401  of accounts.scram: before a worker may not read the library

from indimail.accounts.limits import UNBOUNDED, Bounds, Ended
from indimail.accounts.passwords import Checked, Method, check, hash_password
from indimail.accounts.port import Account, Accounts
from indimail.accounts.scram import Mechanism, make_scram, split_stored
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret


@dataclass(frozen=True, slots=True)
class Storing:
    """How a password of a domain is stored today; `mechanism` None: without keys of SCRAM."""

    method: Method
    mechanism: Mechanism | None


def open_account(
    accounts: Accounts,
    account: Account | None,
    given: bytes,
    storing: Storing,
    bounds: Bounds = UNBOUNDED,
) -> Account | Ended | None:
    """Return the account that a password opens; None: it opens none."""
    if account is None:
        check(None, given, storing.method)
        return None
    hashed, scram = split_stored(account.password, account.scram)
    checked = check(hashed, given, storing.method)
    if checked is Checked.WRONG:
        return None
    if checked is Checked.WEAK and bounds.ended is None:
        account = _stored_anew(accounts, account, given, storing, scram)
    return bounded(account, bounds)


def bounded(account: Account, bounds: Bounds) -> Account | Ended:
    """Return what an account is to who has shown to know its password."""
    if bounds.ended is not None:
        return bounds.ended
    return replace(account, flags=account.flags | bounds.flags) if bounds.flags else account


def _stored_anew(
    accounts: Accounts, account: Account, given: bytes, storing: Storing, scram: Secret
) -> Account:
    """Store what is made of the password today; an old column scram still fits it."""
    password = given.decode("utf-8", "surrogateescape")
    hashed = hash_password(password, storing.method)
    scram = scram or make_scram(password, storing.mechanism) or Secret("")
    try:
        stored = accounts.set_password(
            account.name, account.domain, hashed, scram, old=account.password
        )
    except AccountsUnavailable:
        return account
    return replace(account, password=hashed, scram=scram) if stored else account
