"""The password of a command with long options: from a file, the terminal or standard input.

    take_password(args)                                 # as who runs the command
    new_credentials(command, args, domain, whose)       # what is stored of it

It is never an argument.  Not here: hashing it (`accounts.passwords`).
"""

import argparse
import os
from typing import Final

from indimail.accounts.passwords import METHODS, random_password
from indimail.accounts.port import PASSWORD_LENGTH
from indimail.accounts.scram import MECHANISMS
from indimail.cli.credentials import LONGEST_RANDOM, Credentials, make_credentials
from indimail.cli.site import Command, Failed
from indimail.cli.terminal import ask_password
from indimail.mail.secret import Secret
from indimail.manage.users import NO_SCRAM

STDIN: Final = "-"


def add_password(parser: argparse.ArgumentParser, whose: str = "") -> None:
    """Declare where the password comes from and how it is stored; `whose`: ``postmaster-``."""
    parser.hides = True  # type: ignore[attr-defined]  # of `cli.main.Parser`
    group = parser.add_argument_group("password (left out: asked, or the first line of stdin)")
    source = group.add_mutually_exclusive_group()
    source.add_argument(
        f"--{whose}password-file", dest="password_file", metavar="FILE", help="the first line of it"
    )
    source.add_argument(
        "--random", dest="length", type=_length, metavar="LENGTH", help="a random one, printed"
    )
    group.add_argument("--hashed", dest="raw", action="store_true", help="what is given is a hash")
    add_storing(group)
    parser.set_defaults(password=None, random=None)


def add_storing(group: argparse._ArgumentGroup) -> None:
    """Declare how passwords are stored."""
    group.add_argument(
        "--hash-method", dest="method", type=str.upper, choices=METHODS, help="how it is hashed"
    )
    group.add_argument(
        "--scram", type=str, choices=[*MECHANISMS, NO_SCRAM], help="keys to be stored beside it"
    )
    group.add_argument("--cram", action="store_true", help="store the clear text too, for CRAM-MD5")


def take_password(args: argparse.Namespace) -> None:
    """Read the file of the password, before root acts as the owner of the instance."""
    if args.raw and (args.cram or args.scram or args.length):
        what = "--cram, --scram and --random: not with --hashed, they need the password itself"
        raise Failed(what, os.EX_USAGE)
    if args.password_file in (None, STDIN) or args.dry_run:
        return
    try:
        with open(args.password_file, "rb") as file:
            line = file.readline().rstrip(b"\r\n")
    except FileNotFoundError as error:
        raise Failed(f"{args.password_file}: {error.strerror}", os.EX_NOINPUT) from None
    args.password = line.decode("utf-8", "surrogateescape")
    if not args.password:
        raise Failed(
            f"{args.password_file}: found an empty line, expected a password", os.EX_DATAERR
        )


def new_credentials(
    command: Command, args: argparse.Namespace, domain: str, whose: str
) -> Credentials:
    """Return what is stored; `args.password` is the password then, also one that was made."""
    if command.is_dry:
        return Credentials(Secret(""), Secret(""), "")
    if args.length:
        args.password = random_password(args.length)
    if args.password is None:
        args.password = ask_password(f"New IndiMail password for {whose}: ")
    if not args.password:
        raise Failed("found nothing, expected a password", os.EX_DATAERR)
    if len(args.password) > PASSWORD_LENGTH:
        what = f"found {len(args.password)} characters"
        raise Failed(f"{what}, expected a password of at most {PASSWORD_LENGTH}", os.EX_DATAERR)
    return make_credentials(command, args, domain, whose)


def random_given(args: argparse.Namespace) -> dict[str, str]:
    """Return the random password for who asked for one: a key of JSON."""
    return {"password": args.password} if args.length and args.password else {}


def _length(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= LONGEST_RANDOM:
        raise argparse.ArgumentTypeError(f"expected 1 to {LONGEST_RANDOM}")
    return int(text)
