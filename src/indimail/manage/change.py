"""A change of an instance, made whole or not at all, also by a command that is killed.

    with alone(site, "vdeluser alice@example.com"):
        carry_out(stores, "vdeluser alice@example.com", writes)
    complete(stores)         -> the title of what was interrupted and is now done, or ""

The list of writes is kept in `db/change.json` before the first of them.  **That file's name is the
commit point**: until then nothing has happened; from then on whoever comes next, a command of any
kind, does the list from its beginning.  Each write may be done again, so it does not matter how
far the first one came.  The file goes when all is done.

It may hold a stored password, and is readable by the service account alone, like the database.

INDIMAIL_FAIL_AFTER=N in the environment kills the process after N writes, the keeping of the list
counted: for tests.

Not here: which writes (`manage.removal`, `manage.rename`, ...), the lock (`manage.site.alone`).
"""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, TypeVar, get_args

from indimail.accounts.port import Flag
from indimail.control.files import write_atomic
from indimail.mail.secret import Secret
from indimail.manage import file_writes, row_writes
from indimail.manage import writes as told_writes
from indimail.manage.site import Refused, Site, journal, locked
from indimail.manage.writes import Stores, Write

T = TypeVar("T")
# All that a kept list may name: every write that these define.
KINDS: Final[dict[str, type[Write]]] = {
    kind.__name__: kind
    for module in (file_writes, row_writes, told_writes)
    for kind in vars(module).values()
    if isinstance(kind, type) and kind.__module__ == module.__name__
    if hasattr(kind, "do") and kind is not Write
}
ROWS: Final = tuple(kind for kind in KINDS.values() if kind.__module__ == row_writes.__name__)
LARGEST: Final = (1 << 63) - 1  # of a column of numbers
FAIL_AFTER: Final = "INDIMAIL_FAIL_AFTER"


def pending(site: Site) -> str:
    """Return the title of a change that was interrupted, or is being made; empty: none."""
    try:
        with open(journal(site), encoding="ascii") as file:
            return str(json.load(file)["title"])
    except FileNotFoundError:
        return ""


def unfit(stores: Stores, writes: Sequence[Write]) -> Refused | None:
    """Refuse rows that the database cannot hold: such a change could never be completed.

    IndiMail's own tables have characters of latin1 alone.
    """
    found = [
        leaf for write in writes if isinstance(write, ROWS) for leaf in _leaves(_values(write))
    ]
    for name, value in found:
        if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            return Refused(f"{name}: a number that the database's tables cannot hold", 100)
    texts = [(name, value) for name, value in found if isinstance(value, str)]
    letters = {letter for _, text in texts for letter in text}
    if stores.accounts.can_hold("".join(letters)):  # one question for an import of many users
        return None
    name = next(name for name, text in texts if not stores.accounts.can_hold(text))
    return Refused(f"{name}: has characters that the database's tables cannot hold", 100)


def _leaves(values: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the names of fields, and the texts and numbers in them."""
    for name, value in values.items():
        match value:
            case dict():
                yield from _leaves(value)
            case list() | tuple():
                for part in value:
                    yield from _leaves(part if isinstance(part, dict) else {name: part})
            case _:
                yield name, value


def carry_out(
    stores: Stores,
    title: str,
    writes: Sequence[Write],
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Make a change; nobody else may change the instance meanwhile.

    What a write raises goes on: the change is completed by the next command.  `told` hears how
    many writes are done, of how many.
    """
    path = journal(stores.site)
    text = json.dumps({"title": title, "writes": [_kept(write) for write in writes]})
    # Commit point: from here on the change will be made, whatever happens to us.
    write_atomic(stores.disk, path, [text.encode("ascii")], 0o600)
    _do(stores, writes, told)


def complete(stores: Stores) -> str:
    """Do what is left of an interrupted change, and return its title; empty where there is none.

    Raises `InstanceBusy` where the change is not interrupted, but being made.
    """
    path = journal(stores.site)
    if not stores.disk.exists(path):
        return ""
    with locked(stores.site, "the completion of a change", patience=0):
        if not stores.disk.exists(path):
            return ""
        found = json.loads(stores.disk.read(path))
        writes = [_restored(KINDS[str(kept.pop("write"))], kept) for kept in found["writes"]]
        _do(stores, writes)
        return str(found["title"])


def _do(
    stores: Stores,
    writes: Sequence[Write],
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    left = int(stores.site.variables.get(FAIL_AFTER) or 0)
    _fail_at(left, 1)
    for number, write in enumerate(writes, 2):
        write.do(stores)
        _fail_at(left, number)
        told(number - 1, len(writes))
    path = journal(stores.site)
    stores.disk.unlink(path)
    stores.disk.sync_directory(os.path.dirname(path))
    _fail_at(left, len(writes) + 2)


def _fail_at(left: int, number: int) -> None:
    if left == number:
        os.kill(os.getpid(), signal.SIGKILL)


def _kept(write: Write) -> dict[str, object]:
    return {"write": type(write).__name__, **_values(write)}


def _values(kept: Any) -> dict[str, object]:  # noqa: ANN401 - a write, or a dataclass in one
    """Return a value's fields as JSON can hold them, in a file for its owner alone."""
    return {field.name: _told(getattr(kept, field.name)) for field in fields(kept)}


def _told(value: object) -> object:
    if is_dataclass(value):
        return _values(value)
    match value:
        case Secret():
            return value.reveal()
        case tuple():
            return [_told(part) for part in value]
        case _:
            return value


def _restored(kind: type[T], values: dict[str, Any]) -> T:
    """Return the value whose fields these were."""
    kinds = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _value(kinds[name], value) for name, value in values.items()})


def _value(kind: Any, value: Any) -> Any:  # noqa: ANN401 - of any field
    if kind in (Secret, Flag):
        return kind(value)
    if is_dataclass(kind):
        return _restored(kind, value)  # type: ignore[arg-type]
    if isinstance(value, list):
        parts = next(iter(get_args(kind)), None)  # of tuple[part, ...]
        return tuple(_value(parts, part) for part in value)
    return value
