"""A finding: what is wrong, where, and what mends it.

    Finding("mode", "queue/queue1", "mode 0755", "0700", (SetMode("/.../queue1", 0o700),))

`writes` and `give` are there where mending is safe: no mail, user or row is lost by it, and nothing
is opened that an administrator may have closed.  Else it is the administrator's.

Units: uid, gid.  Not here: finding anything.
"""

import pwd
from dataclasses import dataclass

from indimail.manage.writes import Write


@dataclass(frozen=True, slots=True)
class Give:
    """A file or directory is to belong to somebody else; root alone can do that."""

    path: str
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"owner {self.path}: {self.uid}:{self.gid}"


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` is the kind (``docs/operating.md`` lists them), `subject` a path, ``file:line`` or address."""

    code: str
    subject: str
    found: str
    expected: str
    writes: tuple[Write, ...] = ()
    give: Give | None = None

    @property
    def mends(self) -> tuple[str, ...]:
        """What `--fix` would do, a line each; empty: nothing, it is to be decided."""
        given = (str(self.give),) if self.give is not None else ()
        return given + tuple(map(str, self.writes))

    def __str__(self) -> str:
        return f"{self.subject}: found {self.found}, expected {self.expected}"


def who(uid: int) -> str:
    """Return an owner as people name it."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"uid {uid}"
