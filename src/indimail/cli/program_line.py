"""What the programs of a dot-qmail file's ``|`` lines share: message, environment, a condition.

    if says_yes(argv, reverse=False):                      # the message on its standard input
        receipt = forward(root, variable("SENDER"), ["x@example.com"], optional("DTLINE"))

The message is descriptor 0, from its beginning.  The environment is what the delivery set: SENDER,
NEWSENDER, DTLINE, RPLINE, UFLINE, QQEH (spec/delivery.md 4).  What ends a program is `Ended`; exit
codes are qmail's: 0 go on with the file, 99 done with it, 100 for good, 111 try again later.

These programs are started for single mails, so they import little, and late.
Source: spec/delivery.md 7.
"""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Final

DONE: Final = 99
PERMANENT: Final = 100
TEMPORARY: Final = 111
FINE: Final = (0, DONE)
FOR_GOOD: Final = (64, 65, 70, 76, 77, 78, 100, 112)
MESSAGE: Final = 0
PIECE: Final = 262_144
LONGEST_HEADER: Final = 262_144

_NO_ROOM: Final = frozenset({errno.EAGAIN, errno.ENOMEM})

Dup2 = tuple[int, int, int]


class Ended(Exception):
    """The program ends: why, and its exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def attempt(program: str, work: Callable[[], int]) -> int:
    """Run a program; tell why it ended early."""
    try:
        return work()
    except Ended as end:
        print(f"{program}: {end}", file=sys.stderr)
        return end.code
    except BrokenPipeError:  # of standard output: `cli.main` knows
        raise
    except OSError as error:
        print(f"{program}: {error.strerror or error}", file=sys.stderr)
        return TEMPORARY


# -- the environment ------------------------------------------------------------------------------


def variable(name: str, code: int = PERMANENT) -> bytes:
    """Return a variable that the delivery always sets."""
    value = os.environb.get(name.encode())
    if value is None:
        raise Ended(f"{name} not set", code)
    return value


def address(name: str, code: int = PERMANENT) -> str:
    """Return a variable that is an address, maybe the empty one."""
    return variable(name, code).decode("utf-8", "surrogateescape")


def optional(*names: str) -> bytes:
    """Return what some variables hold, one after the other; none where it is not set."""
    return b"".join(os.environb.get(name.encode(), b"") for name in names)


def known_as(recipient: str) -> tuple[str, ...]:
    """Return the recipient's addresses, the one that people know first.

    A virtual domain's recipient is ``example.com-alice@example.com`` to qmail; HOST and EXT tell.
    ``alice-list`` of the user alice has EXT too, and is no ``list``: USER and LOCAL tell.
    """
    host, extension = os.environ.get("HOST", ""), os.environ.get("EXT", "")
    if not host:
        return (recipient,)
    of_user = os.environ.get("LOCAL") == f"{os.environ.get('USER', '')}-{extension}"
    more = [f"{extension}@{host}"] if extension and not of_user else []
    return tuple(dict.fromkeys([recipient.removeprefix(f"{host}-"), recipient, *more]))


# -- the message ----------------------------------------------------------------------------------


def message(front: bytes = b"", fd: int = MESSAGE) -> Iterator[bytes]:
    """Yield the message from its beginning, with lines in front."""
    if front:
        yield front
    rewind(fd)
    while piece := os.read(fd, PIECE):
        yield piece


def rewind(fd: int = MESSAGE) -> None:
    """Go to the beginning of the message; a pipe has none but where it is."""
    with suppress(OSError):
        os.lseek(fd, 0, os.SEEK_SET)


def make_seekable() -> int:
    """Make descriptor 0 a file that can be read twice; return its size."""
    try:
        os.lseek(MESSAGE, 0, os.SEEK_SET)
    except OSError:
        with temporary() as file:
            file.writelines(message())
            file.flush()
            os.dup2(file.fileno(), MESSAGE)
    return os.fstat(MESSAGE).st_size


def header_fields() -> list[bytes]:
    """Return the fields of a seekable message, of a header too long those that come first."""
    from indimail.mail.header import split_header  # noqa: PLC0415 - not for --help

    return split_header(os.pread(MESSAGE, LONGEST_HEADER, 0))[0]


def temporary() -> IO[bytes]:
    """Make a file without a name."""
    import tempfile  # noqa: PLC0415 - few need one

    return tempfile.TemporaryFile()


# -- other programs -------------------------------------------------------------------------------


def add_program(parser: argparse.ArgumentParser, *, may_be_missing: bool = False) -> None:
    """Declare a program and its arguments, the last on the command line."""
    nargs = "?" if may_be_missing else None
    parser.add_argument("program", nargs=nargs, metavar="PROGRAM", help="gets the message")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="its arguments")


def program_of(args: argparse.Namespace) -> list[str]:
    """Return what `add_program` declared; empty where none was given."""
    return [] if args.program is None else [args.program, *args.arguments]


def run_program(argv: Sequence[str], *actions: Dup2) -> int | None:
    """Run a program with the message; return its exit code, None where there is none of that name."""
    rewind()
    pid = start_program(argv, *actions)
    return None if pid is None else exit_code(pid)


def start_program(argv: Sequence[str], *actions: Dup2) -> int | None:
    """Start a program; return its process, None where there is none of that name."""
    try:
        return os.posix_spawnp(
            argv[0],
            list(argv),
            os.environ,
            file_actions=actions,
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores both
        )
    except OSError as error:
        if error.errno in _NO_ROOM:  # says nothing about the program
            raise
        return None


def exit_code(pid: int) -> int:
    """Wait for a program."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        raise Ended("child crashed", TEMPORARY)
    return os.waitstatus_to_exitcode(status)


def must_succeed(code: int | None, command: str) -> None:
    """End as a command of a forwarding file did, unless that was well."""
    if code not in FINE:
        permanent = code in FOR_GOOD
        kind = "permanent" if permanent else "temporary"
        raise Ended(f"{kind} child error: {command!a}", PERMANENT if permanent else TEMPORARY)


def run_fed(argv: Sequence[str], front: bytes) -> int | None:
    """Run a program that gets lines in front of the message, as `run_program` does."""
    reading, writing = os.pipe()
    pid = start_program(argv, (os.POSIX_SPAWN_DUP2, reading, 0))
    os.close(reading)
    _feed(writing, front)
    return None if pid is None else exit_code(pid)


def _feed(fd: int, front: bytes) -> None:
    """Write the message; a program that has read enough closes the pipe."""
    try:
        with open(fd, "wb", buffering=0) as pipe:
            for piece in message(front):
                left = memoryview(piece)
                while left:
                    left = left[pipe.write(left) :]
    except BrokenPipeError:
        return


def says_yes(argv: Sequence[str], *, reverse: bool) -> bool:
    """Ask a program whether to do it: exit code 0 is yes, with `reverse` any other."""
    match run_program(argv):
        case 100:
            raise Ended("permanent child error", PERMANENT)
        case 111:
            raise Ended("temporary child error", TEMPORARY)
        case code:
            return (code == 0) is not reverse


# -- the queue ------------------------------------------------------------------------------------


def forward(
    root: str | None, sender: str, recipients: Sequence[str], body: Iterable[bytes]
) -> int:  # fmt: skip
    """Queue a message; return its number."""
    from indimail.app.instance import find_root, open_instance  # noqa: PLC0415
    from indimail.cli.handover import NotText, hand_over  # noqa: PLC0415

    instance = open_instance(find_root(root, os.environ), os.environ)
    try:
        receipt = hand_over(instance, sender, recipients, body, forwarded=True)
    except NotText as error:
        raise Ended(f"unable to forward message: {error}", PERMANENT) from error
    if receipt.code != 0:
        code = PERMANENT if receipt.is_permanent else TEMPORARY
        raise Ended(f"unable to forward message: {receipt.reason}", code)
    return receipt.id
