"""The steps of `indimail import`: read the source, change ours, copy mail, tell what came of it.

    take_over("indimail import", args)      -> exit code

The source is read as who started the command; from then on root acts as the service account, but
for opening the mails.  So all that is imported is imported here, before.

Not here: the arguments (`cli.import_`), the work (`manage.importing`).
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from indimail.accounts.foreign import ForeignTables
from indimail.accounts.passwords import hash_password
from indimail.accounts.url import check_url
from indimail.app.configuration import load
from indimail.app.instance import open_instance
from indimail.app.settings import CONTROLS, VARIABLES
from indimail.cli.change import is_completed, make_change
from indimail.cli.commands import COMMANDS
from indimail.cli.progress import Progress
from indimail.cli.site import Command, Failed, now, opened
from indimail.mail.errors import ConfigErrors, Mistake
from indimail.manage.importing.maildirs import RESERVE, CopyMaildir, wanted
from indimail.manage.importing.places import find_places
from indimail.manage.importing.plan import Importing
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.rows import Tables
from indimail.manage.importing.source import Source
from indimail.manage.importing.tree import Tree
from indimail.manage.importing.ways import Mail, Ways

_EXAMPLE = "mysql://user:password@host/indimail (control/host.mysql names it)"


def take_over(program: str, args: argparse.Namespace) -> int:
    """Read the source, make the changes, copy the mail, print the report; return the exit code."""
    url = _database(args.database or "")
    report = Report()
    tree, source = _read(args, url, report)
    with opened(program, args) as command:
        if os.path.samefile(tree.root, command.site.places.root):
            raise Failed(f"{args.source}: is the instance itself", os.EX_USAGE)
        ways = Ways(
            hashed=lambda text: hash_password(text, command.site.default_method),
            programs=frozenset(name for name, row in COMMANDS.items() if row.is_script),
            controls={name: setting.waits_for for name, setting in CONTROLS.items()},
            variables={name: setting.waits_for for name, setting in VARIABLES.items()},
            check=lambda files: _mistakes(command, files),
            mail=Mail(args.mail),
            keep_clear=args.clear,
            force=args.force,
            link=args.link,
        )
        importing = Importing(
            command.site, command.accounts, command.disk, source, tree, ways, report,
            with_system=not args.domain,
        )  # fmt: skip
        importing.begin(now())
        written = io.StringIO()
        shown = contextlib.redirect_stdout(written) if args.json else contextlib.nullcontext()
        with shown:
            for subject, plan in importing.changes():
                make_change(command, f"{args.kind} {subject}", plan)
                if is_completed(command, f"{args.kind} {subject}"):
                    plan()  # made by now, and told all the same
            _copy_mail(program, command, importing.mailboxes(), report)
    if args.json:
        values = {**report.values(), "writes": written.getvalue().splitlines()}
        print(json.dumps(values, indent=2))
    else:
        print(report.text())
    return os.EX_OK if report.is_whole else 1


def _mistakes(command: Command, files: Mapping[str, bytes]) -> list[Mistake]:
    """Return what would be wrong in the configuration if these files said this."""
    places = command.site.places
    instance = open_instance(places.root, os.environ)
    with tempfile.TemporaryDirectory(prefix="indimail-import-") as folder:
        for part in ("control_dir", "tcp_dir", "users_dir"):
            there, here = getattr(places, part), os.path.join(folder, part)
            os.mkdir(here)
            for name in os.listdir(there):
                if os.path.join(there, name) not in files:
                    os.symlink(os.path.join(there, name), os.path.join(here, name))
            for path, octets in files.items():
                if os.path.dirname(path) == there:
                    Path(here, os.path.basename(path)).write_bytes(octets)
            setattr(instance, part, here)
        try:
            load(instance, os.environ)
        except ConfigErrors as errors:
            return [replace(m, file=os.path.basename(m.file)) for m in errors.mistakes]
    return []


def _read(args: argparse.Namespace, url: str, report: Report) -> tuple[Tree, Source]:
    """Read the source, as who started the command."""
    root = os.path.abspath(args.source)
    if not os.path.isdir(root):
        raise Failed(f"{args.source}: no such directory", os.EX_NOINPUT)
    places = find_places(args.kind, root, args.config, [_pair(text) for text in args.map])
    if isinstance(places, str):
        raise Failed(places, os.EX_NOINPUT)
    url = url or places.database
    if args.kind == "indimail" and not url:
        raise Failed(f"users are in its database: --database {_EXAMPLE}", os.EX_USAGE)
    with _tables(url) as tables:
        source = places.read(tables, report)
    if args.domain:
        wanted = {name.lower() for name in args.domain}
        absent = wanted - {domain.name for domain in source.domains}
        if absent:
            raise Failed(f"--domain {' '.join(sorted(absent))}: not there", os.EX_NOINPUT)
        source.domains = [domain for domain in source.domains if domain.name in wanted]
    return places.tree, source


@contextlib.contextmanager
def _tables(url: str) -> Iterator[Tables | None]:
    if not url:
        yield None
        return
    tables = ForeignTables(url)
    try:
        yield tables
    finally:
        tables.close()


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not old.startswith("/") or not os.path.isdir(new):
        raise Failed(f"--map {text}: expected /OLD=NEW, and NEW to be a directory", os.EX_USAGE)
    return old, os.path.abspath(new)


def _database(given: str) -> str:
    """Return the URL; ``-`` reads it."""
    if given == "-":
        given = sys.stdin.readline().strip()
    if given:
        try:
            check_url(given)
        except ValueError as error:
            raise Failed(f"--database: {error}", os.EX_USAGE) from None
    return given


def _copy_mail(
    program: str, command: Command, copies: Iterable[CopyMaildir], report: Report
) -> None:
    """Copy what is missing, or with --dry-run say so; look first whether there is room."""
    sizes: list[tuple[CopyMaildir, int, int]] = []
    for copy in copies:
        mails, strange = wanted(copy)
        sizes.append((copy, len(mails), sum(mail.size for mail in mails)))
        if strange:
            why = f"not of the home's owner (uid {copy.owner})"
            report.note(State.LEFT, copy.source, f"{strange} mails", why)
    report.count("mails", sum(number for _, number, _ in sizes))
    report.count("octets of mail", sum(octets for _, _, octets in sizes))
    _check_room(command, sizes)
    total, done = sum(number for _, number, _ in sizes), 0
    with Progress(program) as progress:
        for copy, number, octets in sizes:
            if command.is_dry and number:
                print(f"{copy}: {number} mails, {octets} octets")
            for came in () if command.is_dry else copy.batches(command.stores):
                done += came
                progress.tell(f"{done} of {total} mails")


def _check_room(command: Command, sizes: list[tuple[CopyMaildir, int, int]]) -> None:
    """Refuse to begin what does not fit; while it is copied each batch looks again."""
    needed: Counter[int] = Counter()
    for copy, _, octets in sizes:
        if octets and not copy.link and os.path.isdir(copy.maildir):
            device = command.disk.device(copy.maildir)
            needed[device] += octets
            free = command.disk.free(copy.maildir) - RESERVE
            if needed[device] > free:
                why = f"no room: {needed[device]} octets and more, {max(free, 0)} can be used"
                raise Failed(f"{copy.maildir}: {why}", os.EX_IOERR)
