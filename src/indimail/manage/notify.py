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
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(PATIENCE)
            peer.connect(socket_path)
            peer.sendall(_line(change))
            with peer.makefile("rb") as answers:
                answer = json.loads(answers.readline(_LONGEST))
    except (FileNotFoundError, ConnectionRefusedError):
        return Answer.NOBODY_RUNS
    except (OSError, ValueError):
        return Answer.UNCONFIRMED
    is_ok = isinstance(answer, dict) and answer.get("ok") is True
    return Answer.CONFIRMED if is_ok else Answer.UNCONFIRMED


def _line(change: AccountChanged | ControlsChanged) -> bytes:
    match change:
        case AccountChanged(name, domain):
            message = {"op": "invalidate", "name": name, "domain": domain}
        case ControlsChanged():
            message = {"op": "reload"}
    return json.dumps(message).encode() + b"\n"
