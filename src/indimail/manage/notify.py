"""Tell the running server of a change, and wait until it is in force.

    notify(f"{root}/run/control.sock", AccountChanged("alice", "example.com"))  -> Answer.CONFIRMED

One line of JSON goes to the supervisor, ``{"op": "invalidate", "name": ..., "domain": ...}`` or
``{"op": "reload"}``; it answers ``{"ok": true}`` when all workers confirmed.  Where nobody runs
there is nobody to tell.

Source: DESIGN.md 5 (who sees a change when).  Not here: the other end (`app`).
"""

import json
import socket
from dataclasses import dataclass
from enum import Enum
from typing import Final

PATIENCE: Final = 5.0  # seconds
_LONGEST: Final = 65_536


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Forget what is cached of a user; of the whole domain with an empty name."""

    name: str
    domain: str


@dataclass(frozen=True, slots=True)
class ControlsChanged:
    """Read the configuration again."""


class Answer(Enum):
    """How the server took it."""

    CONFIRMED = "confirmed"
    NOBODY_RUNS = "nobody runs"
    UNCONFIRMED = "unconfirmed"


def notify(socket_path: str, change: AccountChanged | ControlsChanged) -> Answer:
    """Send the change, wait up to `PATIENCE` seconds.  Raises nothing: the change is made."""
    try:
        answer = ask(socket_path, _message(change))
    except (FileNotFoundError, ConnectionRefusedError):
        return Answer.NOBODY_RUNS
    except (OSError, ValueError):
        return Answer.UNCONFIRMED
    return Answer.CONFIRMED if answer.get("ok") is True else Answer.UNCONFIRMED


def ask(socket_path: str, message: dict[str, str]) -> dict[str, object]:
    """Send one message and return the answer, within `PATIENCE` seconds.

    Raises FileNotFoundError or ConnectionRefusedError where nobody runs, other OSErrors, and
    ValueError for what is no answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(socket_path)
        peer.sendall(json.dumps(message).encode() + b"\n")
        with peer.makefile("rb") as answers:
            answer = json.loads(answers.readline(_LONGEST))
    if isinstance(answer, dict):
        return answer
    raise ValueError(answer)


def _message(change: AccountChanged | ControlsChanged) -> dict[str, str]:
    match change:
        case AccountChanged(name, domain):
            return {"op": "invalidate", "name": name, "domain": domain}
        case ControlsChanged():
            return {"op": "reload"}
