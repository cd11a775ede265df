"""`indimail COMMAND`, and the names that IndiMail's users know, from one table.

    indimail explain 1838568448000000001          # or `python -m indimail.cli.main explain ...`
    vadduser alice@example.com                    # the console script; also `indimail vadduser`

A command's module has ``add_arguments(parser)`` and ``run(args) -> exit code`` and is imported when
its command is given, so that `--help` takes a tenth of a second.  A console script's entry is this
module's attribute of its name with ``_`` for ``-`` (``indimail.cli.main:qmail_qread``); a name that
is a word of Python has another ``_`` behind it (``except_``).

Exit codes are those of sysexits(3): 64 for wrong use; IndiMail's commands keep their own where it
has some.  A pipe that was closed (``| head``) is no error.
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Final, NamedTuple, NoReturn, Protocol, cast


class CommandModule(Protocol):
    """What a command's module has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""


class CommandRow(NamedTuple):
    """A command: its module below `indimail.cli`, a line of help, one use, if it has a script.

    `misused` is its exit code for wrong use; with `hides` its arguments, which may hold a password,
    leave the process list.  No dataclass: their import is a fifth of the time
    that a program of a .qmail file takes.
    """

    module: str
    help: str
    example: str
    is_script: bool = False
    misused: int = os.EX_USAGE
    hides: bool = False


def _program(module: str, help_: str, example: str) -> CommandRow:
    """Return the row of a program that speaks qmail's exit codes.

    An example that begins with ``|`` is a line of a .qmail file.
    """
    return CommandRow(module, help_, example, is_script=True, misused=100)


COMMANDS: Final[dict[str, CommandRow]] = {
    "init": CommandRow(
        "init", "make an instance, or complete one",
        "indimail init --me mx.example.com --postmaster alice@example.com",
    ),
    "serve": CommandRow(
        "serve", "run the server",
        "indimail serve --root ./var/demo --listen smtp=127.0.0.1:2525",
    ),
    "config": CommandRow(
        "config", "list every setting: value, default, source, meaning",
        "indimail config databytes CHECKRECIPIENT --listener submission",
    ),
    "check-config": CommandRow(
        "check_config", "tell every mistake in the configuration",
        "indimail check-config --root ./var/demo",
    ),
    "explain": CommandRow(
        "explain", "tell what happened to a mail, and why",
        "indimail explain --to alice@example.com --since 1h",
    ),
    "deliver": CommandRow(
        "deliver", "tell what a delivery would do with a mail",
        "indimail deliver --dry-run alice@example.com <mail",
    ),
    "vadddomain": CommandRow(
        "vadddomain", "make a virtual domain",
        "vadddomain -E postmaster@example.com example.com", is_script=True, hides=True,
    ),
    "vadduser": CommandRow(
        "vadduser", "make a user",
        "vadduser -q 50M alice@example.com", is_script=True, hides=True,
    ),
    "vpasswd": CommandRow(
        "vpasswd", "change a user's password",
        "vpasswd alice@example.com", is_script=True, hides=True,
    ),
    "vuserinfo": CommandRow(
        "vuserinfo", "show a user",
        "vuserinfo -n -q alice@example.com", is_script=True,
    ),
    "vmoduser": CommandRow(
        "vmoduser", "change a user",
        "vmoduser -q 50M -p alice@example.com", is_script=True, hides=True,
    ),
    "vsetuserquota": CommandRow(
        "vsetuserquota", "set a user's quota",
        "vsetuserquota alice@example.com 50M,1000", is_script=True,
    ),
    "vmoddomain": CommandRow(
        "vmoddomain", "change a virtual domain",
        "vmoddomain -h delete example.com", is_script=True,
    ),
    "valias": CommandRow(
        "valias", "show and change aliases",
        "valias -i '&postmaster@example.com' sales@example.com", is_script=True,
    ),
    "vdeldomain": CommandRow(
        "vdeldomain", "remove a virtual domain with its users and mail",
        "vdeldomain --dry-run example.com", is_script=True,
    ),
    "vaddaliasdomain": CommandRow(
        "vaddaliasdomain", "let a domain stand for another",
        "vaddaliasdomain example.net example.com", is_script=True,
    ),
    "vrenamedomain": CommandRow(
        "vrenamedomain", "give a domain another name",
        "vrenamedomain example.com example.net", is_script=True,
    ),
    "vdominfo": CommandRow(
        "vdominfo", "show a domain",
        "vdominfo example.com", is_script=True,
    ),
    "vdeluser": CommandRow(
        "vdeluser", "remove a user with its mail",
        "vdeluser --dry-run alice@example.com", is_script=True,
    ),
    "vrenameuser": CommandRow(
        "vrenameuser", "give a user another name",
        "vrenameuser alice@example.com zoe@example.com", is_script=True,
    ),
    "vmoveuserdir": CommandRow(
        "vmoveuserdir", "move a user's home",
        "vmoveuserdir alice@example.com /srv/mail/alice", is_script=True,
    ),
    "vgroup": CommandRow(
        "vgroup", "make and change a distribution list",
        "vgroup -i '&alice@example.com' sales@example.com", is_script=True, hides=True,
    ),
    "vcalias": CommandRow(
        "vcalias", "make alias lines of a domain's .qmail files",
        "vcalias --dry-run example.com", is_script=True,
    ),
    "vcaliasrev": CommandRow(
        "vcaliasrev", "make .qmail files of a domain's alias lines",
        "vcaliasrev --dry-run example.com", is_script=True,
    ),
    "vbulletin": CommandRow(
        "vbulletin", "post a mail to all users of a domain",
        "vbulletin -n -f /root/news.eml example.com", is_script=True,
    ),
    "vdeloldusers": CommandRow(
        "vdeloldusers", "find, close or remove accounts that are not used",
        "vdeloldusers -r -a 90 -d example.com", is_script=True,
    ),
    "resetquota": CommandRow(
        "resetquota", "count a Maildir anew",
        "resetquota -q 50M /var/indimail/mail/A2E/example.com/alice", is_script=True,
    ),
    "printdir": CommandRow(
        "printdir", "show how homes are spread over directories",
        "printdir example.com", is_script=True,
    ),
    "vipmap": CommandRow(
        "vipmap", "show and set the default domain of local addresses",
        "vipmap -i 192.0.2.1 example.com", is_script=True,
    ),
    "sendmail": CommandRow(
        "sendmail", "put a mail into the queue",
        "printf 'To: alice@example.com\\n\\nHello\\n' | sendmail -t", is_script=True,
    ),
    "rmail": CommandRow(
        "rmail", "put a mail that came by UUCP into the queue",
        "rmail alice@example.com <message", is_script=True,
    ),
    "qmail-inject": _program(
        "qmail_inject", "complete a mail and put it into the queue",
        "printf 'To: alice@example.com\\n\\nHello\\n' | qmail-inject",
    ),
    "qmail-queue": _program(
        "qmail_queue", "put a mail and its envelope into the queue",
        "qmail-queue <message 1<envelope; echo $?",
    ),
    "forward": _program(
        "forward", "send the mail on, from a .qmail file",
        "|forward bob@example.net",
    ),
    "condredirect": _program(
        "condredirect", "send the mail on, if a program says so",
        "|condredirect bob@example.net grep -q urgent",
    ),
    "condtomaildir": _program(
        "condtomaildir", "store the mail, if a program says so",
        "|condtomaildir ./Maildir/.Spam/ grep -q spam",
    ),
    "maildirdeliver": _program(
        "maildirdeliver", "store the mail in a Maildir",
        "|maildirdeliver ./Maildir/",
    ),
    "filterto": _program(
        "filterto", "send on what a program makes of the mail",
        "|filterto bob@example.net ./shorten",
    ),
    "replier": _program(
        "replier", "answer with what a program makes of the mail, from a .qmail file",
        '|replier ./robot "$SENDER" ./answer',
    ),
    "fastforward": _program(
        "fastforward", "send the mail on as a data base says, from a .qmail file",
        "|fastforward -p ./aliases.cdb",
    ),
    "dot-forward": _program(
        "dot_forward", "send the mail on as a .forward file says, from a .qmail file",
        "|dot-forward .forward",
    ),
    "rrforward": _program(
        "rrforward", "send the mail on to one address after the other, from a .qmail file",
        "|rrforward .qmailrr-sales bob@example.net carol@example.net",
    ),
    "autoresponder": CommandRow(
        "autoresponder", "answer the mail, from a .qmail file",
        "|autoresponder -q ./.vacation.msg ./.vacation.dir", is_script=True, misused=111,
    ),
    "vacation": _program(
        "vacation", "answer the mail with .vacation.msg, from a .qmail file",
        "|vacation",
    ),
    "qreceipt": _program(
        "qreceipt", "tell a sender who asks that the mail was delivered, from a .qmail file",
        "|qreceipt alice@example.com",
    ),
    "qnotify": _program(
        "qnotify", "send a disposition notification to a sender who asks, from a .qmail file",
        "|qnotify -h",
    ),
    "bouncesaying": _program(
        "bouncesaying", "bounce the mail with a text",
        "|bouncesaying 'This address is closed.'",
    ),
    "except": _program(
        "except_", "bounce the mail, if a program says so",
        "|except grep -q '^X-Spam: yes'",
    ),
    "ifaddr": _program(
        "ifaddr", "tell whether fields of the mail name an address",
        "ifaddr from : @example.com <mail; echo $?",
    ),
    "iftocc": _program(
        "iftocc", "tell whether To or Cc names the recipient, or an address",
        "iftocc alice@example.com <mail; echo $?",
    ),
    "iftoccfrom": _program(
        "iftoccfrom", "tell whether To, Cc or From names the recipient, or an address",
        "iftoccfrom alice@example.com bob@example.net <mail; echo $?",
    ),
    "preline": _program(
        "preline", "give a program the mail with its envelope in front",
        "|preline procmail -d alice",
    ),
    "qmail-qread": CommandRow(
        "qmail_qread", "list the mails in the queues", "qmail-qread -c --root ./var/demo",
        is_script=True,
    ),
    "qmail-qstat": CommandRow(
        "qmail_qstat", "count the mails in the queues", "qmail-qstat --root ./var/demo",
        is_script=True,
    ),
}  # fmt: skip


# What argparse repeats in a reason.
_GIVEN: Final = re.compile(r"(unrecognized arguments: |(?:value: |argument )(?='))(.+)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """Exits 64 (EX_USAGE, or `misused`) where argparse would exit 2, and reads ``-q -5M`` as getopt(3).

    What follows an option that takes a value is that value, also where it begins with ``-``.
    """

    misused = os.EX_USAGE
    hides = False

    def parse_known_args(  # type: ignore[override]  # argparse's overloads for other namespaces
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, with each such value put next to its option."""
        given = sys.argv[1:] if args is None else args
        return super().parse_known_args(self._joined(given), namespace)

    def _joined(self, args: Sequence[str]) -> list[str]:
        joined: list[str] = []
        rest = iter(args)
        for arg in rest:
            if arg == "--":
                return [*joined, arg, *rest]
            option = self._option_string_actions.get(arg)
            takes_value = len(arg) == 2 and option is not None and option.nargs is None
            value = next(rest, None) if takes_value else None
            if value is None or not value.startswith("-") or value == "-":
                joined += [arg] if value is None else [arg, value]
            else:
                joined.append(f"{arg}{value}")
        return joined

    def error(self, message: str) -> NoReturn:
        """Print the usage and the reason; without what was given where it may be a password."""
        if self.hides:
            message = _GIVEN.sub(r"\1***", message)
        self.print_usage(sys.stderr)
        self.exit(self.misused, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `indimail COMMAND ...`."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in COMMANDS:
        return run_command(given[0], given[1:], f"indimail {given[0]}")
    parser = _overview()
    if not given:
        parser.print_help(sys.stderr)
        return os.EX_USAGE
    parser.parse_args(given[:1])  # --help and --version end here
    return parser.error(f"no command '{given[0]}'; see indimail --help")


def run_command(name: str, argv: Sequence[str], program: str) -> int:
    """Import a command, parse its arguments, run it."""
    if COMMANDS[name].hides:
        from indimail.cli.terminal import hide_arguments  # noqa: PLC0415

        hide_arguments(argv)
    command = cast(CommandModule, import_module(f"indimail.cli.{COMMANDS[name].module}"))
    parser = Parser(
        prog=program,
        description=f"{COMMANDS[name].help.capitalize()}.",
        epilog=f"example: {COMMANDS[name].example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.misused, parser.hides = COMMANDS[name].misused, COMMANDS[name].hides
    command.add_arguments(parser)
    args = parser.parse_args(argv)
    try:
        code = command.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its exit: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_OK
    except KeyboardInterrupt:  # Ctrl-C at a question
        print(file=sys.stderr)
        return 128 + signal.SIGINT
    return code


def scripts() -> dict[str, str]:
    """Return the console scripts: name -> entry point, as in ``[project.scripts]``."""
    entry = "indimail.cli.main:"
    named = {name: entry + _attribute(name) for name, row in COMMANDS.items() if row.is_script}
    return {"indimail": f"{entry}main", **named}


def __getattr__(attribute: str) -> Callable[[], int]:
    """Return the entry of a console script: `vadduser`, `qmail_qread`."""
    name = attribute.removesuffix("_").replace("_", "-")
    row = COMMANDS.get(name)
    if row is None or not row.is_script:
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
    return lambda: run_command(name, sys.argv[1:], os.path.basename(sys.argv[0]) or name)


def _attribute(name: str) -> str:
    return f"{name}_" if iskeyword(name) else name.replace("-", "_")


def _overview() -> Parser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {row.help}" for name, row in COMMANDS.items()]
    parser = Parser(
        prog="indimail",
        usage="indimail COMMAND [--root DIR] ...",
        description="A mail server that tells why.  `indimail COMMAND --help` tells more.",
        epilog="\n".join(["commands:", *lines, "", f"example: {COMMANDS['serve'].example}"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    return parser


def _version() -> str:
    from indimail import __version__  # noqa: PLC0415

    return f"indimail {__version__}"


if __name__ == "__main__":
    sys.exit(main())
