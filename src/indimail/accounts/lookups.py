"""What the mail path asks the database: a user, its aliases, limits, logins, whose a lock is, ...

    database.ask(find, "alice", "example.com")

An answer is what was asked for, octet by octet: IndiMail's tables in MariaDB compare without case
and accents, so that is looked at here again.

Source: spec/cluster-users.md 1.4.  Not here: the cache in front (`accounts.cache`), what commands
ask (`accounts.lists`).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, String, Table, bindparam, literal_column, select, union_all

from indimail.accounts.database import rows
from indimail.accounts.port import (
    LIMITS,
    MOST_LOGINS,
    NO_DEFAULT,
    Account,
    Flag,
    Known,
    Limits,
    RelayLogin,
    is_storable,
    limited,
)
from indimail.accounts.question import Question
from indimail.accounts.tables import (
    ALIASDOMAIN,
    INDIBAK,
    INDIMAIL,
    RELAY,
    USERQUOTA,
    VALIAS,
    VLIMITS,
)
from indimail.mail.ip import MAPPED, plain_ip
from indimail.mail.secret import Secret

ACTIVE: Final = ((INDIMAIL, 1), (INDIBAK, 0))
FIELDS: Final = (
    "pw_name",
    "pw_domain",
    "pw_passwd",
    "pw_uid",
    "pw_gid",
    "pw_gecos",
    "pw_dir",
    "pw_shell",
    "scram",
)


def accounts_in(table: Table, active: int) -> Any:  # noqa: ANN401 - a Select of such rows
    """Select accounts of a table, as `account_of` takes them."""
    return select(
        *(table.c[field] for field in FIELDS), literal_column(str(active)).label("active")
    )


def named(table: Table, active: int) -> Any:  # noqa: ANN401 - as above
    """Select the account `name` of `domain` in a table."""
    return accounts_in(table, active).where(
        table.c.pw_domain == bindparam("domain"), table.c.pw_name == bindparam("name")
    )


_LINE: Final = 2
# The lines of a name in the shape of accounts, with a mark of their own.
_LINES: Final = select(
    VALIAS.c.alias,
    VALIAS.c.domain,
    VALIAS.c.valias_line,
    *map(literal_column, ("0", "0", "''", "''", "''", "''")),
    literal_column(str(_LINE)),
).where(VALIAS.c.domain == bindparam("domain"))
_FIND: Final = Question(union_all(*(named(*table) for table in ACTIVE)))
_ALIASES: Final = Question(
    select(VALIAS.c.alias, VALIAS.c.domain, VALIAS.c.valias_line).where(
        VALIAS.c.alias == bindparam("name"), VALIAS.c.domain == bindparam("domain")
    )
)
_KNOWN: Final = Question(
    union_all(
        *(named(*table) for table in ACTIVE), _LINES.where(VALIAS.c.alias == bindparam("name"))
    )
)
MANY: Final = 64  # names of a question at most


@cache
def _known_of(number: int) -> Question:
    """Return the question for all that is known of so many names of a domain: name0, name1 ..."""
    names = [bindparam(f"name{place}", type_=String) for place in range(number)]
    return Question(
        union_all(
            *(
                accounts_in(table, active).where(
                    table.c.pw_domain == bindparam("domain"), table.c.pw_name.in_(names)
                )
                for table, active in ACTIVE
            ),
            _LINES.where(VALIAS.c.alias.in_(names)),
        )
    )


_REAL_DOMAIN: Final = Question(
    select(ALIASDOMAIN.c.alias, ALIASDOMAIN.c.domain).where(
        ALIASDOMAIN.c.alias == bindparam("alias")
    )
)
_USERQUOTA: Final = Question(
    select(USERQUOTA.c.quota).where(
        USERQUOTA.c.user == bindparam("name"), USERQUOTA.c.domain == bindparam("domain")
    )
)
_LIMITS: Final = Question(
    select(VLIMITS.c.domain, *(VLIMITS.c[name] for name in LIMITS)).where(
        VLIMITS.c.domain == bindparam("subject")
    )
)
_NEWEST: Final = (
    select(RELAY.c.email, RELAY.c.ipaddr, RELAY.c.timestamp)
    .order_by(RELAY.c.timestamp.desc())
    .limit(MOST_LOGINS)
)
_LOGINS: Final = _NEWEST.where(RELAY.c.email == bindparam("email"))
# IndiMail may have written an IPv4 address as one of IPv6.
_LOGINS_FROM: Final = _NEWEST.where(RELAY.c.ipaddr.in_([bindparam("ip"), bindparam("mapped")]))


def find(db: Connection, name: str, domain: str) -> Account | None:
    """Return the account, active or not; an active row wins."""
    return found_in(_FIND.rows(db, name=name, domain=domain), name, domain)


def aliases(db: Connection, name: str, domain: str) -> list[str]:
    """Return the alias lines, sorted."""
    lines = _ALIASES.rows(db, name=name, domain=domain)
    return sorted(row[2] for row in lines if row[:2] == (name, domain))


def known(db: Connection, name: str, domain: str) -> Known:
    """Return what `find` and `aliases` do, with one query.

    A name beyond ASCII takes two: one table may have its characters, and another not.
    """
    if not name.isascii():
        return Known(find(db, name, domain), tuple(aliases(db, name, domain)))
    return _known_in(_KNOWN.rows(db, name=name, domain=domain), name, domain)


def known_all(db: Connection, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
    """Return `known` of many, with a query for each domain."""
    asked = {(name, domain): Known(None, ()) for name, domain in names}
    domains: dict[str, list[str]] = {}
    for name, domain in asked:
        if name.isascii() and is_storable(name) and is_storable(domain):
            domains.setdefault(domain, []).append(name)
        else:
            asked[name, domain] = known(db, name, domain)
    for domain, those in domains.items():
        by_name: dict[str, list[Sequence[Any]]] = {}
        for row in _rows_of_all(db, those, domain):
            by_name.setdefault(row[0], []).append(row)
        asked |= {(name, domain): _known_in(by_name.get(name, ()), name, domain) for name in those}
    return asked


def _rows_of_all(db: Connection, names: Sequence[str], domain: str) -> Iterator[Sequence[Any]]:
    """Yield the rows of names; some are asked for twice, so that there are few questions to prepare."""
    for start in range(0, len(names), MANY):
        some = names[start : start + MANY]
        number = 1 << (len(some) - 1).bit_length()
        keys = {f"name{place}": some[place % len(some)] for place in range(number)}
        yield from _known_of(number).rows(db, domain=domain, **keys)


def _known_in(there: Sequence[Sequence[Any]], name: str, domain: str) -> Known:
    lines = (row[2] for row in there if row[-1] == _LINE and row[:2] == (name, domain))
    accounts = (row for row in there if row[-1] != _LINE)
    return Known(found_in(accounts, name, domain), tuple(sorted(lines)))


def real_domain(db: Connection, domain: str) -> str:
    """Return the domain that an alias domain stands for; any other as it is."""
    pairs = _REAL_DOMAIN.rows(db, alias=domain)
    return next((row[1] for row in pairs if row[0] == domain), domain)


def userquota(db: Connection, name: str, domain: str) -> int:
    """Return the octets that the quota's lock was set with; 0: no lock of the quota's."""
    locks = _USERQUOTA.rows(db, name=name, domain=domain)
    return int(locks[0][0]) if locks else 0


def limits(db: Connection, name: str, domain: str) -> Limits | None:
    """Return the limits of a user's own, or with an empty name those of the domain."""
    subject = limited(name, domain)
    found = (row for row in _LIMITS.rows(db, subject=subject) if row[0] == subject)
    # What IndiMail writes for no quota is more than a number of ours can be.
    numbers = ([min(number, NO_DEFAULT) for number in row[1:]] for row in found)
    return next((Limits(name, domain, *values) for values in numbers), None)


def relay_logins(db: Connection, name: str, domain: str) -> tuple[RelayLogin, ...]:
    """Return the newest logins of a user, one from each address."""
    email = f"{name}@{domain}"
    found = map(login_of, rows(db, _LOGINS, email=email))
    return tuple(login for login in found if login.email == email)


def relay_logins_from(db: Connection, ip: str) -> tuple[RelayLogin, ...]:
    """Return the newest logins from an address, one of each user."""
    found = map(login_of, rows(db, _LOGINS_FROM, ip=ip, mapped=f"{MAPPED}{ip}"))
    return tuple(login for login in found if login.ip == ip)


def login_of(row: Sequence[Any]) -> RelayLogin:
    """Return the login of a row."""
    email, ip, time = row
    return RelayLogin(email, plain_ip(ip), int(time or 0))


def found_in(candidates: Iterable[Sequence[Any]], name: str, domain: str) -> Account | None:
    """Return the account of the rows; an active one wins."""
    accounts = [account_of(row) for row in candidates if row[:2] == (name, domain)]
    return max(accounts, key=lambda account: account.active, default=None)


def account_of(row: Sequence[Any]) -> Account:
    """Return the account of a row; what IndiMail left NULL is empty."""
    name, domain, password, uid, flags, gecos, directory, quota, scram, active = row
    return Account(
        name=name,
        domain=domain,
        password=Secret(password or ""),
        uid=uid or 0,
        flags=Flag(flags or 0),
        gecos=gecos or "",
        directory=directory or "",
        quota=quota or "",
        active=bool(active),
        scram=Secret(scram or ""),
    )
