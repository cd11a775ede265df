"""`indimail deliver --dry-run`: what a delivery would do with the mail on standard input.

    $ indimail deliver --dry-run alice@example.com <mail
    to <alice@example.com> from <>, 120 octets
      RCPT     accepted: the delivery would take it
               rule domains/example.com/.qmail-default:1
      route    local, example.com-alice@example.com
               rule control/virtualdomains:1
      copy     into /var/indimail/mail/A2E/example.com/alice/Maildir
               rule domains/example.com/.qmail-default:1
      end      delivered: did 0+0+1

RCPT is what a client without permissions is told, with CHECKRECIPIENT.  Nothing is changed, and no
program is run: it is taken to exit 0.  Homes of other users are looked at as they are where root
asks, else as far as the owner of the instance may see.  The exit code is that of the delivery: 0
delivered, discarded or queued for another host, 100 bounced, 111 deferred.
"""

import argparse

from indimail.cli.site import add_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("address", metavar="ADDRESS", help="the recipient")
    parser.add_argument("--dry-run", action="store_true", help="has to be given: change nothing")
    parser.add_argument("--sender", default="", metavar="ADDRESS", help="default: the null sender")
    parser.add_argument("--json", action="store_true", help="one object")
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Tell it."""
    from indimail.cli.dry_run import tell  # noqa: PLC0415 - not for --help

    return tell(args)
