"""The address of the user database, as operators write it.

    check_url("mysql://user:secret@db.example.com/indimail")      # ValueError where it is none
    accounts_url("", "/var/indimail", "/var/indimail/db")         -> 'sqlite:////var/indimail/db/...'

``mysql://`` and ``mariadb://`` are one, ``postgresql://`` and ``postgres://`` too.  In names and
passwords ``@ : / ? # %`` are written as ``%40`` and so on.  What follows ``?`` goes to the driver.

Not here: drivers and dialects (`accounts.dialect`).
"""

import re
from typing import Final

SERVERS: Final = {
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
EXPECTED: Final = (
    "sqlite:///path, mysql://user:password@host/name or postgresql://user:password@host/name"
    " (%40 for an @ in a password)"
)

_FILE: Final = re.compile(r"sqlite:///(?P<path>[^?#]+)")
_SERVER: Final = re.compile(
    r"(?P<scheme>[a-z]+)://(?:[^:/@?#]+(?::[^:/@?#]*)?@)?"
    r"(?:\[[0-9a-fA-F:.]+\]|[^:/@?#\[\]]*)(?::\d{1,5})?/[^/?#@:]+(?:\?[^?#]*)?"
)


def check_url(text: str) -> None:
    """Raise ValueError for what is no address of a database; the error does not repeat it."""
    if _FILE.fullmatch(text) and text != "sqlite:///:memory:":
        return
    server = _SERVER.fullmatch(text)
    if server is None or server["scheme"] not in SERVERS:
        raise ValueError(f"expected {EXPECTED}")


def accounts_url(given: str, root: str, folder: str) -> str:
    """Return the whole address: SQLite in `folder` by default; a relative file is below `root`."""
    if not given:
        return f"sqlite:///{folder}/indimail.db"
    file = _FILE.fullmatch(given)
    if file is None or file["path"].startswith("/"):
        return given
    return f"sqlite:///{root}/{file['path']}"
