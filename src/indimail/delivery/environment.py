"""The variables that a program of a dot-qmail line sees.

    environment(addressee, sender="eve@example.net", new_sender="eve@example.net", lines)
        -> {"SENDER": "eve@example.net", "LOCAL": "example.com-alice", "EXT": "alice", ...}

HOST2 to HOST4 are the host cut at its last, second last, third last dot; EXT2 to EXT4 what stands
behind the first, second, third ``-`` of EXT.  DTLINE, RPLINE and UFLINE are whole lines.

Source: spec/delivery.md 4 (environment), 5.5 (RPLINE and DTLINE, which vdelivermail keeps for some
programs alone).  Not here: envdirs, which are read when the program is started.
"""

from dataclasses import dataclass
from typing import Final

# Their own programs put these lines in front of the mail; for others vdelivermail takes them away.
OWN_LINES: Final = frozenset(
    """autoresponder condredirect condtomaildir dot-forward fastforward filterto forward
    maildirdeliver preline qnotify qsmhook replier rrforward serialcmd""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Addressee:
    """A local address as `users/assign` took it apart; `default` where a ``default`` file is used."""

    user: str
    home: str
    local: str
    host: str
    ext: str
    default: str | None = None

    @property
    def address(self) -> str:
        """Qmail's local address."""
        return f"{self.local}@{self.host}"


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines in front of a copy, each with its newline."""

    return_path: str
    delivered_to: str
    from_: str


def environment(who: Addressee, sender: str, new_sender: str, lines: Lines) -> dict[str, str]:
    """Return the variables of a program in the recipient's own .qmail file."""
    found = {
        "SENDER": sender,
        "NEWSENDER": new_sender,
        "RECIPIENT": who.address,
        "USER": who.user,
        "HOME": who.home,
        "HOST": who.host,
        "LOCAL": who.local,
        "EXT": who.ext,
        "DTLINE": lines.delivered_to,
        "RPLINE": lines.return_path,
        "UFLINE": lines.from_,
        "QQEH": "",
    }
    found |= {f"HOST{n}": _before(who.host, ".", n - 1) for n in (2, 3, 4)}
    found |= {f"EXT{n}": _behind(who.ext, "-", n - 1) for n in (2, 3, 4)}
    if who.default is not None:
        found["DEFAULT"] = who.default
    return {name: value.replace("\0", "") for name, value in found.items()}


def of_virtual(found: dict[str, str], command: str) -> dict[str, str]:
    """Return what vdelivermail leaves of them for this command."""
    program = command.split(None, 1)[0] if command.strip() else ""
    if program.rpartition("/")[2] in OWN_LINES:
        return found
    return {name: value for name, value in found.items() if name not in {"RPLINE", "DTLINE"}}


def _before(text: str, separator: str, count: int) -> str:
    """Cut the text at its last, second last, ... separator; all of it where there are fewer."""
    for _ in range(count):
        head, found, _ = text.rpartition(separator)
        if not found:
            break
        text = head
    return text


def _behind(text: str, separator: str, count: int) -> str:
    """Return what stands behind the first, second, ... separator; nothing where there are fewer."""
    for _ in range(count):
        text = text.partition(separator)[2]
    return text
