"""What the options -r -e -h -m -C -S -I -q -l of several commands mean.

made = make_credentials(command, args, "example.com", "alice@example.com")
made.password, made.scram       # what is stored
"""

import argparse
import os
from base64 import b64decode
from typing import Final, NamedTuple

from indimail.accounts.libcrypt import LONGEST
from indimail.accounts.passwords import METHODS, hash_password, random_password
from indimail.accounts.port import PASSWORD_LENGTH
from indimail.accounts.scram import (
    FEWEST,
    ITERATIONS,
    MECHANISMS,
    SHORTEST_SALT,
    make_scram,
)
from indimail.cli.site import Command, Failed
from indimail.cli.terminal import ask_password
from indimail.delivery.quota import parse_quota
from indimail.mail.secret import Secret
from indimail.manage.quota_change import fits
from indimail.manage.site import Refused
from indimail.manage.users import method_setting, scram_setting

LONGEST_RANDOM: Final = 128
MOST: Final = 10_000_000  # of scramp
LONGEST_SALT: Final = 32  # octets, so that all of it fits its column


class Credentials(NamedTuple):
    """What is stored, empty where nothing was given, and the name of the hash method."""

    password: Secret
    scram: Secret
    method_name: str


def add_password_options(options: argparse._ArgumentGroup) -> None:
    """Add what says where a password comes from, and how it is stored."""
    options.add_argument("-r", dest="random", type=int, metavar="LEN", help="a random password")
    options.add_argument("-e", dest="raw", action="store_true", help="the password is encrypted")
    add_storing_options(options)
    options.add_argument("-v", dest="verbose", action="store_true", help="say what was done")


def add_storing_options(options: argparse._ArgumentGroup) -> None:
    """Add what says how a password is stored."""
    options.add_argument("-h", dest="method", metavar="HASH", help=" ".join(METHODS))
    options.add_argument(
        "-m", dest="scram", metavar="SCRAM", help=f"{' '.join(MECHANISMS)} (default), or none"
    )
    options.add_argument(
        "-C", dest="cram", action="store_true", help="store the clear text too, for CRAM-MD5"
    )


def add_scram_options(options: argparse._ArgumentGroup) -> None:
    """Add what says how the keys for SCRAM are made."""
    options.add_argument("-S", dest="salt", metavar="SALT", help="their salt, in base64")
    options.add_argument(
        "-I", dest="iterations", type=int, metavar="N", help=f"their iterations ({ITERATIONS})"
    )


def new_credentials(
    command: Command, args: argparse.Namespace, domain: str, whose: str
) -> Credentials:
    """Return what is stored of a password that has to be; with --dry-run nobody is asked."""
    if command.is_dry:
        return Credentials(Secret(""), Secret(""), "")
    made = make_credentials(command, args, domain, whose)
    if not made.password:
        raise Failed("Please input password", 1)
    return made


def make_credentials(
    command: Command, args: argparse.Namespace, domain: str, whose: str
) -> Credentials:
    """Ask for a password, unless the arguments have it, and return what is stored of it."""
    if args.raw and (args.cram or args.scram):
        raise Failed("-C and -m need the password itself, not one that is encrypted", os.EX_USAGE)
    storing = Storing(command, args, domain)
    if args.random is not None:
        if not 0 < args.random <= LONGEST_RANDOM:
            raise Failed(f"-r {args.random}: expected 1 to {LONGEST_RANDOM}", os.EX_USAGE)
        password = random_password(args.random)
        print(f"Password is {password}")
    else:
        password = (
            ask_password(f"New IndiMail password for {whose}: ")
            if args.password is None
            else args.password
        )
    if args.raw and not (password.isascii() and password.isprintable()):
        raise Failed("an encrypted password is printable ASCII", os.EX_DATAERR)
    if not password or args.raw:
        return Credentials(Secret(password), Secret(""), storing.method_name)
    octets = len(password.encode("utf-8", "surrogateescape"))
    if len(password) > PASSWORD_LENGTH or octets > LONGEST:
        is_new = command.program != "vpasswd"
        raise Failed("iadduser: Name too long" if is_new else "ipasswd: Password too long", 100)
    if "\0" in password:
        raise Failed("a password has no NUL", os.EX_DATAERR)
    return storing.credentials(password)


class Storing:
    """How passwords of a domain are stored: what the options, the settings and we say, in this order.

    The options are `method`, `scram`, `cram`, and where there are such `salt` and `iterations`.
    """

    def __init__(self, command: Command, args: argparse.Namespace, domain: str) -> None:
        self.method_name, method = method_setting(
            command.site, command.disk, domain, args.method or ""
        )
        if method is None or args.method == "":
            raise Failed(f"wrong hash method {self.method_name}: {' '.join(METHODS)}", 100)
        self._method = method
        self._scram = _Scram(command, args, domain)

    def credentials(self, password: str) -> Credentials:
        """Return what is stored of a password, which has no NUL and is not too long."""
        hashed = hash_password(password, self._method)
        return Credentials(hashed, self._scram.column(password), self.method_name)


class _Scram:
    """What -m, -C, -S and -I and the settings say of the column scram."""

    def __init__(self, command: Command, args: argparse.Namespace, domain: str) -> None:
        wanted = scram_setting(command.site, command.disk, domain, args.scram or "")
        if isinstance(wanted, Refused):
            raise Failed(wanted.text, wanted.code)
        self._mechanism = wanted
        self._is_asked_for = bool(args.scram)
        self._clear = bool(args.cram)
        self._salt = _parse_salt(getattr(args, "salt", None))
        self._iterations = _parse_iterations(getattr(args, "iterations", None))

    def column(self, password: str) -> Secret:
        """Return the column; without keys where nobody asked for them and they cannot be."""
        made = make_scram(
            password,
            self._mechanism,
            clear=self._clear,
            salt=self._salt,
            iterations=self._iterations,
        )
        if made is None and not self._is_asked_for:
            made = make_scram(password, None, clear=self._clear)
        if made is None:
            what = "too long, or has characters that SCRAM does not take"
            raise Failed(f"this password cannot be stored so: it is {what}", os.EX_DATAERR)
        return made


def _parse_salt(text: str | None) -> bytes:
    """Return the salt of -S, empty where none was given."""
    if text is None:
        return b""
    try:
        salt = b64decode(text, validate=True)
    except ValueError:
        salt = b""
    if not SHORTEST_SALT <= len(salt) <= LONGEST_SALT:
        what = f"{SHORTEST_SALT} to {LONGEST_SALT} octets in base64"
        raise Failed(f"-S {text}: expected {what}", os.EX_USAGE)
    return salt


def _parse_iterations(number: int | None) -> int:
    if number is not None and not FEWEST <= number <= MOST:
        raise Failed(f"-I {number}: expected {FEWEST} to {MOST}", os.EX_USAGE)
    return number or ITERATIONS


def parse_quota_option(text: str | None) -> str:
    """Return the quota as it is stored, empty where none was given."""
    if text is None:
        return ""
    quota = parse_quota(text) if text else None
    if quota is None or not fits(quota):
        raise Failed(f"invalid quota [{text}]: expected 50M, 50M,1000 or NOQUOTA", 100)
    return str(quota)


def parse_base(path: str | None) -> str:
    """Return the directory of -B, empty where none was given."""
    if path is not None and not os.path.isabs(path):
        raise Failed(f"-B {path}: expected an absolute path", os.EX_USAGE)
    return path or ""


def parse_level(number: int | None) -> int:
    """Return the users of a directory, 0 where none was given."""
    if number is not None and number < 1:
        raise Failed(f"-l {number}: expected 1 or more", os.EX_USAGE)
    return number or 0
