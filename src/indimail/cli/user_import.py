"""`indimail user import FILE`: many users from CSV, all or none.

    indimail user import users.csv
    zcat users.csv.gz | indimail user import --update -

Every row is checked before anything is written, passwords are hashed before the list of writes is
kept; so a list holds no password.  Who is there already with the same values is left as it is, so
the same file may be given twice.

The work: `manage.user_csv`, `manage.user_import`.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from indimail.accounts.passwords import verify
from indimail.cli.actions import end_change
from indimail.cli.change import carry
from indimail.cli.credentials import Storing
from indimail.cli.given_password import STDIN
from indimail.cli.progress import Progress
from indimail.cli.site import Command, Failed, check, now, opened
from indimail.mail.errors import Mistake
from indimail.mail.secret import Secret
from indimail.manage.site import Refused
from indimail.manage.user_change import UserChange
from indimail.manage.user_csv import UserRow, read_users
from indimail.manage.user_import import FilledUser, FoundUser, find_users, plan_import
from indimail.manage.writes import Write

MOST_TOLD: Final = 50  # mistakes
HOOK: Final = "user-import"
SAME: Final = "unchanged"
OUTCOMES: Final = ("added", "changed", SAME)


def run(args: argparse.Namespace) -> int:
    """Add the users."""
    name = "standard input" if args.file == STDIN else args.file
    rows, mistakes = read_users(name, _octets(args.file))
    with opened(args.program, args) as command:
        users, more = find_users(command.site, command.accounts, command.disk, name, rows)
        mistakes = sorted([*mistakes, *more, *_differing(args, name, users)], key=_place)
        _refuse(mistakes)
        # Before a minute of hashing; asked again when no other command can come between.
        check(_plan(command, [FilledUser(user, None) for user in users]))
        filled, mistakes = _filled(command, args, name, users)
        _refuse(mistakes)
        with Progress(args.program) as progress:
            writes = carry(
                command,
                name,
                lambda: _plan(command, filled),
                again=True,
                told=lambda done, total: progress.show("writing", done, total),
            )
    outcomes = [_outcome(user) for user in filled]
    counts = Counter(outcomes)
    said = ", ".join(f"{what} {counts[what]}" for what in OUTCOMES)
    told = {f"{what}_users": counts[what] for what in OUTCOMES}
    domains = {u.found.domain for u, what in zip(filled, outcomes, strict=True) if what != SAME}
    return end_change(command, args, HOOK if domains else None, sorted(domains), writes, said, told)


def _plan(command: Command, users: Sequence[FilledUser]) -> list[Write] | Refused:
    return plan_import(command.site, command.accounts, command.disk, users, now())


def _octets(path: str) -> bytes:
    """Return the file, read as who runs the command."""
    if path == STDIN:
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise Failed(f"{path}: {error.strerror}", os.EX_NOINPUT) from None


def _differing(
    args: argparse.Namespace, name: str, users: Sequence[FoundUser]
) -> Iterator[Mistake]:
    for user in users:
        change = user.change()
        if change != UserChange() and not args.update:
            yield _exists(name, user.row, str(change))


def _exists(name: str, row: UserRow, what: str) -> Mistake:
    found = f"{row.email}, who is there, with other values ({what})"
    return Mistake(name, row.line, found, "the same, or --update")


def _filled(
    command: Command, args: argparse.Namespace, name: str, users: Sequence[FoundUser]
) -> tuple[list[FilledUser], list[Mistake]]:
    """Return the users with what is to be stored; as many at once as there are processors.

    Both libraries that hash let other threads run meanwhile.
    """
    storing = {domain: Storing(command, args, domain) for domain in {u.domain for u in users}}
    is_dry = command.is_dry

    def fill(user: FoundUser) -> FilledUser | Mistake:
        row, account = user.row, user.account
        if row.hash is not None:
            is_same = account is not None and account.password == row.hash
            made = FilledUser(user, None if is_same else row.hash)
        else:
            assert row.password is not None
            password = row.password.reveal()
            if account is not None and verify(account.password, password.encode()):
                made = FilledUser(user, None)
            elif is_dry:
                made = FilledUser(user, Secret(""))
            else:
                try:
                    stored = storing[user.domain].credentials(password)
                except Failed as failure:
                    return Mistake(name, row.line, f"a password: {failure}", "another")
                made = FilledUser(user, stored.password, stored.scram)
        if account is not None and made.password is not None and not args.update:
            return _exists(name, row, "password")
        return made

    filled, mistakes = [], []
    with Progress(args.program) as progress, ThreadPoolExecutor(os.cpu_count()) as threads:
        for number, made in enumerate(threads.map(fill, users), 1):
            if isinstance(made, Mistake):
                mistakes.append(made)
            else:
                filled.append(made)
            progress.show("hashing", number, len(users))
    return filled, mistakes


def _outcome(user: FilledUser) -> str:
    if user.found.account is None:
        return "added"
    return SAME if user.change() == UserChange() else "changed"


def _place(mistake: Mistake) -> int:
    return mistake.line or 0


def _refuse(mistakes: Sequence[Mistake]) -> None:
    if not mistakes:
        return
    for mistake in mistakes[:MOST_TOLD]:
        print(mistake, file=sys.stderr)
    number = f"{len(mistakes)} wrong row{'s' if len(mistakes) > 1 else ''}"
    more = f", {len(mistakes) - MOST_TOLD} not shown" if len(mistakes) > MOST_TOLD else ""
    raise Failed(f"{number}{more}; nothing was changed", os.EX_DATAERR)
