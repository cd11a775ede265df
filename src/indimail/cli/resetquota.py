"""`resetquota`: count a Maildir anew, and write its maildirsize.

    resetquota /var/indimail/mail/A2E/example.com/alice/Maildir
    resetquota -q 50M /var/indimail/mail/A2E/example.com/alice     # with another quota

The quota is that of the file, where -q gives none.  A row's quota is vsetuserquota's.

Source: spec/delivery.md 2, 8.3.  The counting: `mailbox.maildirsize`.
"""

import argparse
import os

from indimail.cli.credentials import parse_quota_option
from indimail.cli.site import (
    Command,
    Failed,
    add_options,
    add_root,
    attempt,
    opened,
    refuse_later,
    usage,
)
from indimail.delivery.quota import parse_quota
from indimail.mail.clock import SystemClock
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.manage.quota_change import recount

PROGRAM = "resetquota"
_OTHERS = "files of another owner than the instance's"
LATER = {"u": _OTHERS, "g": _OTHERS, "p": _OTHERS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, LATER, taking_value="ugp")
    parser.description = "Count Maildirs anew, and write their maildirsize."
    parser.add_argument("directory", nargs="*", help="a Maildir, or a home with one")
    options.add_argument("-q", dest="quota", metavar="QUOTA", help="50M; 50M,1000; NOQUOTA")
    options.add_argument("-v", dest="verbose", action="store_true", help="say what was done")
    add_root(parser)
    parser.set_defaults(usage=parser.format_usage())


def run(args: argparse.Namespace) -> int:
    """Count them."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    refuse_later(args)
    if not args.directory:
        raise usage(args, 1)
    given = parse_quota_option(args.quota)
    paths = [os.path.abspath(path) for path in args.directory]
    with opened(PROGRAM, args) as command:
        found = [_maildir(command, path, given) for path in paths]
        for maildir, quota in found:
            recount(command.disk, maildir, quota)
            if args.verbose:
                used = MaildirSizes(command.disk, SystemClock()).current(maildir)
                print(f"{maildir}: {quota}, {used or 'not counted'}")


def _maildir(command: Command, path: str, given: str) -> tuple[str, str]:
    """Return the Maildir and its quota; nothing is written before all were looked at."""
    maildir = (
        os.path.join(path, "Maildir") if os.path.isdir(os.path.join(path, "Maildir")) else path
    )
    if not all(os.path.isdir(os.path.join(maildir, part)) for part in ("cur", "new", "tmp")):
        raise Failed(f"{path}: not a Maildir", 1)
    stored = MaildirSizes(command.disk, SystemClock()).definition(maildir)
    quota = given or (str(stored) if stored is not None else "")
    if not quota or parse_quota(quota) is None:
        raise Failed(f"{maildir}/maildirsize: no quota there; expected -q", 1)
    return maildir, quota
