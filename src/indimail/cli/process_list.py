"""Take a secret out of the command line that everybody can see (`ps`, /proc/PID/cmdline).

    hide_argument(args.database)      # stars from now on

The kernel shows the memory where it put the arguments, so that is overwritten, as the programs of
MariaDB do.  Until then it was seen: a secret is better read from standard input.

Source: proc(5), fields 48 and 49 of /proc/PID/stat.
"""

import ctypes
import os
from contextlib import suppress

_ARG_START = 48 - 3  # of the fields that follow the program's name


def hide_argument(text: str) -> None:
    """Overwrite the text wherever it stands in our command line; do nothing where that cannot be."""
    with suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_START + 1])
        octets = ctypes.string_at(start, end - start) if start else b""
        secret = os.fsencode(text)
        at = octets.find(secret)
        while at >= 0:
            ctypes.memset(start + at, ord("*"), len(secret))
            at = octets.find(secret, at + len(secret))
