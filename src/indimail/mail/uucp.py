"""The From_ lines in front of a message that came by UUCP: who sent it.

    uucp_sender(["From uucp Mon Nov 23 23:15:00 2026 remote from relay",
                 ">From ann Mon Nov 23 23:10:00 2026 remote from host.example.com"])
        -> "ann@host.example.com"

Each host puts a line in front.  Behind the last host's, the user's name is the sender: with an ``@`` as it
stands, with a host that is a domain ``user@host`` (RFC 976 2), else the way to it (``relay!host!ann``).
MAILER-DAEMON is the null reverse-path.

Sources: rmail(8); RFC 976.
"""

import re
from collections.abc import Sequence
from typing import Final

_LINE: Final = re.compile(r">?From (\S+) .*?(?:\bremote from (\S+))?\s*")


def is_from_line(line: bytes) -> bool:
    """Tell whether a line is one of them."""
    return line.startswith((b"From ", b">From "))


def uucp_sender(lines: Sequence[str]) -> str | None:
    """Return the sender that the lines name, None where they name nobody."""
    found = [match for line in lines if (match := _LINE.fullmatch(line))]
    if not found:
        return None
    way = [host for match in found for host in str(match[2] or "").split("!") if host]
    *hosts, user = [*way, *str(found[-1][1]).split("!")]
    if user.lower() in {"mailer-daemon", "<>"}:
        return ""
    if "@" in user or not hosts:
        return user
    return f"{user}@{hosts[-1]}" if "." in hosts[-1] else "!".join([*hosts, user])
