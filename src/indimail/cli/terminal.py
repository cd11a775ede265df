"""Passwords: taken from the command line, the terminal or standard input.

    hide_argument(args.password)          # the first thing a command does
    ask_password("New IndiMail password for postmaster: ")

A password that was given as an argument is overwritten in the process list at once; until then
(some milliseconds while the interpreter starts) every user of the machine could read it, which is
why it may be left out.

Source: proc_pid_stat(5), fields 48 and 49 (arg_start, arg_end).
"""

import ctypes
import getpass
import sys
from pathlib import Path
from typing import Final

_ARG_START: Final = 48
_AFTER_NAME: Final = 3  # the first field after the program's name in parentheses


def ask_password(prompt: str) -> str:
    """Return a new password: asked twice on a terminal, else the first line of stdin.

    Empty where none was given, also by Ctrl-D.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.buffer.readline().rstrip(b"\r\n")
        return line.decode("utf-8", "surrogateescape")  # as an argument comes
    try:
        while True:
            password = getpass.getpass(prompt)
            if password == getpass.getpass("Retype new IndiMail password: "):
                return password
            print("Passwords do not match, try again", file=sys.stderr)
    except EOFError:
        print(file=sys.stderr)
        return ""


def hide_argument(text: str | None) -> None:
    """Overwrite the last argument that reads like this, where the kernel shows it to others."""
    if not text:
        return
    try:
        arguments = Path("/proc/self/cmdline").read_bytes()
        # The name may hold blanks and parentheses: the fields are counted behind it.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start = int(fields[_ARG_START - _AFTER_NAME])
    except OSError:  # no /proc: nobody sees it there
        return
    wanted = text.encode("utf-8", "surrogateescape")
    at = (b"\0" + arguments).rfind(b"\0" + wanted + b"\0")
    if start and at > 0:
        ctypes.memset(start + at, ord("x"), len(wanted))
