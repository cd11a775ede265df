"""What a change is made of: writes, which are values, and the stores they go to.

    AddLine("/var/indimail/control/rcpthosts", "example.com").do(stores)
    str(RemoveUser("alice", "example.com"))     -> 'rows alice@example.com: remove'

A write can be printed (``--dry-run``) and kept (`manage.change`), and may be done again: what is
there already is left, what is gone already is no error.  It is on disk, or in the database, when
`do` returns.

Not here: the writes themselves (`manage.file_writes`, `manage.row_writes`), but for what a running
server is told; which of them make a change, and in which order (`manage.removal`, ...).
"""

from collections.abc import Callable
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Protocol

from indimail.accounts.port import Accounts
from indimail.durable.disk import Disk
from indimail.manage.notify import AccountChanged, ControlsChanged
from indimail.manage.site import Site


@dataclass(frozen=True, slots=True)
class Stores:
    """What writes go to; `tell` makes a running server forget or read again."""

    site: Site
    accounts: Accounts
    disk: Disk
    tell: Callable[[AccountChanged | ControlsChanged], None]


class Write(Protocol):
    """One step of a change."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def do(self, stores: Stores) -> None:
        """Do it, or do it again."""


@dataclass(frozen=True, slots=True)
class TellAccount:
    """A running server forgets a user; with an empty name, all of a domain."""

    name: str
    domain: str

    def __str__(self) -> str:
        return f"server: forget {self.name}@{self.domain}"

    def do(self, stores: Stores) -> None:
        """Wait until it says that it did."""
        stores.tell(AccountChanged(self.name, self.domain))


@dataclass(frozen=True, slots=True)
class TellControls:
    """A running server reads its configuration again."""

    def __str__(self) -> str:
        return "server: read the configuration again"

    def do(self, stores: Stores) -> None:
        """Wait until it says that it did."""
        stores.tell(ControlsChanged())
