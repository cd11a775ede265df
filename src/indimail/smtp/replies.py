"""The replies that an SMTP session gives by itself, and how a text of IndiMail becomes a reply.

    text_reply(503, "MAIL first (#5.5.1)")  -> Reply(503, "5.5.1", "MAIL first (#5.5.1)")

The texts are those of ``spec/smtp.md`` 2 and 6; the enhanced code in front is the one that the text
names, with the class of the reply (RFC 2034 section 4).  Where the spec has no text, ours has the
same shape.  Two replies differ from it on purpose:

- 452 for too many recipients, where it has 557: RFC 5321 4.5.3.1.10 says MUST, and a client sends
  the rest later instead of giving them up;
- 555 for an unknown MAIL or RCPT parameter, which it ignores: RFC 5321 4.1.1.11.
"""

import re
from typing import Final

from indimail.mail.reply import Reply
from indimail.smtp.rules import SessionRules

_NAMED = re.compile(r"#[245]?\.?(\d{1,3})\.(\d{1,3})\b")


def text_reply(code: int, *lines: str) -> Reply:
    """Return the reply with the enhanced code that its text names; without one, x.0.0."""
    named = _NAMED.search(lines[-1]) if lines else None
    detail = f"{named[1]}.{named[2]}" if named else "0.0"
    return Reply(code, f"{code // 100}.{detail}", *lines)


FLUSHED: Final = Reply(250, "2.0.0", "flushed")
OK: Final = Reply(250, "2.0.0", "ok")
SENDER_OK: Final = Reply(250, "2.1.0", "ok")
RECIPIENT_OK: Final = Reply(250, "2.1.5", "ok")
GO_AHEAD: Final = Reply(354, None, "go ahead")
READY_FOR_TLS: Final = Reply(220, "2.0.0", "ready for tls")
CANNOT_VRFY: Final = text_reply(
    252, "Cannot VRFY user, but will accept message and attempt delivery (#2.7.0)"
)

MAIL_FIRST: Final = text_reply(503, "MAIL first (#5.5.1)")
RCPT_FIRST: Final = text_reply(503, "RCPT first (#5.5.1)")
HELLO_FIRST: Final = text_reply(503, "Polite people say hello first (#5.5.4)")
BAD_SEQUENCE: Final = text_reply(503, "bad sequence of commands (#5.5.1)")
TURNED_AWAY: Final = text_reply(503, "bad sequence of commands (#5.3.2)")
DISABLED: Final = text_reply(502, "disabled by the lord in her infinite wisdom (#5.5.1)")
NO_PARAMETERS: Final = text_reply(501, "invalid parameter syntax (#5.3.2)")
NO_TLS_PARAMETERS: Final = text_reply(501, "Syntax error (no parameters allowed) (#5.5.4)")
BAD_HELLO: Final = text_reply(501, "invalid parameter syntax (#5.5.4)")
BAD_CHUNK_SIZE: Final = text_reply(501, "invalid chunk size, closing connection (#5.5.4)")
BAD_PARAMETER: Final = text_reply(501, "syntax error in parameters (#5.5.4)")
UNKNOWN_PARAMETER: Final = text_reply(555, "parameter not recognized (#5.5.4)")
BAD_ADDRESS: Final = text_reply(555, "syntax error in address (#5.1.3)")
NEEDS_SMTPUTF8: Final = text_reply(553, "sorry, that address needs SMTPUTF8 (#5.6.7)")

AUTH_OK: Final = text_reply(235, "ok, go ahead (#2.0.0)")
NO_AUTH: Final = text_reply(503, "auth not available (#5.3.3)")
AUTH_DONE: Final = text_reply(503, "you're already authenticated (#5.5.0)")
NO_AUTH_IN_MAIL: Final = text_reply(503, "no auth during mail transaction (#5.5.0)")
NO_SUCH_AUTH: Final = text_reply(504, "auth type unimplemented (#5.5.1)")
NOT_IN_CLEAR: Final = text_reply(
    538, "Encryption required for requested authentication mechanism (#5.7.11)"
)
AUTH_CANCELLED: Final = text_reply(501, "auth exchange cancelled (#5.0.0)")
BAD_AUTH: Final = text_reply(501, "malformed auth input (#5.5.4)")
AUTH_LINE_TOO_LONG: Final = text_reply(500, "auth exchange line is too long (#5.5.6)")

LINE_TOO_LONG: Final = text_reply(553, "sorry, the given command is too long! (#5.5.2)")
TOO_MANY_COMMANDS: Final = text_reply(421, "too many commands, goodbye (#4.7.0)")
TOO_MANY_ERRORS: Final = text_reply(421, "too many errors, goodbye (#4.7.0)")
TOO_MANY_RECIPIENTS: Final = text_reply(452, "sorry, too many recipients (#4.5.3)")
TOO_BIG: Final = text_reply(552, "sorry, that message size exceeds my databytes limit (#5.3.4)")
LOOPING: Final = text_reply(554, "too many hops, this message is looping (#5.4.6)")
BARE_LF: Final = text_reply(451, "Sorry, I received Bare LF. (#4.6.0)")
TIMEOUT: Final = text_reply(451, "Sorry, I reached a timeout reading from client (#4.4.2)")


def not_recognized(verb: bytes, argument: bytes) -> Reply:
    """Say that we do not know a command; what it echoes is short and printable."""
    words = ["command", verb[:40].decode("ascii", "replace").upper()]
    if verb[:1] in {b"x", b"X"}:
        return _echo([*words, "not implemented (#5.5.1)"])
    words.append(argument[:100].decode("ascii", "replace"))
    return _echo([*words, "not recognized (#5.5.2)"])


def shutting_down(greeting: str) -> Reply:
    """Return what SIGTERM makes the server say; the misspelling is IndiMail's."""
    return text_reply(
        421, f"{greeting} Service not available, closing tranmission channel (#4.3.2)"
    )


def greeting(rules: SessionRules, date: str) -> Reply:
    """Return the 220 of a new connection; the extra text goes on the first line."""
    first, *more = rules.greeting
    if rules.extra_greet:
        first = f"{first} (NO UCE) ESMTP IndiMail {rules.version} {date}".rstrip()
    return Reply(220, None, first, *more)


def hello(rules: SessionRules, client: str, offers: tuple[str, ...] = ()) -> Reply:
    """Return the 250 of HELO and EHLO; `client` is the address where no name was given."""
    name = rules.greeting[0]
    return Reply(250, None, f"{name} [{client}]" if client else name, *offers)


def closing(name: str) -> Reply:
    """Return what QUIT gets."""
    return Reply(221, "2.0.0", f"{name} closing connection")


def help_text(rules: SessionRules) -> Reply:
    """Return what HELP gets: the commands that there are."""
    auth = "AUTH " if rules.auth else ""
    starttls = "STARTTLS " if rules.starttls else ""
    return Reply(
        214,
        "2.0.0",
        f"This is IndiMail SMTP Version {rules.version}".rstrip(),
        *([rules.help_url] if rules.help_url else []),
        "This server supports the following commands:",
        f"HELO EHLO RSET NOOP MAIL RCPT DATA BDAT {auth}VRFY {starttls}HELP QUIT",
    )


def _echo(words: list[str]) -> Reply:
    # RFC 5321 4.2: replies are ASCII.
    return text_reply(502, " ".join(filter(None, words)).replace("\ufffd", "?"))
