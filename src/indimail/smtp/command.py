"""The grammar of the commands: an argument in, a path, a size or a refusal out.

    parse_mail(b"FROM:<Al@Example.com> SIZE=9", smtputf8=False)
        -> ReversePath(Address("Al", "example.com"), size=9)
    parse_rcpt(b"TO:<@relay:bo@example.com>", utf8=False)  -> ForwardPath(Address("bo", ...))
    parse_bdat(b"1000 LAST")                               -> (1000, True)

A path stands after ``<`` up to an unquoted ``>``, or after the colon up to a blank; a source route
is dropped, quotes and backslashes are removed (``spec/smtp.md`` 4.1).  What no address can be is
refused with 555: control characters, unquoted blanks, a domain that is no name or literal (it will
be part of file names), more than 900 octets.  The keyword has to be there.

Sources: RFC 5321 4.1.1.2, 4.1.1.3, 4.1.2, appendix C (source routes); RFC 6531 3.3; RFC 3030
section 2.  Not here: whether an address is wanted (`policy`), the parameters (`smtp.extension`).
"""

import re
from typing import Final

from indimail.mail.address import NULL, Address
from indimail.mail.envelope import ForwardPath, ReversePath
from indimail.mail.reply import Reply
from indimail.smtp.extension import (
    MAIL_PARAMETERS,
    MAIL_WITHOUT_DSN,
    RCPT_PARAMETERS,
    RCPT_WITHOUT_DSN,
    parameters,
)
from indimail.smtp.replies import (
    BAD_ADDRESS,
    NEEDS_SMTPUTF8,
    UNKNOWN_PARAMETER,
)

MOST_ADDRESS: Final = 900  # octets
MOST_DOMAIN: Final = 255  # octets, RFC 5321 4.5.3.1.2
DOMAIN: Final = re.compile(
    r"[A-Za-z0-9_\-\u0080-\U0010ffff]+(?:\.[A-Za-z0-9_\-\u0080-\U0010ffff]+)*"
    r"|\[[0-9A-Za-z.:\-]+\]"
)
_CHUNK_DIGITS: Final = 18

# Nearly every path: a dot-string at a domain, without route, quotes or relay signs.  What this
# does not take goes the long way, with the same result.
_PLAIN: Final = {
    keyword: re.compile(
        keyword
        + r":<([\w.!#$&'*+/=?^`{|}~\-]{1,64})@((?:[\w\-]{1,63}\.){0,3}[\w\-]{1,63})>(?![^ \t])",
        re.IGNORECASE | re.ASCII,
    ).match
    for keyword in ("FROM", "TO")
}


def parse_mail(argument: bytes, *, smtputf8: bool, dsn: bool = True) -> ReversePath | Reply:
    """Return what MAIL FROM offers; `smtputf8` and `dsn`: the extension is offered."""
    path = _path(argument, "FROM")
    if path is None:
        return BAD_ADDRESS
    address, rest = path
    if not rest and address.is_ascii:
        return ReversePath(address)
    fields = parameters(rest, MAIL_PARAMETERS if dsn else MAIL_WITHOUT_DSN)
    if isinstance(fields, Reply):
        return fields
    if "smtputf8" in fields:
        if not smtputf8:
            return UNKNOWN_PARAMETER
    elif not argument.isascii():
        return NEEDS_SMTPUTF8
    return ReversePath(address, **fields)  # type: ignore[arg-type]


def parse_rcpt(argument: bytes, *, utf8: bool, dsn: bool = True) -> ForwardPath | Reply:
    """Return what RCPT TO offers; `utf8`: MAIL gave SMTPUTF8; `dsn`: the extension is offered."""
    path = _path(argument, "TO")
    if path is None or not path[0]:
        return BAD_ADDRESS
    address, rest = path
    if not utf8 and not argument.isascii():
        return NEEDS_SMTPUTF8
    if not rest:
        return ForwardPath(address)
    fields = parameters(rest, RCPT_PARAMETERS if dsn else RCPT_WITHOUT_DSN)
    if isinstance(fields, Reply):
        return fields
    return ForwardPath(address, **fields)  # type: ignore[arg-type]


def parse_bdat(argument: bytes) -> tuple[int, bool] | None:
    """Return the size of a chunk and whether it is the last; None if it cannot be known."""
    words = argument.split()
    if not 1 <= len(words) <= 2 or not words[0].isdigit() or len(words[0]) > _CHUNK_DIGITS:
        return None
    if len(words) == 2 and words[1].upper() != b"LAST":
        return None
    return int(words[0]), len(words) == 2


def _path(argument: bytes, keyword: str) -> tuple[Address, str] | None:
    """Return the address, NULL where the path is empty, and what follows; None for no path."""
    try:
        text = argument.decode()  # RFC 6531 3.3: UTF-8
    except UnicodeDecodeError:
        return None
    plain = _PLAIN[keyword](text)
    if plain is not None:
        local, domain = plain.groups()
        return Address(local, domain.lower()), text[plain.end() :]
    split = _split_path(text, keyword)
    if split is None:
        return None
    path, rest = split
    address = _address(path) if path else NULL
    return None if address is None else (address, rest)


def _split_path(text: str, keyword: str) -> tuple[str, str] | None:
    """Return the unquoted path and what follows it; None where there is no path."""
    at = len(keyword)
    if text[:at].upper() != keyword:
        return None
    rest = text[at:].lstrip(" \t")
    colon = rest[:1] == ":"
    if colon:
        rest = rest[1:].lstrip(" \t")
    bracketed = rest[:1] == "<"
    if bracketed:
        rest = rest[1:]
    elif not colon:
        return None
    if '"' in rest or "\\" in rest:
        split = _unquote(rest, bracketed=bracketed)
        if split is None:
            return None
        path, rest = split
    elif bracketed:
        path, end, rest = rest.partition(">")
        if not end or " " in path:
            return None
    else:
        path, _, rest = rest.partition(" ")
        if not path:
            return None
        rest = " " + rest
    return None if rest and rest[0] not in " \t" else (path, rest)


def _unquote(text: str, *, bracketed: bool) -> tuple[str, str] | None:
    """Take a path with quotes or backslashes; None if it has no end or an unquoted blank."""
    path: list[str] = []
    quoted = escaped = False
    for at, char in enumerate(text):
        if escaped:
            path.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif quoted:
            path.append(char)
        elif char == ">" and bracketed:
            return "".join(path), text[at + 1 :]
        elif char in " \t":
            return None if bracketed else ("".join(path), text[at:])
        else:
            path.append(char)
    return None if bracketed or quoted or escaped else ("".join(path), "")


def _address(path: str) -> Address | None:
    """Return the address, or None where a path is none."""
    if path[0] == "@":  # RFC 5321 appendix C: a source route is ignored
        path = path.partition(":")[2]
    if not path or not path.isprintable() or len(path.encode()) > MOST_ADDRESS:
        return None
    address = Address.parse(path)
    if address.domain:
        if (
            not address.local
            or len(address.domain) > MOST_DOMAIN
            or not DOMAIN.fullmatch(address.domain)
        ):
            return None
    elif path[-1] == "@":
        return None
    return address
