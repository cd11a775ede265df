"""Where to accept what: ``--listen NAME=ADDRESS:PORT``, else [listener.NAME], else smtp on port 25.

    listeners, mistakes = read_listeners(("smtp=[::1]:0",), setup, has_certificate=False)
        -> (ListenerConfig("smtp", "smtp", "::1", 0),), []

A name is a role, unless ``role`` in the file says another.  A listener without an address is on
every address of both families: one socket on ``::``, or ``0.0.0.0`` where there is no IPv6.

Not here: binding (`app.supervise`).
"""

import socket
from collections.abc import Mapping, Sequence
from functools import cache
from ipaddress import ip_address
from typing import Final

from indimail.control.toml import ListenerTable, Setup
from indimail.mail.errors import Mistake
from indimail.serve.snapshot import ROLES, ListenerConfig

BUILT: Final = ("smtp", "submission", "submissions")
_SYNTAX: Final = "NAME=ADDRESS:PORT, as in smtp=127.0.0.1:2525 or smtp=[::1]:0"
_LARGEST_PORT: Final = 65_535

Found = tuple[str, int | None, str, ListenerConfig]  # file, line, text, and what it says


def read_listeners(
    given: Sequence[str], setup: Setup, *, has_certificate: bool
) -> tuple[tuple[ListenerConfig, ...], list[Mistake]]:
    """Return the listeners; those of the command line replace all others."""
    found, mistakes = _from_arguments(given) if given else _from_tables(setup)
    if not found and not mistakes:
        return (ListenerConfig("smtp", "smtp", every_address(), ROLES["smtp"]),), []
    good: list[ListenerConfig] = []
    for file, line, text, listener in found:
        expected = _unfit(listener, good, setup.name, has_certificate=has_certificate)
        if expected:
            mistakes.append(Mistake(file, line, text, expected))
        else:
            good.append(listener)
    return tuple(good), mistakes


def role_of(name: str, given: Sequence[str], tables: Mapping[str, ListenerTable]) -> str:
    """Return the role of a listener."""
    table = tables.get(name)
    return name if given or table is None or table.role is None else str(table.role.value)


@cache
def every_address() -> str:
    """Return ``::``, which takes IPv4 as well, or ``0.0.0.0`` where there is no IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return "0.0.0.0"  # noqa: S104  to be reached is a mail server's purpose
    return "::"


def parse_listen(text: str) -> ListenerConfig | None:
    """Read ``NAME=ADDRESS:PORT``; None where it is none."""
    name, equals, where = text.partition("=")
    host, colon, port = where.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    if is_bracketed != (":" in host):  # brackets are for IPv6 (RFC 3986 section 3.2.2)
        return None
    number = int(port) if port.isascii() and port.isdigit() else -1
    if not (name and equals and colon and 0 <= number <= _LARGEST_PORT and _is_address(host)):
        return None
    return ListenerConfig(name, name, host, number)


def _from_arguments(given: Sequence[str]) -> tuple[list[Found], list[Mistake]]:
    found: list[Found] = []
    mistakes = []
    for text in given:
        listener = parse_listen(text)
        if listener is None:
            mistakes.append(Mistake("--listen", None, f"'{text}'", _SYNTAX))
        else:
            found.append(("--listen", None, f"'{text}'", listener))
    return found, mistakes


def _from_tables(setup: Setup) -> tuple[list[Found], list[Mistake]]:
    found: list[Found] = []
    mistakes: list[Mistake] = []
    for name, table in setup.listeners.items():
        role = str(table.role.value) if table.role else name
        host = str(table.address.value) if table.address else every_address()
        port = table.port.value if table.port else ROLES.get(role, 0)
        wrong = []
        if table.address and not _is_address(host):
            at = table.address.line
            wrong.append(Mistake(setup.name, at, f'address = "{host}"', "an IP address"))
        if table.port and not (isinstance(port, int) and 0 <= port <= _LARGEST_PORT):
            expected = f"a port from 0 (any free one) to {_LARGEST_PORT}"
            wrong.append(Mistake(setup.name, table.port.line, f"port = {port}", expected))
        mistakes += wrong
        if not wrong:
            shown = f"[listener.{name}]" + (f' role = "{role}"' if role != name else "")
            listener = ListenerConfig(name, role, host, int(port or 0))
            found.append((setup.name, table.line, shown, listener))
    return found, mistakes


def _unfit(
    listener: ListenerConfig, before: list[ListenerConfig], toml: str, *, has_certificate: bool
) -> str:
    """Return what was expected instead of this listener; empty where it is right."""
    if listener.role not in ROLES:
        return "one of " + " ".join(ROLES)
    if listener.role not in BUILT:
        return f"one of {' '.join(BUILT)} ({listener.role} is not built yet)"
    if any(listener.name == other.name for other in before):
        return "each name once"
    place = (listener.host, listener.port)
    if listener.port and any(place == (other.host, other.port) for other in before):
        return "each address and port once"
    if listener.role == "submissions" and not has_certificate:
        return f"a certificate for it: [tls] certificate in {toml}"
    return ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
