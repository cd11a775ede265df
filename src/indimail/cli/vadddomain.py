"""`vadddomain`: make a virtual domain with its postmaster.

    vadddomain example.com            # asks for postmaster's password

Exit codes and texts: spec/delivery.md 2, 2.1.  The work: `manage.domains`.
"""

import argparse
import os
import pwd
from dataclasses import replace

from indimail.cli.change import end_arguments, finish, is_completed, make_change, tell_completed
from indimail.cli.credentials import (
    add_password_options,
    new_credentials,
    parse_base,
    parse_level,
    parse_quota_option,
)
from indimail.cli.site import (
    Command,
    Failed,
    add_options,
    attempt,
    check,
    now,
    opened,
    refuse_later,
    usage,
)
from indimail.mail.secret import Secret
from indimail.manage.domains import (
    ALIASES,
    BOUNCE,
    POSTMASTER,
    NewDomain,
    check_absent,
    check_catch_all,
    plan_domain,
)
from indimail.manage.instruction import EXPECTED
from indimail.manage.names import check_case, check_domain
from indimail.manage.site import Site

PROGRAM = "vadddomain"
LATER = {
    "f": "vfilter",
    "t": "ETRN",
    "T": "ETRN",
    "D": "the cluster",
    "H": "the cluster",
    "U": "the cluster",
    "P": "the cluster",
    "p": "the cluster",
    "c": "the cluster",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, LATER, taking_value="TDHUPp", misused=100)
    parser.description = "Make a virtual domain with its postmaster."
    parser.add_argument("domain", nargs="?")
    parser.add_argument("password", nargs="?", help="postmaster's; left out: asked, or from stdin")
    options.add_argument("-q", dest="quota", metavar="QUOTA", help="postmaster's: 50M, NOQUOTA")
    options.add_argument("-B", dest="base", metavar="DIR", help="where homes lie (BASE_PATH)")
    options.add_argument(
        "-l", dest="level", type=int, metavar="N", help="users in a directory (100)"
    )
    options.add_argument("-O", dest="bulk", action="store_true", help="do not rebuild users/cdb")
    options.add_argument("-R", dest="check", action="store_true", help="enter it in chkrcptdomains")
    add_password_options(options)
    options.add_argument("-u", dest="owner", metavar="USER", help="whose it is: the instance's")
    options.add_argument("-i", dest="uid", type=int, metavar="UID", help="the same by number")
    options.add_argument("-g", dest="gid", type=int, metavar="GID", help="and the group")
    options.add_argument("-d", dest="parent", metavar="DIR", help="what holds domains/: DOMAINDIR")
    catch_all = options.add_mutually_exclusive_group()
    catch_all.add_argument(
        "-b", dest="instruction", action="store_const", const=BOUNCE, default=BOUNCE,
        help="mail for absent users bounces (the default)",
    )  # fmt: skip
    catch_all.add_argument(
        "-E", dest="instruction", metavar="INSTRUCTION", help=f"for absent users: {EXPECTED}"
    )
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make the domain."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    refuse_later(args)
    if args.domain is None:
        raise usage(args)
    check(check_case("domain", args.domain))
    quota = parse_quota_option(args.quota)
    level = parse_level(args.level)
    base = parse_base(args.base)
    with opened(PROGRAM, args) as command:
        _check_owner(args, command.site)
        pattern = command.site.variables.get("CHECK_DOMAIN_REGEXP", "")
        check(check_domain(args.domain, pattern))
        check(check_catch_all(args.instruction))
        if is_completed(command, args.domain):
            tell_completed(command)
        else:
            _make(
                command,
                args,
                NewDomain(
                    domain=args.domain,
                    password=Secret(""),
                    quota=quota,
                    base=base,
                    users_per_level=level,
                    recipient_check=args.check,
                    compile_cdb=not args.bulk,
                    instruction=args.instruction,
                ),
            )
    to = f"{POSTMASTER}@{args.domain}"
    said = [f"Adding alias {alias}@{args.domain} --> {to}" for alias in ALIASES]
    said += [f"added domain {args.domain}"] if args.verbose else []
    return finish(command, [args.domain], said)


def _check_owner(args: argparse.Namespace, site: Site) -> None:
    """Refuse another owner or place than those of all domains.

    A delivery as another user could not read the accounts.
    """
    wanted = [("i", args.uid, site.uid), ("g", args.gid, site.gid)]
    if args.owner is not None:
        try:
            wanted.append(("u", pwd.getpwnam(args.owner).pw_uid, site.uid))
        except (KeyError, ValueError):  # ValueError: a NUL
            raise Failed(f"user {args.owner} not found in /etc/passwd", 100) from None
    for letter, given, expected in wanted:
        if given not in (None, expected):
            whose = f"uid={site.uid}/gid={site.gid}"
            what = f"-{letter}: expected {whose}, who owns the instance and all domains"
            raise Failed(what, os.EX_UNAVAILABLE)
    place = site.places.domains_dir
    if args.parent is not None and os.path.abspath(args.parent) != os.path.dirname(place):
        raise Failed(f"-d {args.parent}: domains lie in {place}; DOMAINDIR moves it",
                     os.EX_UNAVAILABLE)  # fmt: skip


def _make(command: Command, args: argparse.Namespace, new: NewDomain) -> None:
    site, accounts, disk = command.site, command.accounts, command.disk
    # Before a password is asked for; asked again when no other command can come between.
    check(check_absent(site, disk, args.domain))
    made = new_credentials(command, args, args.domain, POSTMASTER)
    method_name = made.method_name if args.method else ""
    new = replace(new, password=made.password, scram=made.scram, method_name=method_name)
    make_change(command, args.domain, lambda: plan_domain(site, accounts, disk, new, now()))
