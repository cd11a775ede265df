"""What a program's end means for its delivery.

    judge(Ended(code=0), "./sort", RULE, virtual=False)       -> None: go on
    judge(Ended(code=99), ...)                                -> STOP: the rest is left out
    judge(Ended(code=100, output="no"), ...)                  -> Failed("no", RULE)
    judge(Ended(signal=9), ...)                               -> Deferred("Aack, child ...", RULE)

The program's own words are what the sender of a bounce reads, else its exit code.  A program that was
ended because it used too much (time, memory, output) is deferred, and says which limit it was.

Source: spec/delivery.md 3 (report of 3000 octets), 4 (exit codes), 5.5 (vdelivermail's texts).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from indimail.mail.outcome import Deferred, Failed
from indimail.mail.verdict import Rule

PERMANENT: Final = frozenset({100, 64, 65, 70, 76, 77, 78, 112})
STOPPED: Final = 99
REPORT: Final = 3000  # octets of a program's words that are kept


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use; 0 = no limit.  Seconds, octets, processes.

    `memory` holds for each of its processes, and for all of them together; `at_once` programs of
    one user run at the same time.
    """

    seconds: int = 1000
    cpu: int = 300
    memory: int = 1 << 30
    processes: int = 100
    file: int = 1 << 30
    output: int = 1 << 20
    at_once: int = 40


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: by itself (`code`), by a signal, or by us (`limit` says why)."""

    code: int = 0
    output: str = ""
    signal: int = 0
    limit: str = ""


class Next(Enum):
    """What follows a program that did its work."""

    GO_ON = auto()
    STOP = auto()


def judge(ended: Ended, command: str, rule: Rule, *, virtual: bool) -> Next | Failed | Deferred:
    """Say whether the delivery goes on."""
    said = ended.output.strip()
    if ended.limit:
        text = f"{command}: {ended.limit}. (#4.3.0)"
        return Deferred(_joined(said, text), rule)
    if ended.signal:
        return Deferred(f"Aack, child {command} crashed. (#4.3.0)", rule)
    if ended.code in {0, STOPPED}:
        return Next.GO_ON if ended.code == 0 else Next.STOP
    kind = "Permanent" if ended.code in PERMANENT else "Temporary"
    own = f"{command} failed code({ended.code}). {kind} error"
    text = _joined(said, own) if virtual or not said else said
    return Failed(text, rule) if ended.code in PERMANENT else Deferred(text, rule)


def _joined(said: str, own: str) -> str:
    return f"{said}\n{own}" if said else own
