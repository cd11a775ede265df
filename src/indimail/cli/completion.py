"""`indimail completion SHELL`: the script that lets a shell complete commands, options and names.

    indimail completion bash >/etc/bash_completion.d/indimail

At a Tab the script asks the command itself, with `_ARGCOMPLETE` in the environment: `complete`.
Domains come from `users/assign`, addresses from the user database; who may not read them gets none.
Nothing is completed that was interrupted, and nothing is ever printed but completions.

Sources: kislyuk.github.io/argcomplete; docs/adr/0010-argparse-for-the-commands.md.
"""

import argparse
import os
from collections.abc import Callable
from importlib import import_module
from typing import Final, NoReturn, TextIO

from indimail.cli.commands import COMMANDS

SHELLS: Final = ("bash", "zsh", "fish")
MOST: Final = 200  # names at once

# What the arguments of a name are; any other is completed by its choices alone.
_ADDRESSES: Final = frozenset({"email", "address", "alias", "to", "group"})
_DOMAINS: Final = frozenset({"domain"})
_OF_NOUN: Final = frozenset({"old", "new"})  # of what the command renames
_FILES: Final = frozenset({"file", "password_file", "reply", "autoreply", "root", "base"})

_OF_OTHERS_TOO: Final = frozenset({"sendmail", "rmail"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("shell", choices=SHELLS, help="whose script is printed")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from argcomplete.shell_integration import shellcode  # noqa: PLC0415 - not for --help

    print(shellcode(_completed_names(), shell=args.shell, use_defaults=False))
    return os.EX_OK


def _completed_names() -> list[str]:
    """Return `indimail` and the scripts for administrators, not those of .qmail files."""
    ours = (
        name
        for name, row in COMMANDS.items()
        if row.is_script and row.misused == os.EX_USAGE and name not in _OF_OTHERS_TOO
    )
    return ["indimail", *ours]


def complete(
    parser: argparse.ArgumentParser,
    output: TextIO | None = None,
    leave: Callable[[int], NoReturn] = os._exit,
) -> None:
    """Print what the command line that the shell has in COMP_LINE could go on with, and leave."""
    import argcomplete  # noqa: PLC0415 - at a Tab alone
    from argcomplete.completers import SuppressCompleter  # noqa: PLC0415

    _teach(parser, parser.prog)
    argcomplete.autocomplete(
        parser,
        always_complete_options=False,
        exit_method=leave,
        output_stream=output,
        default_completer=SuppressCompleter(),
    )


def parser_of(
    name: str, line: str, parser_class: type[argparse.ArgumentParser]
) -> argparse.ArgumentParser:
    """Return the parser of a script, or of `indimail` with the command that the line has."""
    if name:
        parser = parser_class(prog=name)
        import_module(f"indimail.cli.{COMMANDS[name].module}").add_arguments(parser)
        return parser
    parser = parser_class(prog="indimail")
    commands = parser.add_subparsers()
    given = line.split()[1:2]
    for command, row in COMMANDS.items():
        inner = commands.add_parser(command, help=row.help)
        if given == [command]:
            import_module(f"indimail.cli.{row.module}").add_arguments(inner)
    return parser


def _teach(parser: argparse.ArgumentParser, prog: str) -> None:
    """Give each argument what completes it."""
    from argcomplete.completers import FilesCompleter  # noqa: PLC0415

    for action in parser._actions:
        kind = action.dest
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                _teach(inner, f"{prog} {name}")
        elif kind in _ADDRESSES or (kind in _OF_NOUN and "user" in prog):
            action.completer = _addresses  # type: ignore[attr-defined]  # of argcomplete
        elif kind in _DOMAINS or kind in _OF_NOUN:
            action.completer = _domains  # type: ignore[attr-defined]
        elif kind in _FILES:
            action.completer = FilesCompleter()  # type: ignore[attr-defined]


def _addresses(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    def found(root: str | None) -> list[str]:
        from indimail.accounts.sql import SqlAccounts  # noqa: PLC0415 - slow to import
        from indimail.cli.site import find_site  # noqa: PLC0415
        from indimail.manage.site import acting_as  # noqa: PLC0415

        site, url = find_site(root)
        accounts = SqlAccounts(url, exists=True)
        with acting_as(site.uid, site.gid):
            try:
                return accounts.addresses(prefix, MOST)
            finally:
                accounts.close()

    return _quietly(found, parsed_args)


def _domains(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    def found(root: str | None) -> list[str]:
        from indimail.cli.site import find_site  # noqa: PLC0415
        from indimail.durable.disk import SystemDisk  # noqa: PLC0415
        from indimail.manage.assign import domains  # noqa: PLC0415
        from indimail.manage.site import acting_as  # noqa: PLC0415

        site, _ = find_site(root)
        with acting_as(site.uid, site.gid):
            names = domains(SystemDisk(), site.places.users_dir)
        return [name for name in names if name.startswith(prefix)][:MOST]

    return _quietly(found, parsed_args)


def _quietly(
    found: Callable[[str | None], list[str]], parsed_args: argparse.Namespace
) -> list[str]:
    """Return what is found; none where there is no instance, or it is closed to who asks."""
    from indimail.cli.site import Failed  # noqa: PLC0415
    from indimail.mail.errors import MailError  # noqa: PLC0415

    try:
        return found(getattr(parsed_args, "root", None))
    except (Failed, MailError, OSError):
        return []
