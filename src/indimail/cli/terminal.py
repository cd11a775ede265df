"""Passwords: taken from the command line, the terminal or standard input.

    hide_arguments(sys.argv[1:])          # the first thing that `cli.main` does
    ask_password("New IndiMail password for postmaster: ")

A password that was given as an argument is overwritten in the process list before anything else
is done, with all the other arguments; until then (while the interpreter starts) every user of the
machine could read it, which is why it may be left out.

Source: proc_pid_stat(5), fields 48 and 49 (arg_start, arg_end).
"""

import ctypes
import getpass
import os
import sys
from collections.abc import Sequence
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


def hide_arguments(given: Sequence[str]) -> None:
    """Overwrite the last arguments of this process, which `given` are, where others see them."""
    wanted = b"".join(os.fsencode(text) + b"\0" for text in given)
    try:
        arguments = Path("/proc/self/cmdline").read_bytes()
        # The name may hold blanks and parentheses: the fields are counted behind it.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start = int(fields[_ARG_START - _AFTER_NAME])
    except OSError:  # no /proc: nobody sees it there
        return
    if not start or not arguments.endswith(wanted):
        return
    at = start + len(arguments) - len(wanted)
    for text in given:
        length = len(os.fsencode(text))
        ctypes.memset(at, ord("x"), length)  # the NUL behind it tells the kernel where they end
        at += length + 1
