"""Users as CSV: the file of `indimail user import` and `indimail user export`.

    rows, mistakes = read_users("users.csv", b"email,password\\nalice@example.com,secret\\n")
    write_users(accounts)        -> 'email,password,hash,name,quota,active\\nalice@example.com,,$argon2...'

The first line names the columns, in any order: `email` and one of `password` and `hash`, and what
else there is of `COLUMNS`.  UTF-8, quotes as in RFC 4180.  A column that is left out, and an empty
quota or active, is the default; an empty name is an empty name.

Mistakes have the file's name and the line, but no password.
Not here: what the instance says of the rows (`manage.user_import`).
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from indimail.accounts.libcrypt import LONGEST
from indimail.accounts.port import GECOS_LENGTH, PASSWORD_LENGTH, QUOTA_LENGTH, Account
from indimail.delivery.quota import NO_QUOTA, parse_quota
from indimail.mail.errors import Mistake
from indimail.mail.secret import Secret
from indimail.manage.names import check_case

COLUMNS: Final = ("email", "password", "hash", "name", "quota", "active")
_ACTIVE: Final = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class UserRow:
    """A line of the file; None: the column is left out, or empty and so the default.

    One of `password` and `hash` is set.  `quota` is as it is stored.
    """

    line: int
    email: str
    password: Secret | None = None
    hash: Secret | None = None
    name: str | None = None
    quota: str | None = None
    active: bool | None = None


def read_users(name: str, octets: bytes) -> tuple[list[UserRow], list[Mistake]]:
    """Return the rows that can be read, and every mistake; `name` is the file's."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        found = f"the octet 0x{octets[error.start]:02x}"
        return [], [Mistake(name, line, found, "UTF-8")]
    reading = _Reading(name)
    reading.read(text)
    return reading.rows, reading.mistakes


def write_users(accounts: Iterable[Account]) -> str:
    """Return the file of accounts, with their hashes and without passwords."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for account in accounts:
        quota, active = account.quota or NO_QUOTA, "1" if account.active else "0"
        stored = account.password.reveal()
        writer.writerow([account.address, "", stored, account.gecos, quota, active])
    return text.getvalue()


class _Wrong(Exception):
    """What was found in a row, and what was expected."""


@dataclass(slots=True)
class _Reading:
    name: str
    rows: list[UserRow] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def read(self, text: str) -> None:
        lines = self._lines(text)
        columns = self._columns(next(lines, (1, [])))
        if not columns:
            return
        for line, cells in lines:
            try:
                self.rows.append(_row(line, columns, cells))
            except _Wrong as wrong:
                self.mistakes.append(Mistake(self.name, line, *wrong.args))

    def _lines(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Yield rows that are not empty, with the number of their first line."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        begun = 1
        try:
            for cells in reader:
                if cells:
                    yield begun, cells
                begun = reader.line_num + 1
        except csv.Error as error:
            self.mistakes.append(Mistake(self.name, begun, str(error), "CSV (RFC 4180)"))

    def _columns(self, first: tuple[int, list[str]]) -> list[str]:
        """Return the names of the columns; none where they are wrong."""
        line, cells = first
        names = [cell.strip() for cell in cells]
        wrong = [
            Mistake(self.name, line, f"the column {column!r}", f"one of {', '.join(COLUMNS)}")
            for column in names
            if column not in COLUMNS
        ]
        if len(set(names)) < len(names):
            twice = next(column for column in names if names.count(column) > 1)
            wrong.append(Mistake(self.name, line, f"the column {twice!r} twice", "it once"))
        if not wrong and not ("email" in names and {"password", "hash"} & set(names)):
            found = ", ".join(names) or "nothing"
            wrong.append(Mistake(self.name, line, found, "the columns email and password, or hash"))
        self.mistakes += wrong
        return [] if wrong else names


def _row(line: int, columns: Sequence[str], fields: Sequence[str]) -> UserRow:
    """Return a row; raises `_Wrong`."""
    if len(fields) != len(columns):
        raise _Wrong(f"{len(fields)} fields", f"{len(columns)} as in the first line")
    cells = dict(zip(columns, fields, strict=True))
    password, hashed = cells.get("password", ""), cells.get("hash", "")
    if bool(password) is bool(hashed):
        found = "a password and a hash" if password else "neither a password nor a hash"
        raise _Wrong(found, "one of them")
    quota, active = cells.get("quota", ""), cells.get("active", "")
    return UserRow(
        line,
        _email(cells["email"]),
        _password(password) if password else None,
        _hash(hashed) if hashed else None,
        _name(cells["name"]) if "name" in cells else None,
        _quota(quota) if quota else None,
        _active(active) if active else None,
    )


def _email(text: str) -> str:
    if check_case("email", text) is not None or not all(text.rpartition("@")[::2]):
        raise _Wrong(f"the email {text!r}", "name@domain in lower case")
    return text


def _password(text: str) -> Secret:
    if len(text) > PASSWORD_LENGTH or len(text.encode()) > LONGEST:
        raise _Wrong(f"a password of {len(text)} characters", f"at most {PASSWORD_LENGTH}")
    if "\0" in text or "\n" in text or "\r" in text:
        raise _Wrong("a password with a NUL or the end of a line", "none")
    return Secret(text)


def _hash(text: str) -> Secret:
    if len(text) > PASSWORD_LENGTH:
        raise _Wrong(f"a hash of {len(text)} characters", f"at most {PASSWORD_LENGTH}")
    if not (text.isascii() and text.isprintable()):
        raise _Wrong("a hash with other characters", "printable ASCII")
    return Secret(text)


def _name(text: str) -> str:
    if len(text) > GECOS_LENGTH or ":" in text or not text.isprintable():
        what = f"at most {GECOS_LENGTH} printable characters without ':'"
        raise _Wrong(f"the name {text[: GECOS_LENGTH + 1]!r}", what)
    return text


def _quota(text: str) -> str:
    """Return the quota as it is stored; what is a form of it already stays."""
    quota = parse_quota(text)
    if quota is None:
        raise _Wrong(f"the quota {text[:QUOTA_LENGTH]!r}", "50M, 50M,1000 or NOQUOTA")
    stored = text if text in (str(quota), quota.definition) else str(quota)
    if len(stored) > QUOTA_LENGTH:
        raise _Wrong(f"the quota {stored[:QUOTA_LENGTH]!r}...", "a smaller one")
    return stored


def _active(text: str) -> bool:
    if text.lower() not in _ACTIVE:
        raise _Wrong(f"active {text[:10]!r}", "1 or 0")
    return _ACTIVE[text.lower()]
