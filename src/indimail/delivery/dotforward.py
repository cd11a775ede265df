r"""A ``.forward`` file as dot-forward(1) reads it: who gets the mail, and which programs run.

    read_forward('bob, "|vacation bob"\n\\joe\n', is_own, hosts.qualify)
        -> Forward(recipients=("bob@example.com",), commands=("vacation bob",), is_direct=True)

Each line has addresses as a header has them; one that begins with ``#`` is a comment.  Without an
``@``, what begins with ``|`` is a command and what begins with ``/`` a file; these and ``:include:`` are
not delivered to.  ``\joe`` is ``joe``.  No address comes twice.

Sources: dot-forward(1); what Debian's dot-forward 0.71 prints with -n.
Not here: files, running and sending (`cli.dot_forward`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from indimail.mail.addresses import Mailbox, parse_addresses


@dataclass(frozen=True, slots=True)
class Forward:
    """What a file says; `files` are what nothing is delivered to."""

    recipients: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    is_direct: bool = False  # the one whose file it is gets the mail too


def read_forward(
    text: str, is_own: Callable[[Mailbox], bool], qualify: Callable[[Mailbox], Mailbox]
) -> Forward | None:
    """Return what a file says; None where that is nothing."""
    recipients: list[str] = []
    commands: list[str] = []
    files: list[str] = []
    is_direct = False
    for mailbox in _mailboxes(text):
        if is_own(mailbox):
            is_direct = True
        elif not mailbox.domain and mailbox.local.startswith("|"):
            commands.append(mailbox.local[1:])
        elif not mailbox.domain and mailbox.local.startswith("/"):
            files.append(mailbox.local)
        else:
            recipients.append(str(qualify(mailbox)))
    found = Forward(tuple(dict.fromkeys(recipients)), tuple(commands), tuple(files), is_direct)
    return None if found == Forward() else found


def _mailboxes(text: str) -> list[Mailbox]:
    lines = (line for line in text.split("\n") if not line.startswith("#"))
    found = [mailbox for line in lines for mailbox in parse_addresses(line).mailboxes]
    return [Mailbox(mailbox.local.removeprefix("\\"), mailbox.domain) for mailbox in found]
