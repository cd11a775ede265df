"""`resetquota`: count a Maildir anew, and write its maildirsize.

    resetquota /var/indimail/mail/A2E/example.com/alice/Maildir
    resetquota -q 50M /var/indimail/mail/A2E/example.com/alice     # with another quota

The quota is that of the file, where -q gives none.  A row's quota is vsetuserquota's.

Source: spec/delivery.md 2, 8.3.  The counting: `mailbox.maildirsize`.
"""

import argparse
import os

from indimail.cli.change import begin_arguments, end_arguments, make_change
from indimail.cli.credentials import parse_quota_option
from indimail.cli.site import Command, Failed, attempt, opened, refuse_later, usage
from indimail.delivery.quota import parse_quota
from indimail.mail.clock import SystemClock
from indimail.mailbox.maildirsize import MaildirSizes, count_maildir
from indimail.manage.file_writes import Recount

PROGRAM = "resetquota"
_OTHERS = "files of another owner than the instance's"
LATER = {"u": _OTHERS, "g": _OTHERS, "p": _OTHERS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = "Count Maildirs anew, and write their maildirsize."
    options = begin_arguments(parser, what, LATER, taking_value="ugp")
    parser.add_argument("directory", nargs="*", help="a Maildir, or a home with one")
    options.add_argument("-q", dest="quota", metavar="QUOTA", help="50M; 50M,1000; NOQUOTA")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Count them."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    refuse_later(args)
    if not args.directory:
        raise usage(args)
    given = parse_quota_option(args.quota)
    paths = [os.path.abspath(path) for path in args.directory]
    with opened(PROGRAM, args) as command:
        make_change(
            command,
            " ".join([given, *paths]).strip(),
            lambda: [Recount(*_maildir(command, path, given)) for path in paths],
        )
        if args.verbose and not command.is_dry:
            for maildir, quota in (_maildir(command, path, given) for path in paths):
                print(f"{maildir}: {quota}, {count_maildir(command.disk, maildir)}")


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
