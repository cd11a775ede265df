"""`qmail-tcpto`: list the other hosts that did not answer, as the running server knows them.

    qmail-tcpto        192.0.2.1 timed out 62 seconds ago; # recent timeouts: 2

From the second timeout on a host is left alone for an hour or more (MIN_PENALTY).  Exit 111 where no
server runs: it alone remembers.

Source: spec/queue.md 2.3, 5.1.  Not here: the memory (`schedule.deadhosts`).
"""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Final, cast

from indimail.app.instance import find_root, missing, open_instance
from indimail.cli.qmail_qread import add_common

if TYPE_CHECKING:
    from collections.abc import Sequence

SMTP: Final = 25
NOBODY: Final = 111
# Address, port, how many failures were counted, and how many seconds ago the last was.
Host = tuple[str, int, int, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    answer = asked("qmail-tcpto", args.root, "hosts")
    if isinstance(answer, int):
        return answer
    hosts = cast("Sequence[Host]", answer["hosts"])
    if args.json:
        names = ("address", "port", "timeouts", "seconds")
        print(json.dumps([dict(zip(names, host, strict=True)) for host in hosts], indent=1))
        return os.EX_OK
    for address, port, failures, seconds in hosts:
        where = address if port == SMTP else f"{address} port {port}"
        print(f"{where} timed out {seconds:.0f} seconds ago; # recent timeouts: {failures}")
    return os.EX_OK


def asked(program: str, root: str | None, question: str) -> dict[str, object] | int:
    """Return the server's answer, or the exit code where there is none."""
    from indimail.manage.notify import ask  # noqa: PLC0415

    found = find_root(root, os.environ)
    if nothing := missing(found):
        return _failed(program, nothing, os.EX_NOINPUT)
    instance = open_instance(found, os.environ)
    try:
        return ask(os.path.join(instance.run, "control.sock"), {"op": question})
    except (FileNotFoundError, ConnectionRefusedError):
        return _failed(program, f"no server runs in {found}", NOBODY)
    except PermissionError as error:
        return _failed(program, f"{instance.run}: {error.strerror}", os.EX_NOPERM)
    except (OSError, ValueError) as error:
        return _failed(program, f"the server does not answer: {error}", NOBODY)


def _failed(program: str, reason: str, code: int) -> int:
    print(f"{program}: {reason}", file=sys.stderr)
    return code
