"""A login as a value: who says to be whom, from where, and what came of it.

    Attempt("PLAIN", Password("ana@example.com", Secret(***)), "192.0.2.7", Flag.NO_SMTP, settings)
    LoggedIn("ana@example.com", relays=True, rule=Rule("accounts", key="ana@example.com"))
    Denied(Why.WRONG, "wrong name or password", rule)

Not here: who decides it (`serve.authentication`).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from indimail.accounts.port import Flag
from indimail.mail.address import domain_key
from indimail.mail.verdict import NO_RULE, Rule
from indimail.wire.sasl_server import Credentials

OURS: Final = "vchkpass"  # the module that knows our accounts
PER_USER: Final = 100


class Why(Enum):
    """Why somebody is not logged in."""

    WRONG = "wrong name or password"
    UNBOUND = "not bound to this TLS channel"
    CLOSED = "the account may not log in"
    LIMITED = "too many failures"
    LATER = "temporary failure"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who it is: the address of the account; without `relays` it may write to us alone."""

    user: str
    relays: bool = True
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Denied:
    """Nobody is; `text` is for the log, and where the account is CLOSED for the client too."""

    why: Why
    text: str = ""
    rule: Rule = NO_RULE
    repeated: bool = False  # wrong as before: nothing new was tried


Outcome = LoggedIn | Denied


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """What logins of a client go by.  Limits of failures: 0, none; `per_client` None: not set."""

    default_domain: str = ""
    modules: tuple[str, ...] = (OURS,)
    oauth: tuple[str, ...] = ()  # programs that know tokens
    per_client: int | None = None
    per_client_rule: Rule = NO_RULE
    per_user: int = PER_USER
    per_user_rule: Rule = NO_RULE
    domain_limits: bool = False  # limits of domains close services too
    allow_inactive: bool = False
    hash_is_secret: bool = False  # ENABLE_CRAM
    strip_domain: bool = False  # programs get the name before the "@"
    postauth: str = ""  # a program that has the last word


@dataclass(frozen=True, slots=True)
class Attempt:
    """One login; `closed_by` is the flag that closes the service to an account."""

    mechanism: str
    credentials: Credentials
    client_ip: str
    closed_by: Flag
    settings: AuthSettings
    service: str = "SMTP"

    @property
    def login(self) -> str:
        """Who the client says to be, in one spelling."""
        return self.credentials.user.lower()


def split_login(user: str, default_domain: str) -> tuple[str, str]:
    """Return name and domain of a login, in lower case (spec/cluster-users.md 3.1)."""
    for separator in "@%:":
        name, found, domain = user.rpartition(separator)
        if found:
            return name.lower(), domain_key(domain)
    return user.lower(), default_domain
