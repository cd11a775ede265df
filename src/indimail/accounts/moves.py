"""Changes of all rows of a user or a domain: gone, or under another name.

    database.change(remove_user, "alice", "example.com")

The lines of others that forward to them go and follow too, and so do rows in tables of IndiMail's
that we neither make nor read.  Names are compared octet by octet (`dialect.same`).

Source: spec/delivery.md 2 (vdeluser, vrenameuser, vrenamedomain, vdeldomain).
Not here: files and directories (`manage.removal`, `manage.rename`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, column, delete, inspect, select, table, update

from indimail.accounts import dialect
from indimail.accounts.changes import add_alias, held, remove_alias, table_of, where_is
from indimail.accounts.lists import ALIAS_LINES
from indimail.accounts.lookups import aliases
from indimail.accounts.port import moved_line, moved_path
from indimail.accounts.tables import (
    ADDRESSED,
    ALIASDOMAIN,
    INDIBAK,
    INDIMAIL,
    IP_ALIAS_MAP,
    LASTAUTH,
    USERQUOTA,
    VALIAS,
)

# What a user has beside its account: table, column of the name, column of the domain.
_USER_ROWS: Final = (
    (LASTAUTH, LASTAUTH.c.user, LASTAUTH.c.domain),
    (USERQUOTA, USERQUOTA.c.user, USERQUOTA.c.domain),
    (VALIAS, VALIAS.c.alias, VALIAS.c.domain),
)


def remove_user(db: Connection, name: str, domain: str) -> bool:
    """Remove all rows of a user, and the alias lines of all domains that forward to it."""
    address = f"{name}@{domain}"
    for line in (address, f"&{address}"):
        db.execute(delete(VALIAS).where(dialect.same(db, VALIAS.c.valias_line, line)))
    for rows, named, of in _USER_ROWS:
        db.execute(delete(rows).where(dialect.same(db, named, name), of == domain))
    for others, key in _addressed(db):
        db.execute(delete(others).where(dialect.same(db, key, address)))
    gone = [
        db.execute(
            delete(rows).where(dialect.same(db, rows.c.pw_name, name), rows.c.pw_domain == domain)
        ).rowcount
        for rows in (INDIMAIL, INDIBAK)
    ]
    return any(gone)


def move_user(db: Connection, name: str, domain: str, new_name: str, directory: str) -> bool:
    """Let all rows of a user say another name and home; False: no such user."""
    old, new = f"{name}@{domain}", f"{new_name}@{domain}"
    found = held(db, name, domain)
    if found is None:
        return False
    values = {"pw_name": new_name, "pw_dir": directory}
    rows = table_of(found)
    db.execute(where_is(update(rows), rows, found).values(values))
    if new_name != name:
        for rows, named, of in _USER_ROWS:
            if rows is not VALIAS:
                db.execute(delete(rows).where(named == new_name, of == domain))
                here = update(rows).where(dialect.same(db, named, name), of == domain)
                db.execute(here.values(_renamed(rows, named, new_name)))
        for line in aliases(db, name, domain):
            remove_alias(db, name, domain, line)
            add_alias(db, new_name, domain, line)
        for others, key in _addressed(db):
            _readdress(db, others, key, old, new)
    _move_lines(db, lambda line: new if line == old else line, [(found.directory, directory)])
    return True


def remove_domain(db: Connection, domain: str) -> None:
    """Remove all rows of a domain; the lines of others that forward to its users too."""
    at = f"@{domain}"
    to_it = ALIAS_LINES.where(VALIAS.c.valias_line.like(f"%{dialect.escaped(at)}", escape="!"))
    for name, of_domain, line in list(db.execute(to_it)):
        if line.endswith(at) and not line.startswith("|"):
            remove_alias(db, name, of_domain, line)
    for rows, of in _domain_rows(db):
        db.execute(delete(rows).where(of == domain))
    db.execute(delete(ALIASDOMAIN).where(ALIASDOMAIN.c.domain == domain))
    for others, key, text in _addressed_to(db, domain):
        db.execute(delete(others).where(dialect.same(db, key, text)))


def rename_domain(
    db: Connection, domain: str, new: str, folders: Sequence[tuple[str, str]]
) -> None:
    """Let all rows of a domain say another one, and the lines of others that forward to it."""
    at = f"@{domain}"
    for rows in (INDIMAIL, INDIBAK):
        here = select(rows.c.pw_name, rows.c.pw_dir).where(rows.c.pw_domain == domain)
        for name, path in list(db.execute(here)):
            db.execute(
                update(rows)
                .where(rows.c.pw_name == name, rows.c.pw_domain == domain)
                .values(pw_dir=moved_path(path, folders))
            )
    for rows, of in _domain_rows(db):
        if db.execute(select(of).where(of == domain).limit(1)).first() is None:
            continue  # it is done; what is there of the new name stays
        db.execute(delete(rows).where(of == new))
        db.execute(update(rows).where(of == domain).values(_renamed(rows, of, new)))
    db.execute(update(ALIASDOMAIN).where(ALIASDOMAIN.c.domain == domain).values(domain=new))
    for others, key, text in _addressed_to(db, domain):
        _readdress(db, others, key, text, f"{text[: -len(domain)]}{new}")
    _move_lines(
        db,
        lambda line: f"{line.removesuffix(at)}@{new}" if line.endswith(at) else line,
        folders,
    )


def _domain_rows(db: Connection) -> Iterator[tuple[Any, Any]]:
    """Yield the tables that have rows of domains, with the column that names one."""
    for rows in (INDIMAIL, INDIBAK):
        yield rows, rows.c.pw_domain
    for rows, _, of in _USER_ROWS:
        yield rows, of
    yield IP_ALIAS_MAP, IP_ALIAS_MAP.c.domain
    for name in inspect(db).get_table_names():
        if name.startswith("dir_control"):
            counters = table(name, column("domain"))
            yield counters, counters.c.domain


def _addressed(db: Connection) -> Iterator[tuple[Any, Any]]:
    """Yield the tables that are there of those with an address in a column, and the column."""
    names = set(inspect(db).get_table_names())
    for name, key in ADDRESSED.items():
        if name in names:
            rows = table(name, column(key))
            yield rows, rows.c[key]


def _addressed_to(db: Connection, domain: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield such a table, its column and a text in it: the domain, or an address in it."""
    for others, key in _addressed(db):
        ends = key.like(f"%{dialect.escaped(domain)}", escape="!")
        for (text,) in list(db.execute(select(key).where(ends).distinct())):
            if text == domain or text.endswith(f"@{domain}"):
                yield others, key, text


def _readdress(db: Connection, others: Any, key: Any, old: str, new: str) -> None:  # noqa: ANN401
    """Let rows of an address say another one; what somebody of that name left goes."""
    here = dialect.same(db, key, old)
    if db.execute(select(key).where(here).limit(1)).first() is not None:
        db.execute(delete(others).where(dialect.same(db, key, new)))
        db.execute(update(others).where(here).values({key.name: new}))


def _renamed(rows: Any, named: Any, new: str) -> dict[str, Any]:  # noqa: ANN401 - table, column
    """Return what an update sets; the time in lastauth is that of the event, and stays."""
    kept = {"timestamp": LASTAUTH.c.timestamp} if rows is LASTAUTH else {}
    return {named.name: new, **kept}


def _move_lines(
    db: Connection, moved: Callable[[str], str], folders: Sequence[tuple[str, str]]
) -> None:
    """Change the alias lines that forward to what moved, or name a path in it."""
    for name, domain, line in list(db.execute(ALIAS_LINES)):
        address = line.removeprefix("&")
        new = moved(address)
        changed = moved_line(line, {} if new == address else {address: new}, folders)
        if changed != line:
            remove_alias(db, name, domain, line)
            add_alias(db, name, domain, changed)
