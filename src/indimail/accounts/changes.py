"""Changes of one row or two: users, passwords, locks, alias lines, homes, limits, last events.

    database.change(add_alias, "abuse", "example.com", "&postmaster@example.com")

Values are bound, never pasted; a duplicate row is an answer, False.

Source: spec/cluster-users.md 1.4.  Not here: what touches all rows of a user or a domain
(`accounts.moves`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, insert, inspect, select, update
from sqlalchemy.exc import IntegrityError

from indimail.accounts import dialect
from indimail.accounts.layout import ALPHABET, counter_table
from indimail.accounts.lists import HOST
from indimail.accounts.lookups import ACTIVE, find, found_in, named, userquota
from indimail.accounts.port import (
    Account,
    AliasLine,
    Arrival,
    FileSystem,
    Flag,
    LastEvent,
    RelayLogin,
    is_lock_changed,
    limited,
)
from indimail.accounts.tables import (
    ALIASDOMAIN,
    BULKMAIL,
    FSTAB,
    INDIBAK,
    INDIMAIL,
    IP_ALIAS_MAP,
    LASTAUTH,
    LEVELS,
    RELAY,
    USERQUOTA,
    VALIAS,
    VLIMITS,
    counter_of,
)
from indimail.mail.secret import Secret

# One by one: a union takes no row lock.
_HOLD: Final = [named(*table).with_for_update() for table in ACTIVE]
_OF_EVENT: Final = ("remote_ip", "quota", "gecos", "timestamp")


def add(db: Connection, account: Account) -> bool:
    """Add a user; False where the name is taken, active or not."""
    if find(db, account.name, account.domain):
        return False
    return _inserted(db, table_of(account), _columns(account))


def add_users(db: Connection, accounts: Sequence[Account], time: int) -> None:
    """Add users with the time of their making; a name that is taken keeps its row."""
    _add_missing(db, accounts)
    events = [_event_columns(a, LastEvent("add", time, "")) for a in accounts]
    dialect.upsert_all(db, LASTAUTH, events, replace=_OF_EVENT)


def add_arrivals(db: Connection, arrivals: Sequence[Arrival], lines: Sequence[AliasLine]) -> None:
    """Add accounts and alias lines; what is there stays."""
    taken = _add_missing(db, [arrival.account for arrival in arrivals])
    for arrival in arrivals:
        account = arrival.account
        if account.address not in taken:
            events = [_event_columns(account, event) for event in arrival.events]
            dialect.upsert_all(db, LASTAUTH, events, replace=_OF_EVENT)
            if arrival.userquota:
                set_userquota(db, account.name, account.domain, arrival.userquota)
    for line in lines:
        add_alias(db, line.name, line.domain, line.line)


def modify(
    db: Connection, name: str, domain: str, change: Callable[[Account], Account]
) -> Account | None:
    """Replace the row by what `change` makes of it, and return that; None where it is absent."""
    found = held(db, name, domain)
    if found is None:
        return None
    changed = change(found)
    if changed.active == found.active:  # what else IndiMail keeps in the row stays
        table = table_of(found)
        db.execute(where_is(update(table), table, found).values(_columns(changed)))
    else:
        for table in (INDIMAIL, INDIBAK):
            db.execute(where_is(delete(table), table, found))
        db.execute(insert(table_of(changed)).values(_columns(changed)))
    if is_lock_changed(found, changed):
        set_userquota(db, name, domain, 0)
    return changed


def set_password(
    db: Connection,
    name: str,
    domain: str,
    password: Secret,
    scram: Secret,
    *,
    old: Secret | None = None,
) -> bool:
    """Replace both credentials; False: no such user, or the password is not `old`."""
    values = {"pw_passwd": password.reveal(), "scram": scram.reveal() or None}
    found = held(db, name, domain)
    if found is None or old not in (None, found.password):
        return False
    for table in (INDIMAIL, INDIBAK):
        db.execute(where_is(update(table), table, found).values(values))
    return True


def set_userquota(db: Connection, name: str, domain: str, octets: int) -> None:
    """Say whose a lock is: 0, the administrator's; else the quota's."""
    values = {"user": name, "domain": domain, "quota": octets}
    dialect.upsert(db, USERQUOTA, values, replace=["quota"])


def lock_for_quota(db: Connection, name: str, domain: str, octets: int) -> bool:
    """Set BOUNCE_MAIL with the usage that led to it; False: absent, or locked already."""
    account = held(db, name, domain)
    if account is None or Flag.BOUNCE_MAIL in account.flags:
        return False
    _put_flags(db, account, account.flags | Flag.BOUNCE_MAIL)
    set_userquota(db, name, domain, octets)
    return True


def lift_quota_lock(db: Connection, name: str, domain: str) -> bool:
    """Clear BOUNCE_MAIL and its userquota; False: absent, no lock, or the administrator's."""
    account = held(db, name, domain)
    if account is None or Flag.BOUNCE_MAIL not in account.flags:
        return False
    if not userquota(db, name, domain):
        return False
    _put_flags(db, account, account.flags & ~Flag.BOUNCE_MAIL)
    set_userquota(db, name, domain, 0)
    return True


def add_alias(db: Connection, name: str, domain: str, line: str) -> bool:
    """Add an alias line; False where it was there."""
    return _inserted(db, VALIAS, {"alias": name, "domain": domain, "valias_line": line})


def remove_alias(db: Connection, name: str, domain: str, line: str) -> bool:
    """Remove an alias line; False where it was not there."""
    here = (VALIAS.c.alias == name, VALIAS.c.domain == domain, VALIAS.c.valias_line == line)
    return bool(db.execute(delete(VALIAS).where(*here)).rowcount)


def add_alias_domain(db: Connection, alias: str, domain: str) -> bool:
    """Let `alias` stand for `domain`; False where it stands for one already."""
    return _inserted(db, ALIASDOMAIN, {"alias": alias, "domain": domain})


def remove_alias_domain(db: Connection, alias: str) -> bool:
    """Let `alias` stand for nothing; False where it did not."""
    here = delete(ALIASDOMAIN).where(ALIASDOMAIN.c.alias == alias)
    return bool(db.execute(here).rowcount)


def map_address(db: Connection, address: str, domain: str) -> None:
    """Give a local IP address a default domain; an empty one takes it away."""
    if domain:
        values = {"ipaddr": address, "domain": domain}
        dialect.upsert(db, IP_ALIAS_MAP, values, replace=["domain"])
    else:
        db.execute(delete(IP_ALIAS_MAP).where(IP_ALIAS_MAP.c.ipaddr == address))


def set_homes(
    db: Connection, filesystem: str, group: str, domain: str, count: int, bucket: str
) -> None:
    """Say how many homes the group has, and the bucket of the next one."""
    counters = counter_of(counter_table(filesystem, group))
    if not inspect(db).has_table(counters.name):
        with dialect.alone(db):
            counters.create(db, checkfirst=True)
    values = {"cur_users": count, "the_dir": bucket, **_levels(bucket)}
    dialect.upsert(db, counters, {"domain": domain, **values}, replace=list(values))


def add_bulletins(db: Connection, addresses: Sequence[str], filename: str) -> None:
    """Let users get a file of `bulk_mail` at their next login."""
    rows = [{"emailid": address, "filename": filename} for address in addresses]
    dialect.upsert_all(db, BULKMAIL, rows)


def remove_bulletin(db: Connection, name: str, domain: str, filename: str) -> bool:
    """Tell that a user got a bulletin; False: it was not waited for."""
    here = dialect.same(db, BULKMAIL.c.emailid, f"{name}@{domain}")
    gone = delete(BULKMAIL).where(here, dialect.same(db, BULKMAIL.c.filename, filename))
    return bool(db.execute(gone).rowcount)


def put_filesystem(db: Connection, filesystem: FileSystem) -> None:
    """Say all of a file system, new or not."""
    values = {
        "status": int(filesystem.is_online),
        "max_users": filesystem.most_users,
        "max_size": filesystem.most_octets,
        "cur_users": filesystem.users,
        "cur_size": filesystem.octets,
    }
    keys = {"filesystem": filesystem.path, "host": HOST}
    dialect.upsert(db, FSTAB, {**keys, **values}, replace=list(values))


def remove_filesystem(db: Connection, path: str) -> bool:
    """Take a file system away; False: it was none."""
    here = dialect.same(db, FSTAB.c.filesystem, path), FSTAB.c.host == HOST
    return bool(db.execute(delete(FSTAB).where(*here)).rowcount)


def set_limits(db: Connection, name: str, domain: str, values: Mapping[str, int]) -> None:
    """Set some of the limits of a user, or with an empty name of a domain."""
    row = {"domain": limited(name, domain), **values}
    dialect.upsert(db, VLIMITS, row, replace=list(values))


def remove_limits(db: Connection, name: str, domain: str) -> bool:
    """Remove the limits of a user, or with an empty name of a domain; False: there were none."""
    here = dialect.same(db, VLIMITS.c.domain, limited(name, domain))
    return bool(db.execute(delete(VLIMITS).where(here)).rowcount)


def put_relay_login(db: Connection, login: RelayLogin) -> None:
    """Keep a login, in place of an earlier one from the same address."""
    values = {"email": login.email, "ipaddr": login.ip, "timestamp": login.time}
    dialect.upsert(db, RELAY, values, replace=["timestamp"])


def expire_relay_logins(db: Connection, until: int) -> int:
    """Remove the logins of that second and before; return how many there were."""
    return int(db.execute(delete(RELAY).where(RELAY.c.timestamp <= until)).rowcount)


def record_event(db: Connection, account: Account, event: LastEvent) -> None:
    """Keep `event` as the last one of its service (table lastauth)."""
    dialect.upsert(db, LASTAUTH, _event_columns(account, event), replace=_OF_EVENT)


def held(db: Connection, name: str, domain: str) -> Account | None:
    """Return the account; nobody changes it before the transaction ends."""
    keys = {"name": name, "domain": domain}
    candidates = (row for query in _HOLD for row in db.execute(query, keys))
    return found_in(candidates, name, domain)


def table_of(account: Account) -> Table:
    """Return the table that has the row of an account."""
    return INDIMAIL if account.active else INDIBAK


def where_is(statement: Any, table: Table, account: Account) -> Any:  # noqa: ANN401
    """Let an update or a delete concern the row of an account alone."""
    return statement.where(table.c.pw_name == account.name, table.c.pw_domain == account.domain)


def _add_missing(db: Connection, accounts: Sequence[Account]) -> set[str]:
    """Add those that are not there; return the addresses of those that are, and stay."""
    taken = _taken(db, accounts)
    for rows in (INDIMAIL, INDIBAK):
        new = [_columns(a) for a in accounts if table_of(a) is rows and a.address not in taken]
        dialect.upsert_all(db, rows, new)
    return taken


def _taken(db: Connection, accounts: Sequence[Account]) -> set[str]:
    """Return the addresses of those that are there, active or not."""
    names = [account.name for account in accounts]
    domains = {account.domain for account in accounts}
    found: set[str] = set()
    for rows in (INDIMAIL, INDIBAK):
        here = select(rows.c.pw_name, rows.c.pw_domain).where(
            rows.c.pw_name.in_(names), rows.c.pw_domain.in_(domains)
        )
        found |= {f"{row[0]}@{row[1]}" for row in db.execute(here)}
    return found


def _event_columns(account: Account, event: LastEvent) -> dict[str, Any]:
    return {
        "user": account.name,
        "domain": account.domain,
        "service": event.service,
        "remote_ip": event.remote_ip,
        "quota": 0,
        "gecos": account.gecos,
        "timestamp": datetime.fromtimestamp(event.time, UTC).replace(tzinfo=None),
    }


def _put_flags(db: Connection, account: Account, flags: Flag) -> None:
    table = table_of(account)
    db.execute(where_is(update(table), table, account).values(pw_gid=int(flags)))


def _columns(account: Account) -> dict[str, str | int | None]:
    return {
        "pw_name": account.name,
        "pw_domain": account.domain,
        "pw_passwd": account.password.reveal(),
        "pw_uid": account.uid,
        "pw_gid": int(account.flags),
        "pw_gecos": account.gecos,
        "pw_dir": account.directory,
        "pw_shell": account.quota,
        "scram": account.scram.reveal() or None,
    }


def _inserted(db: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row; False where the table has it.  The transaction stays usable either way."""
    try:
        with db.begin_nested():
            db.execute(insert(table).values(values))
    except IntegrityError:
        return False
    return True


def _levels(bucket: str) -> dict[str, int]:
    digits = bucket.split("/") if bucket else []
    places = [*map(ALPHABET.index, digits), *[0] * (LEVELS - len(digits))]
    return {"level_cur": len(digits), **{f"level_index{at}": n for at, n in enumerate(places)}}
