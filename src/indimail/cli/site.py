"""What every command that changes an instance begins with: find it, and act as its owner.

    def run(args):
        with opened("vadduser", args) as command:
            ...command.site, command.accounts, command.disk

What is imported late is imported before root acts as the service account, which may not be able
to read the library.

Not here: the use cases (`manage`).
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from indimail.accounts.passwords import Method, default_method
from indimail.accounts.port import Accounts
from indimail.accounts.url import accounts_url, check_url
from indimail.app.instance import find_root, open_instance
from indimail.cli.root import add_root as add_root  # noqa: PLC0414 - beside the other options
from indimail.control.toml import Setup, read_toml
from indimail.durable.disk import Disk, SystemDisk
from indimail.mail.errors import InstanceBusy, MailError, Mistake
from indimail.manage.change import complete
from indimail.manage.notify import AccountChanged, Answer, ControlsChanged, notify
from indimail.manage.site import Refused, Site, acting_as
from indimail.manage.writes import Stores

T = TypeVar("T")

# What texts of IndiMail's commands begin with: the name of one of its functions.
_FUNCTION: Final = re.compile(r"\A(?:iadduser|adddomain|deluser|ipasswd|addaliasdomain): ")


class Failed(Exception):
    """A command ends: what to print after its name, and the exit code, of IndiMail and of sysexits(3)."""

    def __init__(self, text: str, code: int, sysexit: int = 0) -> None:
        super().__init__(text)
        self.code = code
        is_sysexit = os.EX_USAGE <= code <= os.EX_CONFIG
        self.sysexit = sysexit or (code if is_sysexit else os.EX_DATAERR)


class Misused(Failed):
    """The text is how the command is used; it is printed as it is."""


@dataclass(frozen=True, slots=True)
class Command:
    """A running command: its name, the instance, its stores.

    `completed` is the title of a change that had been interrupted, and was completed first;
    `is_dry` is --dry-run.
    """

    program: str
    stores: Stores
    completed: str = ""
    is_dry: bool = False

    @property
    def site(self) -> Site:
        """The instance."""
        return self.stores.site

    @property
    def accounts(self) -> Accounts:
        """The user database."""
        return self.stores.accounts

    @property
    def disk(self) -> Disk:
        """The disk."""
        return self.stores.disk

    def tell_server(self, *changes: AccountChanged | ControlsChanged) -> None:
        """Wait until a running server works with the change; warn where it did not say so."""
        for change in changes:
            self.stores.tell(change)


class _Server:
    """The running server, told of changes until it does not confirm one."""

    def __init__(self, program: str, path: str) -> None:
        self._program = program
        self._path = path
        self._is_deaf = False

    def tell(self, change: AccountChanged | ControlsChanged) -> None:
        if self._is_deaf or notify(self._path, change) is not Answer.UNCONFIRMED:
            return
        self._is_deaf = True
        warning = "the running server did not confirm the change; it sees it in 5 seconds"
        print(f"{self._program}: warning: {warning}", file=sys.stderr)


def server_of(program: str, site: Site) -> Callable[[AccountChanged | ControlsChanged], None]:
    """Return what tells the running server of a change."""
    return _Server(program, os.path.join(site.places.run, "control.sock")).tell


def add_options(
    parser: argparse.ArgumentParser,
    later: Mapping[str, str],
    taking_value: str = "",
    misused: int = 1,
) -> argparse._ArgumentGroup:
    """Return the group of IndiMail's options: -h is not help, those of `later` are refused.

    `later` maps an option's letter to the feature it waits for; `taking_value` are the letters
    that have an argument.  `misused` is IndiMail's exit code for wrong use of the command.
    """
    parser.misused = misused  # type: ignore[attr-defined]  # of `cli.main.Parser`
    parser.set_defaults(misused=misused)
    group = parser.add_argument_group("IndiMail's options", conflict_handler="resolve")
    for letter, feature in later.items():
        group.add_argument(
            f"-{letter}",
            dest="later",
            action=_Later,
            nargs=None if letter in taking_value else 0,
            const=feature,
            help=argparse.SUPPRESS,
        )
    return group


class _Later(argparse.Action):
    """Notes an option that waits for a feature, and which."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        _values: object,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, f"{option_string}: not yet: {self.const}")


def refuse_later(args: argparse.Namespace) -> None:
    """Raise `Failed` where an option was given that waits for a feature."""
    later = getattr(args, "later", None)
    if later:
        raise Failed(later, os.EX_UNAVAILABLE)


def attempt(program: str, work: Callable[[], int | None], *, sysexits: bool = False) -> int:
    """Run a command; print its failure as `program: reason` and return its exit code.

    With `sysexits` that is one of sysexits(3) also where IndiMail has another.
    """
    try:
        code = work()
    except Misused as misuse:
        print(misuse, file=sys.stderr)
        return misuse.code
    except Failed as failure:
        text = _FUNCTION.sub("", str(failure), count=1) if sysexits else str(failure)
        print(f"{program}: {printable(text)}", file=sys.stderr)
        return failure.sysexit if sysexits else failure.code
    except MailError as error:
        print(f"{program}: {printable(str(error))}", file=sys.stderr)
        return os.EX_TEMPFAIL
    except BrokenPipeError:  # a reader that had enough: `cli.main` knows
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {printable(f'{where}{error.strerror or error}')}", file=sys.stderr)
        return os.EX_NOPERM if isinstance(error, PermissionError) else os.EX_IOERR
    return code or os.EX_OK


def printable(text: str) -> str:
    """Return a text with escapes for what a terminal would act upon, or cannot show."""
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def check(outcome: T | Refused) -> T:
    """Return what came of a use case; raise `Failed` for a refusal."""
    if isinstance(outcome, Refused):
        raise Failed(outcome.text, outcome.code, outcome.sysexit)
    return outcome


def usage(args: argparse.Namespace) -> Misused:
    """Return the failure that prints how the command is used."""
    return Misused(args.usage.strip(), args.misused)


@contextmanager
def opened(program: str, args: argparse.Namespace) -> Iterator[Command]:
    """Open the instance and act as its owner; complete a change that was interrupted.

    With --dry-run nothing is completed either.
    """
    # The slowest imports, and nothing that --help needs.
    import scramp.utils  # noqa: F401, PLC0415 - of accounts.scram

    from indimail.accounts.sql import SqlAccounts  # noqa: PLC0415

    site, url = find_site(args.root)
    accounts = SqlAccounts(url, exists=True)
    with acting_as(site.uid, site.gid):
        stores = Stores(site, accounts, SystemDisk(), server_of(program, site))
        try:
            is_dry = getattr(args, "dry_run", False)
            completed = "" if is_dry else _completed(program, stores)
            yield Command(program, stores, completed, is_dry)
        finally:
            accounts.close()


def _completed(program: str, stores: Stores) -> str:
    """Complete what was interrupted, and say so; what another command is at is left to it.

    Where that fails, a command that only reads goes on, and one that changes ends (`alone`).
    """
    try:
        title = complete(stores)
    except InstanceBusy:
        return ""
    except (OSError, MailError) as error:
        what = f"a change was interrupted, and cannot be completed: {error}"
        print(f"{program}: warning: {what}", file=sys.stderr)
        return ""
    if title:
        print(f"{program}: completed what was interrupted: {title}", file=sys.stderr)
    return title


def find_site(given: str | None) -> tuple[Site, str]:
    """Return the instance and the database's URL, to root or its owner."""
    site, setup, mistakes = find_setup(given)
    if mistakes:
        raise Failed(str(mistakes[0]), os.EX_CONFIG)
    return site, url_of(site, setup)


def find_setup(given: str | None) -> tuple[Site, Setup, list[Mistake]]:
    """Return the instance as far as indimail.toml can be read, to root or its owner."""
    root = find_root(given, os.environ)
    try:
        owner = os.stat(root)
    except FileNotFoundError:
        raise Failed(
            f"{root}: no instance here; `indimail init` makes one", os.EX_NOINPUT
        ) from None
    if owner.st_uid == 0:
        what = "belongs to root; mail is never handled as root"
        raise Failed(f"{root}: {what}", 100, os.EX_CONFIG)
    if os.geteuid() not in (0, owner.st_uid):
        who = f"you must be root or domain user (uid={owner.st_uid}/gid={owner.st_gid})"
        raise Failed(f"{who} to run this program", 100, os.EX_NOPERM)
    setup, mistakes = read_toml(os.path.join(root, "indimail.toml"), "indimail.toml")
    set_here = {
        name: str(given.value) for name, given in setup.variables.items() if given.value is not None
    }
    variables = {**os.environ, **set_here}
    method = Method.ARGON2ID if mistakes else default_method(_checked_url(setup))
    places = open_instance(root, os.environ)
    site = Site(places, variables, owner.st_uid, owner.st_gid, method)
    return site, setup, mistakes


def url_of(site: Site, setup: Setup) -> str:
    """Return the URL of the user database."""
    return accounts_url(_checked_url(setup), site.places.root, site.places.db)


def _checked_url(setup: Setup) -> str:
    """Return the URL that indimail.toml has for the accounts; empty where it has none."""
    given = setup.settings.get("database.url")
    if given is None:
        return ""
    try:
        check_url(str(given.value))
    except ValueError as error:
        where = f"{setup.name}:{given.line}"
        raise Failed(f"{where}: [database] url: {error}", os.EX_CONFIG) from None
    return str(given.value)


def now() -> float:
    """Return the wall time, in seconds since the epoch."""
    return time.time()
