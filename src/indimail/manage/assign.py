r"""`users/assign` and the data base made of it: who handles which local addresses, and where.

    entry = domain_entry("example.com", 555, 555, "/var/indimail/domains/example.com")
        -> '+example.com-:example.com:555:555:/var/indimail/domains/example.com:-::'
    add_entry(disk, "/var/indimail/users", entry)
    compile_assign(disk, "/var/indimail/users")

A line is ``=local:user:uid:gid:home:dash:ext:`` or ``+prefix:user:uid:gid:home:dash:pre:``; a line
that begins with ``.`` ends the file.

Source: spec/delivery.md 1.1, 2.1, 3 (cdb format, what qmail-newu refuses).
Not here: looking an address up (`delivery.assign`).
"""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from indimail.control.cdb import write_cdb
from indimail.control.files import write_atomic
from indimail.durable.disk import Disk
from indimail.mail.errors import ConfigErrors, Mistake

_NAME = "users/assign"
_END = b"."
_DOMAIN = re.compile(rb"\+([^:]+)-:\1:")


class Entry(NamedTuple):
    """What the line of a domain says of its directory."""

    uid: int
    gid: int
    home: str


def domain_entry(domain: str, uid: int, gid: int, home: str) -> str:
    """Return the line of a virtual domain."""
    return f"+{domain}-:{domain}:{uid}:{gid}:{home}:-::"


def has_domain(disk: Disk, users_dir: str, domain: str) -> bool:
    """Tell whether a line hands out the addresses of a domain."""
    prefix = f"+{domain}-:".encode()
    return any(line.startswith(prefix) for line in _lines(disk, users_dir))


def entry_of_domain(disk: Disk, users_dir: str, domain: str) -> Entry | None:
    """Return what a domain's line says, None where there is none (or none that can be read)."""
    prefix = f"+{domain}-:".encode()
    for line in _lines(disk, users_dir):
        if line.startswith(prefix):
            uid, gid, home = (*line.split(b":")[2:5], b"", b"", b"")[:3]
            is_whole = uid.isdigit() and gid.isdigit()
            return Entry(int(uid), int(gid), os.fsdecode(home)) if is_whole else None
    return None


def owner_of_domain(disk: Disk, users_dir: str, domain: str) -> int | None:
    """Return the uid of a domain's line, None where there is none (or none that can be read)."""
    entry = entry_of_domain(disk, users_dir, domain)
    return None if entry is None else entry.uid


def add_entry(disk: Disk, users_dir: str, entry: str) -> bool:
    """Add a line before the end; tell whether it was missing.  The caller keeps others away."""
    lines, wanted = _lines(disk, users_dir), entry.encode()
    if wanted in lines:
        return False
    text = b"".join(line + b"\n" for line in (*lines, wanted, _END))
    write_atomic(disk, os.path.join(users_dir, "assign"), [text])
    return True


def remove_entries(disk: Disk, users_dir: str, domain: str) -> bool:
    """Remove a domain's lines; tell whether there was one.  The caller keeps others away."""
    lines, prefix = _lines(disk, users_dir), f"+{domain}-:".encode()
    kept = [line for line in lines if not line.startswith(prefix)]
    if kept == lines:
        return False
    text = b"".join(line + b"\n" for line in (*kept, _END))
    write_atomic(disk, os.path.join(users_dir, "assign"), [text])
    return True


def domains(disk: Disk, users_dir: str) -> list[str]:
    """Return the domains that have a line, sorted; alias domains too."""
    found = (_DOMAIN.match(line) for line in _lines(disk, users_dir))
    return sorted({line[1].decode("utf-8", "replace") for line in found if line})


def compile_assign(disk: Disk, users_dir: str) -> None:
    """Make `users/cdb`.  Raises `ConfigErrors` where a line is wrong; the old one then stays."""
    records = build_records(disk.read(os.path.join(users_dir, "assign")))
    write_cdb(disk, os.path.join(users_dir, "cdb"), records)


def build_records(text: bytes) -> list[tuple[bytes, bytes]]:
    """Return the records of the data base; what qmail-newu refuses is refused."""
    if not text.startswith(_END) and b"\n." not in text:
        raise ConfigErrors([Mistake(_NAME, None, "no last line", "a line with a dot at the end")])
    records, mistakes, last_octets = [], [], set()
    for number, line in enumerate(_entries(text), 1):
        fields = line[1:].split(b":")
        if line[:1] not in b"=+" or len(fields) < 7 or b"\0" in line or line[:2] == b"=:":
            mistakes.append(
                Mistake(_NAME, number, repr(line)[1:], "=local:user:uid:gid:home:dash:ext:")
            )
            continue
        key = fields[0].lower()
        if line.startswith(b"="):
            records.append((b"!" + key + b"\0", _data(fields)))
        else:
            records.append((b"!" + key, _data(fields)))
            last_octets |= {key[-1:]}
    if mistakes:
        raise ConfigErrors(mistakes)
    return [*records, (b"", b"".join(sorted(last_octets)))]


def _data(fields: list[bytes]) -> bytes:
    return b"".join(field + b"\0" for field in fields[1:7])


def _lines(disk: Disk, users_dir: str) -> list[bytes]:
    try:
        return list(_entries(disk.read(os.path.join(users_dir, "assign"))))
    except FileNotFoundError:
        return []


def _entries(text: bytes) -> Iterable[bytes]:
    """Yield the lines before the one that ends the file."""
    for line in text.removesuffix(b"\n").split(b"\n"):
        if line.startswith(_END):
            return
        if line:
            yield line
