r"""A forwarding data base: who gets the mail of an address, and which programs run.

    forwarding_of(base.get, "alice@example.com")
        -> Forwarding(recipients=("bob@example.net",), programs=(), owner=""), or None

A record's key is ``:target``, its data commands with a NUL behind each: ``&address``, ``|program``,
``!program`` (which gets the lines of a mailbox file in front), ``/file`` or ``./file`` (a list).  Of
the targets ``user@host``, ``@host`` and ``user@`` the first counts; keys are in lower case.  The data
of ``?target`` is an owner, who is the sender then.

An address that is a target is replaced by its own commands, unless it has an owner: then the mail
goes to it, and comes back with that owner.  No command counts twice, so a loop ends.

Sources: fastforward(1), setforward(1); what Debian's setforward 0.51 writes.
Not here: the data base (`control.cdb`), running and sending (`cli.fastforward`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Get = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the commands of a target come to.

    `programs` have their ``|`` or ``!``; `lists` are files; without an `owner` the sender stays.
    """

    recipients: tuple[str, ...]
    programs: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    owner: str = ""
    leads_nowhere: bool = False  # it has commands, and all of them are its own targets


def forwarding_of(get: Get, recipient: str) -> Forwarding | None:
    """Return what becomes of a recipient's mail; None where nothing is said of it."""
    for target in _targets(_octets(recipient)):
        commands = get(b":" + target)
        if commands is not None:
            found = [_text(command) for command in _expanded(get, commands)]
            return Forwarding(
                tuple(command[1:] for command in found if command[0] == "&"),
                tuple(command for command in found if command[0] in "|!"),
                tuple(command for command in found if command[0] not in "&|!"),
                _text(get(b"?" + target) or b""),
                bool(commands) and not found,
            )
    return None


def _targets(recipient: bytes) -> Iterator[bytes]:
    address = recipient.lower()
    yield address
    local, at, host = address.rpartition(b"@")
    if at:
        yield at + host
        yield local + at


def _expanded(get: Get, commands: bytes) -> Iterator[bytes]:
    """Yield each command once, with targets replaced by their own."""
    waiting = _commands(commands)[::-1]
    seen: set[bytes] = set()
    while waiting:
        command = waiting.pop()
        if command in seen:
            continue
        seen.add(command)
        address = command[1:].lower()
        inner = get(b":" + address) if command.startswith(b"&") else None
        if inner is None or get(b"?" + address) is not None:
            yield command
        else:
            waiting += _commands(inner)[::-1]


def _commands(data: bytes) -> list[bytes]:
    return [command for command in data.split(b"\0") if command]


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
