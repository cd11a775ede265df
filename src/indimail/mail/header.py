r"""A message's header as a program hands it in: fields, and the addresses in them.

    split_header(b"To: a@b\n c\n\nbody")        -> ([b"To: a@b\n c\n"], b"body")
    addresses('"Ann, A." <ann@example.com>, bob@example.net (Bob)')
        -> ["ann@example.com", "bob@example.net"]

Addresses are found as RFC 5322 3.4 writes them, old forms included: display names, comments, quoted
strings, groups, routes (``<@a,@b:c@d>``).  What is between two commas and no address is left out.

Sources: RFC 5322 2.2, 3.4, 4.4.  Not here: what is added to a header (`manage.compose`).
"""

import re
from collections.abc import Iterator
from typing import Final

_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_TOKEN: Final = re.compile(
    r"""\s+
    | (?P<quoted>"(?:[^"\\]|\\.)*"?)
    | (?P<literal>\[(?:[^\]\\]|\\.)*\]?)
    | (?P<comment>\()
    | (?P<special>[<>,:;@.])
    | (?P<atom>[^\s"\[()<>,:;@.]+)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_COMMENT_END: Final = re.compile(r"\\.|[()]", re.DOTALL)


def split_header(message: bytes) -> tuple[list[bytes], bytes]:
    """Return the fields, each with its folded lines and LF, and what follows the empty line.

    A line that is neither field nor continuation begins the body (it had no empty line).
    """
    fields: list[bytes] = []
    at = 0
    while at < len(message):
        end = message.find(b"\n", at) + 1 or len(message)
        line = message[at:end]
        if line in {b"\n", b"\r\n"}:
            return fields, message[end:]
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1] += line
        elif _FIELD.match(line):
            fields.append(line)
        else:
            return fields, message[at:]
        at = end
    return fields, b""


def begins_body(line: bytes) -> bool:
    """Tell whether a line can be in no header: the empty one, or neither field nor continuation."""
    return line[:1] not in {b" ", b"\t"} and _FIELD.match(line) is None


def field_name(field: bytes) -> str:
    """Return a field's name, in lower case."""
    return field.partition(b":")[0].strip().lower().decode("ascii", "replace")


def field_value(field: bytes) -> str:
    """Return a field's value, unfolded."""
    text = field.partition(b":")[2].decode("utf-8", "surrogateescape")
    return re.sub(r"\r?\n", "", text).strip()


def addresses(text: str) -> list[str]:
    """Return the addresses of a list, quoting undone, in order."""
    found = []
    for part in _parts(text):
        address = _address(part)
        if address:
            found.append(address)
    return found


def _parts(text: str) -> Iterator[list[tuple[str, str]]]:
    """Cut a list at its commas (not those of a route), and take groups apart."""
    part: list[tuple[str, str]] = []
    angle = False
    for kind, word in _tokens(text):
        if kind == "special":
            angle = word == "<" or (angle and word != ">")
            if word in ",;" and not angle:
                yield part
                part = []
                continue
            if word == ":" and not angle:  # the name of a group
                part = []
                continue
        part.append((kind, word))
    yield part


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:  # a closing parenthesis alone
            at += 1
            continue
        at = found.end()
        match found.lastgroup:
            case None:
                continue
            case "comment":
                at = _after_comment(text, at)
            case kind:
                yield kind, found.group()


def _after_comment(text: str, at: int) -> int:
    """Return where a comment ends, whose parenthesis was opened before `at`."""
    depth = 1
    for found in _COMMENT_END.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(found.group(), 0)
        if depth == 0:
            return found.end()
    return len(text)


def _address(part: list[tuple[str, str]]) -> str:
    """Return the address of one mailbox; empty where there is none."""
    opened = [n for n, entry in enumerate(part) if entry == ("special", "<")]
    if opened:
        part = part[opened[-1] + 1 :]
        closed = next((n for n, entry in enumerate(part) if entry == ("special", ">")), len(part))
        part = part[:closed]
        colons = [n for n, entry in enumerate(part) if entry == ("special", ":")]
        if colons:  # a route in front
            part = part[colons[-1] + 1 :]
    elif not any(entry == ("special", "@") for entry in part) and len(part) > 1:
        words = [entry for kind, entry in part if kind != "special"]
        if len(words) > 1 and not any(entry == ("special", ".") for entry in part):
            return ""  # several words, and none is an address
    return "".join(_plain(kind, entry) for kind, entry in part)


def _plain(kind: str, word: str) -> str:
    if kind == "quoted":
        return _QUOTED_PAIR.sub(r"\1", word[1:].removesuffix('"'))
    return word
