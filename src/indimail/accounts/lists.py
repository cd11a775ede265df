"""What commands ask the database: users, alias lines and domains, homes, last events.

    database.ask(users, "example.com")

Source: spec/cluster-users.md 1.4.  Not here: what the mail path asks (`accounts.lookups`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, inspect, or_, select, union, union_all

from indimail.accounts import dialect
from indimail.accounts.database import rows
from indimail.accounts.layout import counter_table
from indimail.accounts.lookups import ACTIVE, account_of, accounts_in, login_of
from indimail.accounts.port import Account, AliasLine, FileSystem, LastEvent, RelayLogin, above
from indimail.accounts.scram import Form
from indimail.accounts.tables import (
    ALIASDOMAIN,
    BULKMAIL,
    FSTAB,
    INDIMAIL,
    IP_ALIAS_MAP,
    LASTAUTH,
    METADATA,
    RELAY,
    VALIAS,
    counter_of,
)

_USERS: Final = union_all(
    *(
        accounts_in(table, active).where(table.c.pw_domain == bindparam("domain"))
        for table, active in ACTIVE
    )
)
ALIAS_LINES: Final = select(VALIAS.c.alias, VALIAS.c.domain, VALIAS.c.valias_line)
_DOMAIN_ALIASES: Final = ALIAS_LINES.where(VALIAS.c.domain == bindparam("domain"))
_ALIASES_TO: Final = ALIAS_LINES.where(
    VALIAS.c.valias_line.in_([bindparam("plain"), bindparam("forward")])
)
_ALIAS_DOMAINS: Final = select(ALIASDOMAIN.c.alias).where(
    ALIASDOMAIN.c.domain == bindparam("domain")
)
_DOMAINS: Final = union(
    *(select(table.c.pw_domain) for table, _ in ACTIVE),
    select(VALIAS.c.domain),
    select(ALIASDOMAIN.c.domain),
)
_ADDRESS_DOMAINS: Final = select(IP_ALIAS_MAP.c.ipaddr, IP_ALIAS_MAP.c.domain)
_EVENTS: Final = select(LASTAUTH.c.service, LASTAUTH.c.timestamp, LASTAUTH.c.remote_ip).where(
    LASTAUTH.c.user == bindparam("name"), LASTAUTH.c.domain == bindparam("domain")
)
# What `scram.form_of` finds, as patterns; keys are base64, which has no colon.
_FORMS: Final = {
    Form.CLEAR: ("{CRAM}%", "{SCRAM-SHA-%}%:%"),
    Form.SHA1: ("{SCRAM-SHA-1}%",),
    Form.SHA256: ("{SCRAM-SHA-256}%",),
}
_STORED: Final = {
    form: select(INDIMAIL.c.pw_name)
    .where(or_(*(c.like(p) for p in likes for c in (INDIMAIL.c.scram, INDIMAIL.c.pw_passwd))))
    .limit(1)
    for form, likes in _FORMS.items()
}
_BULLETINS: Final = select(BULKMAIL.c.emailid, BULKMAIL.c.filename).where(
    BULKMAIL.c.emailid == bindparam("address")
)
HOST: Final = "localhost"  # the cluster's column
_FILESYSTEMS: Final = select(
    FSTAB.c.filesystem,
    FSTAB.c.status,
    FSTAB.c.max_users,
    FSTAB.c.max_size,
    FSTAB.c.cur_users,
    FSTAB.c.cur_size,
).where(FSTAB.c.host == HOST)


def can_hold(db: Connection, text: str) -> bool:
    """Tell whether every table of ours has the text's characters."""
    return dialect.can_hold(db, text, METADATA.tables.keys())


def users(db: Connection, domain: str) -> list[Account]:
    """Return all accounts of a domain, by name."""
    here = rows(db, _USERS, domain=domain)
    return sorted(map(account_of, here), key=lambda account: account.name)


def addresses(db: Connection, beginning: str, most: int) -> list[str]:
    """Return addresses that begin so, sorted; the first `most` of them."""
    name, at, domain = beginning.partition("@")
    queries = (_beginning(table, name, domain if at else None) for table, _ in ACTIVE)
    found = rows(db, union_all(*queries).order_by("pw_name", "pw_domain").limit(most))
    texts = (f"{row[0]}@{row[1]}" for row in found)
    return sorted(address for address in texts if address.startswith(beginning))


def _beginning(table: Table, name: str, domain: str | None) -> Any:  # noqa: ANN401 - a Select
    """Select names that begin so, or with a domain (that begins so) are the same."""
    query = select(table.c.pw_name, table.c.pw_domain)
    if domain is None:
        return query.where(table.c.pw_name.startswith(name, autoescape=True))
    of = table.c.pw_domain.startswith(domain, autoescape=True)
    return query.where(table.c.pw_name == name, of)


def credential_forms(db: Connection) -> Form:
    """Return what is stored of at least one active user's password besides the hash."""
    found = Form(0)
    for form, query in _STORED.items():
        if rows(db, query):
            found |= form
    return found


def domains(db: Connection) -> list[str]:
    """Return the real domains that have users, alias lines or alias domains, sorted."""
    return sorted(str(row[0]) for row in rows(db, _DOMAINS))


def domain_aliases(db: Connection, domain: str) -> list[AliasLine]:
    """Return all alias lines of a domain, sorted."""
    return sorted(AliasLine(*row) for row in rows(db, _DOMAIN_ALIASES, domain=domain))


def aliases_to(db: Connection, address: str) -> list[AliasLine]:
    """Return the lines of all domains that forward to the address, sorted."""
    lines = {"plain": address, "forward": f"&{address}"}
    there = rows(db, _ALIASES_TO, **lines)
    return sorted(AliasLine(*row) for row in there if row[2] in lines.values())


def alias_domains(db: Connection, domain: str) -> list[str]:
    """Return the alias domains that stand for a domain, sorted."""
    return sorted(str(row[0]) for row in rows(db, _ALIAS_DOMAINS, domain=domain))


def address_domains(db: Connection) -> list[tuple[str, str]]:
    """Return local IP address and default domain, sorted."""
    return sorted((str(row[0]), str(row[1])) for row in rows(db, _ADDRESS_DOMAINS))


def housed(db: Connection, path: str) -> list[Account]:
    """Return the accounts whose homes are a directory, lie in it or hold it."""
    below = f"{dialect.escaped(path)}/%"
    found: list[Sequence[Any]] = []
    for table, active in ACTIVE:
        of = or_(table.c.pw_dir.in_(above(path)), table.c.pw_dir.like(below, escape="!"))
        found += rows(db, accounts_in(table, active).where(of))
    # LIKE takes upper case for lower case, and a path is not its like.
    accounts = map(account_of, found)
    return [a for a in accounts if a.directory in above(path) or path in above(a.directory)]


def homes(db: Connection, filesystem: str, group: str, domain: str) -> tuple[int, str]:
    """Return how many homes the group has, and the bucket of the last one."""
    counters = counter_of(counter_table(filesystem, group))
    if not inspect(db).has_table(counters.name):
        return 0, ""
    query = select(counters.c.cur_users, counters.c.the_dir).where(counters.c.domain == domain)
    row = db.execute(query).first()
    return (int(row[0]), str(row[1])) if row else (0, "")


def events(db: Connection, name: str, domain: str) -> list[LastEvent]:
    """Return the last event of each service, by service."""
    there = rows(db, _EVENTS, name=name, domain=domain)
    found = [LastEvent(service, _seconds(time), ip) for service, time, ip in there]
    return sorted(found, key=lambda event: event.service)


def _seconds(time: object) -> int:
    """Return the seconds of a time of the database; MariaDB's zero time is no datetime."""
    return int(time.replace(tzinfo=UTC).timestamp()) if isinstance(time, datetime) else 0


def all_relay_logins(db: Connection) -> list[RelayLogin]:
    """Return all rows of `relay`, sorted."""
    there = db.execute(select(RELAY.c.email, RELAY.c.ipaddr, RELAY.c.timestamp))
    return sorted(map(login_of, there))


def bulletins(db: Connection, name: str, domain: str) -> list[str]:
    """Return the files of `bulk_mail` that a user gets at the next login, sorted."""
    address = f"{name}@{domain}"
    found = rows(db, _BULLETINS, address=address)
    return sorted(row[1] for row in found if row[0] == address)


def filesystems(db: Connection) -> list[FileSystem]:
    """Return where homes of this host may lie, by path."""
    found = [
        FileSystem(path, bool(status), *map(int, numbers))
        for path, status, *numbers in rows(db, _FILESYSTEMS)
    ]
    return sorted(found, key=lambda filesystem: filesystem.path)
