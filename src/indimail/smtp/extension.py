"""The service extensions: what EHLO offers, and the parameters they add to MAIL and RCPT.

    hello_lines(rules, ("PLAIN",), tls=True) -> ("AUTH PLAIN", "PIPELINING", ..., "HELP")
    parameters(" SIZE=10 BODY=8BITMIME", MAIL_PARAMETERS)  -> {"size": 10, "body": "8BITMIME"}

The order is that of ``spec/smtp.md`` 2.6 (AUTH, PIPELINING, 8BITMIME, SIZE, STARTTLS, SMTPUTF8), then
ENHANCEDSTATUSCODES, CHUNKING and DSN, which IndiMail does not have, and HELP last.

A parameter is taken whether or not its extension was offered, so that what a client asked for is
kept with the message: AUTH (meaningful only from an authenticated client; the driver judges) before
AUTH is.  Values that name data (AUTH, ENVID, ORCPT) stay as they came, in xtext.  An unknown name is
refused (RFC 5321 4.1.1.11), a known one with a bad value or given twice as well.

Sources: RFC 1870, RFC 2034, RFC 2920, RFC 3030, RFC 3207, RFC 3461 section 4, RFC 4954 section 5,
RFC 6152, RFC 6531 section 3.4.  Not here: BINARYMIME (a text store cannot promise it) and DELIVERBY.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from indimail.mail.reply import Reply
from indimail.smtp.replies import BAD_PARAMETER, UNKNOWN_PARAMETER
from indimail.smtp.rules import SessionRules

Value = str | int | bool
Parse = Callable[[str], str | int | bool | None]

_MOST_STORED = 2**63 - 1  # a declared size is a column of the queue
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")  # RFC 3461 section 4
_ORCPT = re.compile(r"[A-Za-z0-9.\-]+;(?:[!-*,-<>-~\u0080-\U0010ffff]|\+[0-9A-F]{2})*")
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})


def hello_lines(rules: SessionRules, auth: Sequence[str], *, tls: bool) -> tuple[str, ...]:
    """Return what follows the first line of the reply to EHLO; `auth` are the mechanisms."""
    mechanisms = " ".join(auth)
    offers = [
        (f"AUTH {mechanisms}", bool(auth)),
        (f"AUTH={mechanisms}", bool(auth) and rules.old_client),
        ("PIPELINING", True),
        ("8BITMIME", True),
        (f"SIZE {rules.databytes}" if rules.databytes else "SIZE", True),
        ("STARTTLS", rules.starttls and not tls),  # RFC 3207 4.2: never inside TLS
        ("SMTPUTF8", rules.smtputf8),
        ("ENHANCEDSTATUSCODES", True),
        ("CHUNKING", True),
        ("DSN", rules.dsn),
        ("HELP", rules.help),
    ]
    return tuple(keyword for keyword, offered in offers if offered)


def parameters(text: str, known: Mapping[str, tuple[str, Parse]]) -> dict[str, Value] | Reply:
    """Return the fields that the parameters set, or the refusal."""
    fields: dict[str, Value] = {}
    for word in text.split():
        keyword, equals, value = word.partition("=")
        row = known.get(keyword.upper())
        if row is None:
            return UNKNOWN_PARAMETER
        field, parse = row
        parsed = parse(equals + value)
        if parsed is None or field in fields:
            return BAD_PARAMETER
        fields[field] = parsed
    return fields


def _size(text: str) -> int | None:
    digits = text[1:]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):  # RFC 1870 section 5
        return None
    return min(int(digits), _MOST_STORED)


def _body(text: str) -> str | None:
    body = text[1:].upper()
    return body if body in {"7BIT", "8BITMIME"} else None


def _flag(text: str) -> bool | None:
    return None if text else True  # RFC 6531 section 3.4: no value


def _auth(text: str) -> str | None:
    return text[1:] if text == "=<>" else _xtext(text, 500)


def _ret(text: str) -> str | None:
    ret = text[1:].upper()
    return ret if ret in {"FULL", "HDRS"} else None


def _envid(text: str) -> str | None:
    return _xtext(text, 100)  # RFC 3461 4.4


def _notify(text: str) -> str | None:
    words = text[1:].upper().split(",")
    if words == ["NEVER"] or (_NOTIFY.issuperset(words) and len(set(words)) == len(words)):
        return ",".join(words)
    return None


def _orcpt(text: str) -> str | None:
    value = text[1:]
    return value if len(value) <= 500 and _ORCPT.fullmatch(value) else None  # RFC 3461 4.2


def _xtext(text: str, most: int) -> str | None:
    value = text[1:]
    return value if value and len(value) <= most and _XTEXT.fullmatch(value) else None


MAIL_PARAMETERS: Final[dict[str, tuple[str, Parse]]] = {
    "SIZE": ("size", _size),
    "BODY": ("body", _body),
    "SMTPUTF8": ("smtputf8", _flag),
    "AUTH": ("auth", _auth),
    "RET": ("ret", _ret),
    "ENVID": ("envid", _envid),
}
RCPT_PARAMETERS: Final[dict[str, tuple[str, Parse]]] = {
    "NOTIFY": ("notify", _notify),
    "ORCPT": ("orcpt", _orcpt),
}
_DSN: Final = {"RET", "ENVID", "NOTIFY", "ORCPT"}
# DISABLE_DSN: who gets none of it cannot ask for it either.
MAIL_WITHOUT_DSN: Final = {name: row for name, row in MAIL_PARAMETERS.items() if name not in _DSN}
RCPT_WITHOUT_DSN: Final = {name: row for name, row in RCPT_PARAMETERS.items() if name not in _DSN}
