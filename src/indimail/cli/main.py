"""`indimail COMMAND`, and the names that IndiMail's users know, from one table (`cli.commands`).

    indimail explain 1838568448000000001          # or `python -m indimail.cli.main explain ...`
    vadduser alice@example.com                    # the console script; also `indimail vadduser`

A command's module has ``add_arguments(parser)`` and ``run(args) -> exit code`` and is imported when
its command is given, so that `--help` takes a tenth of a second.  A console script's entry is this
module's attribute of its name with ``_`` for ``-`` (``indimail.cli.main:qmail_qread``); a name that
is a word of Python has another ``_`` behind it (``except_``).

Exit codes are those of sysexits(3): 64 for wrong use; IndiMail's commands keep their own where it
has some.  A pipe that was closed (``| head``) is no error.
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Final, NoReturn, Protocol, cast

from indimail.cli.commands import COMMANDS


class CommandModule(Protocol):
    """What a command's module has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""


# What argparse repeats in a reason.
_GIVEN: Final = re.compile(r"(unrecognized arguments: |(?:value: |argument )(?='))(.+)", re.DOTALL)


COMPLETING: Final = "_ARGCOMPLETE"  # of `indimail completion`


class Parser(argparse.ArgumentParser):
    """Exits 64 (EX_USAGE, or `misused`) where argparse would exit 2, and reads ``-q -5M`` as getopt(3).

    What follows an option that takes a value is that value, also where it begins with ``-``.
    """

    misused = os.EX_USAGE
    hides = False

    def parse_known_args(  # type: ignore[override]  # argparse's overloads for other namespaces
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, with each such value put next to its option."""
        given = sys.argv[1:] if args is None else args
        return super().parse_known_args(self._joined(given), namespace)

    def _joined(self, args: Sequence[str]) -> list[str]:
        joined: list[str] = []
        rest = iter(args)
        for arg in rest:
            if arg == "--":
                return [*joined, arg, *rest]
            option = self._option_string_actions.get(arg)
            takes_value = len(arg) == 2 and option is not None and option.nargs is None
            value = next(rest, None) if takes_value else None
            if value is None or not value.startswith("-") or value == "-":
                joined += [arg] if value is None else [arg, value]
            else:
                joined.append(f"{arg}{value}")
        return joined

    def error(self, message: str) -> NoReturn:
        """Print the usage and the reason; without what was given where it may be a password."""
        if self.hides:
            message = _GIVEN.sub(r"\1***", message)
        self.print_usage(sys.stderr)
        self.exit(self.misused, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `indimail COMMAND ...`."""
    given = list(sys.argv[1:] if argv is None else argv)
    if COMPLETING in os.environ:
        _complete("")
    if given and given[0] in COMMANDS:
        return run_command(given[0], given[1:], f"indimail {given[0]}")
    parser = _overview()
    if not given:
        parser.print_help(sys.stderr)
        return os.EX_USAGE
    parser.parse_args(given[:1])  # --help and --version end here
    return parser.error(f"no command '{given[0]}'; see indimail --help")


def run_command(name: str, argv: Sequence[str], program: str) -> int:
    """Import a command, parse its arguments, run it."""
    if COMPLETING in os.environ:
        _complete(name)
    if COMMANDS[name].hides:
        from indimail.cli.terminal import hide_arguments  # noqa: PLC0415

        hide_arguments(argv)
    command = load(name)
    args = make_parser(name, program).parse_args(argv)
    try:
        code = command.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its exit: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_OK
    except KeyboardInterrupt:  # Ctrl-C at a question
        print(file=sys.stderr)
        return 128 + signal.SIGINT
    return code


def load(name: str) -> CommandModule:
    """Import the module of a command."""
    return cast(CommandModule, import_module(f"indimail.cli.{COMMANDS[name].module}"))


def make_parser(name: str, program: str) -> Parser:
    """Return the parser of a command's arguments; `program` is what it calls itself."""
    row = COMMANDS[name]
    parser = Parser(
        prog=program,
        description=f"{row.help.capitalize()}.",
        epilog=f"example: {row.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.misused, parser.hides = row.misused, row.hides
    load(name).add_arguments(parser)
    return parser


def _complete(name: str) -> NoReturn:
    """Tell a shell how its command line goes on: of a script, or without a name of `indimail`."""
    from indimail.cli.completion import complete, parser_of  # noqa: PLC0415 - at a Tab alone

    complete(parser_of(name, os.environ.get("COMP_LINE", ""), Parser))
    os._exit(os.EX_SOFTWARE)


def scripts() -> dict[str, str]:
    """Return the console scripts: name -> entry point, as in ``[project.scripts]``."""
    entry = "indimail.cli.main:"
    named = {name: entry + _attribute(name) for name, row in COMMANDS.items() if row.is_script}
    return {"indimail": f"{entry}main", **named}


def __getattr__(attribute: str) -> Callable[[], int]:
    """Return the entry of a console script: `vadduser`, `qmail_qread`."""
    name = attribute.removesuffix("_").replace("_", "-")
    row = COMMANDS.get(name)
    if row is None or not row.is_script:
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
    return lambda: run_command(name, sys.argv[1:], os.path.basename(sys.argv[0]) or name)


def _attribute(name: str) -> str:
    return f"{name}_" if iskeyword(name) else name.replace("-", "_")


def _overview() -> Parser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {row.help}" for name, row in COMMANDS.items()]
    parser = Parser(
        prog="indimail",
        usage="indimail COMMAND [--root DIR] ...",
        description="A mail server that tells why.  `indimail COMMAND --help` tells more.",
        epilog="\n".join(["commands:", *lines, "", f"example: {COMMANDS['serve'].example}"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    return parser


def _version() -> str:
    from indimail import __version__  # noqa: PLC0415

    return f"indimail {__version__}"


if __name__ == "__main__":
    sys.exit(main())
