"""What a process asks Linux of itself, beyond what `os` has.

    die_with_parent(parent_pid)      # SIGKILL once the thread that forked us is gone
    gain_nothing_by_exec()           # no program that is started from here on is setuid
    adopt_orphans()                  # who loses its parent among our descendants becomes our child
    call_myself("qmail-lspawn")      # in the process list, at most 15 octets

Source: prctl(2).  A change of uid clears the first one: ask after it.
"""

import ctypes
import os
import signal
from typing import Final

_SET_PDEATHSIG: Final = 1
_SET_NAME: Final = 15
_SET_CHILD_SUBREAPER: Final = 36
_SET_NO_NEW_PRIVS: Final = 38

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """End when `parent`, who forked us, ends; at once where it already has."""
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def gain_nothing_by_exec() -> None:
    """Give up that a setuid or setgid program makes us somebody else, for good."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


def adopt_orphans() -> None:
    """Become the parent of what escapes from our children."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def call_myself(name: str) -> None:
    """Change the name that `ps -e` and `top` show."""
    _libc.prctl(_SET_NAME, ctypes.c_char_p(name.encode()), 0, 0, 0)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
