"""What the options -r -e -h -q -l of several commands mean.

password, method_name = make_credentials(command, args, "example.com", prompt)
"""

import argparse
import os

from indimail.accounts.passwords import hash_password, random_password
from indimail.accounts.port import PASSWORD_LENGTH
from indimail.cli.site import Command, Failed
from indimail.cli.terminal import ask_password
from indimail.delivery.quota import parse_quota
from indimail.mail.secret import Secret
from indimail.manage.users import method_setting

LONGEST_RANDOM = 128


def make_credentials(
    command: Command, args: argparse.Namespace, domain: str, prompt: str
) -> tuple[Secret, str]:
    """Return what is stored, empty where nothing was given, and the name of the hash method."""
    name, method = method_setting(command.site, command.disk, domain, args.method or "")
    if method is None:
        raise Failed(f"wrong hash method {name}: DES MD5 SHA-256 SHA-512 YESCRYPT ARGON2ID", 100)
    if args.random is not None:
        if not 0 < args.random <= LONGEST_RANDOM:
            raise Failed(f"-r {args.random}: expected 1 to {LONGEST_RANDOM}", os.EX_USAGE)
        password = random_password(args.random)
        print(f"Password is {password}")
    else:
        password = ask_password(prompt) if args.password is None else args.password
    if args.raw and not (password.isascii() and password.isprintable()):
        raise Failed("an encrypted password is printable ASCII", os.EX_DATAERR)
    if not password or args.raw:
        return Secret(password), name
    if len(password) > PASSWORD_LENGTH:
        is_new = command.program != "vpasswd"
        raise Failed("iadduser: Name too long" if is_new else "ipasswd: Password too long", 100)
    if "\0" in password:
        raise Failed("a password has no NUL", os.EX_DATAERR)
    return hash_password(password, method), name


def parse_quota_option(text: str | None) -> str:
    """Return the quota as it is stored, empty where none was given."""
    if text is None:
        return ""
    quota = parse_quota(text) if text else None
    if quota is None:
        raise Failed(f"invalid quota [{text}]: expected 50M, 50M,1000 or NOQUOTA", 100)
    return str(quota)


def parse_base(path: str | None) -> str:
    """Return the directory of -B, empty where none was given."""
    if path and not os.path.isabs(path):
        raise Failed(f"-B {path}: expected an absolute path", os.EX_USAGE)
    return path or ""


def parse_level(number: int | None) -> int:
    """Return the users of a directory, 0 where none was given."""
    if number is not None and number < 1:
        raise Failed(f"-l {number}: expected 1 or more", os.EX_USAGE)
    return number or 0
