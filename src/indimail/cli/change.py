"""What commands that change an instance end with: the change, made or shown, and the hook.

    with opened(PROGRAM, args) as command:
        make_change(command, args.email, lambda: plan_user_removal(...))
    return finish(command, [args.email], said=["removed user ..."])

One that takes names, and makes one change of them, is all told by its `NamedChange`.

A command that was interrupted is completed by whichever comes next (`cli.site.opened`); the same
one then has nothing left to do.

Sources: spec/delivery.md 2 (common rules), spec/cluster-users.md 1.6 (post-handle).
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from indimail.cli.site import (
    Command,
    Failed,
    add_options,
    add_root,
    attempt,
    check,
    opened,
    refuse_later,
    usage,
)
from indimail.mail.errors import MailError
from indimail.manage.change import carry_out, unfit
from indimail.manage.names import check_case, split_address
from indimail.manage.site import Refused, Site, alone, check_undisturbed, journal
from indimail.manage.writes import Write

CHECKED: Final = frozenset({"domain", "email"})
# After these a program of the administrator's runs: vgroup makes users too.
HOOKED: Final = frozenset({
    "vadddomain", "vadduser", "vdeldomain", "vdeluser", "vaddaliasdomain", "vrenamedomain",
    "vrenameuser", "vmoduser", "vpasswd", "vmoveuserdir", "vgroup",
})  # fmt: skip


class Planned(NamedTuple):
    """A change to be made, and what is said of it afterwards with -v, or always."""

    plan: Callable[[], Sequence[Write] | Refused]
    said: str
    is_always_said: bool = False


@dataclass(frozen=True, slots=True)
class NamedChange:
    """A command that takes names, and makes one change of them.

    `names` are its arguments, each a "domain" or an "email", which are checked, or another word.
    `begin` gets the command and the names, may refuse (`Failed`), and says what is to be done.
    `misused` is the exit code for wrong use; `later` and `taking_value` are those of
    `begin_arguments`.
    """

    program: str
    description: str
    names: Mapping[str, str]
    begin: Callable[..., Planned]
    misused: int = 1
    later: Mapping[str, str] = field(default_factory=dict)
    taking_value: str = ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        begin_arguments(
            parser, self.description, self.later, self.taking_value, misused=self.misused
        )
        for name in self.names:
            parser.add_argument(name, nargs="?")
        end_arguments(parser)

    def check(self, given: Sequence[str]) -> None:
        """Refuse what can be no domain, or no email."""
        for text, what in zip(given, self.names.values(), strict=True):
            if what in CHECKED:
                check_name(what, text)

    def run(self, args: argparse.Namespace) -> int:
        """Make the change."""
        return attempt(self.program, lambda: self._run(args))

    def _run(self, args: argparse.Namespace) -> int:
        refuse_later(args)
        given = [getattr(args, name) for name in self.names]
        if None in given:
            raise usage(args)
        self.check(given)
        with opened(self.program, args) as command:
            planned = self.begin(command, *given)
            make_change(command, " ".join(given), planned.plan)
        said = args.verbose or planned.is_always_said
        return finish(command, given, [planned.said] if said and planned.said else [])


def begin_arguments(
    parser: argparse.ArgumentParser,
    description: str,
    later: Mapping[str, str] | None = None,
    taking_value: str = "",
    misused: int = 1,
) -> argparse._ArgumentGroup:
    """Return the group of IndiMail's options, with -v in it."""
    options = add_options(parser, later or {}, taking_value, misused)
    parser.description = description
    options.add_argument("-v", dest="verbose", action="store_true", help="say what was done")
    return options


def end_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every such command has: --dry-run and --root."""
    add_dry_run(parser)
    add_root(parser)
    parser.set_defaults(usage=parser.format_usage())


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Declare --dry-run."""
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be written, write nothing"
    )


def check_name(what: str, text: str) -> None:
    """Refuse an address or a domain that leads out of the directories named for it."""
    check(check_case(what, text))
    domain = split_address(text)[1] or (text if what == "domain" else "")
    if not text or "/" in text or " " in domain or text.startswith(("@", ".")):
        raise Failed(f"Invalid {what} {text}", 100)


def what_is_named(text: str) -> str:
    """Return "email" or "domain", for where either may be given."""
    return "email" if split_address(text)[1] else "domain"


def is_completed(command: Command, subject: str) -> bool:
    """Tell whether this very change had been interrupted, and is now made."""
    return command.completed == _title(command, subject)


def tell_completed(command: Command) -> None:
    """Say that the password of a change that is completed is the one of the command that began it."""
    print(f"{command.program}: its password is the one given then", file=sys.stderr)


def make_change(
    command: Command,
    subject: str,
    plan: Callable[[], Sequence[Write] | Refused],
    *,
    again: bool = False,
) -> None:
    """Make a change, or with --dry-run print it; `subject` is what the command was given.

    The very change that was just completed is not made again; one that says how things shall be
    (`again`) is, since it may say more than its subject does.
    """
    writes = carry(command, subject, plan, again=again)
    if command.is_dry:
        for write in writes:
            print(write)


def carry(
    command: Command,
    subject: str,
    plan: Callable[[], Sequence[Write] | Refused],
    *,
    again: bool = False,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Sequence[Write]:
    """Make a change as `make_change`, but print nothing, and return its writes.

    `told` hears how many of them are done, of how many.
    """
    if is_completed(command, subject) and not again:
        return ()
    title = _title(command, subject)
    if command.is_dry:
        check_undisturbed(command.site)
        return _planned(command, plan)
    with alone(command.site, title):
        writes = _planned(command, plan)
        try:
            if writes:
                carry_out(command.stores, title, writes, told)
        except (OSError, MailError):
            if os.path.exists(journal(command.site)):
                what = "the change is half made; mend what follows, and any command completes it"
                print(f"{command.program}: {what}", file=sys.stderr)
            raise
        return writes


def _planned(command: Command, plan: Callable[[], Sequence[Write] | Refused]) -> Sequence[Write]:
    writes = check(plan())
    check(unfit(command.stores, writes))
    return writes


def finish(
    command: Command, arguments: Sequence[str], said: Sequence[str] = (), *, hooked: bool = True
) -> int:
    """Print what is said of a change that was made, run its hook, return the hook's exit code.

    Not all commands have one, and of those not all uses (`hooked`).
    """
    if command.is_dry:
        return os.EX_OK
    print(*said, sep="\n", end="\n" if said else "", flush=True)
    if not hooked or command.program not in HOOKED:
        return os.EX_OK
    return run_hook(command.site, command.program, arguments)


def run_hook(site: Site, program: str, arguments: Sequence[str], output: int | None = None) -> int:
    """Run the program that follows a command of IndiMail's; return its exit code.

    It is POST_HANDLE, or the command's own program in LIBEXECDIR.  Either runs as the service
    account, also where root runs the command: who owns the instance decides what lies there, and
    must not become root by it.  `output` is the descriptor it prints to.
    """
    argv = _hook(site, program)
    if not argv:
        return os.EX_OK
    who = {"user": site.uid, "group": site.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    environment = {**os.environ, "INDIMAIL_ROOT": site.places.root}
    try:
        ended = subprocess.run(  # type: ignore[call-overload]
            [*argv, *arguments], env=environment, stdout=output, check=False, **who
        )
    except OSError as error:
        what = f"the change is made; after it: {argv[0]}: {error.strerror}"
        raise Failed(what, os.EX_OSFILE) from None
    code = int(ended.returncode)
    return code if code >= 0 else 128 - code


def _hook(site: Site, program: str) -> list[str]:
    posted = site.variables.get("POST_HANDLE", "")
    if posted:
        return shlex.split(posted)
    libexec = os.path.join(site.places.root, site.variables.get("LIBEXECDIR") or "libexec")
    path = os.path.join(libexec, program)
    return [path] if os.path.isfile(path) and os.access(path, os.X_OK) else []


def _title(command: Command, subject: str) -> str:
    return f"{command.program} {subject}"
