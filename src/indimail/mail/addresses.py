r"""Addresses in a header field: found, completed, and written so that nothing else of the text changes.

    parse_addresses('"Ann, A." <ann@example.com>, bob (Bob)').mailboxes
        -> (Mailbox('ann', 'example.com', 11, 26), Mailbox('bob', '', 29, 32))
    complete("joe fred@host", qualify).text    -> "joe@example.com, fred@host.example.com"

Every form of RFC 5322 3.4 and 4.4 is understood: display names, comments, quoted strings, groups,
routes (``<@a,@b:c@d>``).  What breaks the syntax is read as qmail reads it: words without ``.`` or
``@`` between them are addresses of their own, whose comma is missing; one is missing too behind an
``>``; an ``<`` that is not closed ends at the next comma.  Nothing raises.

An address that is complete stays as it is written, octet by octet, comments and folding included.
One that is not is replaced by its plain form, in which no character can end the line.

Sources: RFC 5322 3.2, 3.4, 4.4; spec/queue.md 6.1.
Not here: which fields have addresses (`mail.compose`), addresses of SMTP commands (`smtp.command`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

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
_FOLD: Final = re.compile(r"\r?\n")
_CONTROLS: Final = dict.fromkeys([*range(32), 127], "_")
# A dot-string (RFC 5321 4.1.2), with the UTF-8 of RFC 6531
_DOT_STRING: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
    r"(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+)*"
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address: `local` without its quotes, `domain` empty for a lone box; where it stands."""

    local: str
    domain: str
    start: int = 0  # of the route, where there is one
    end: int = 0

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local

    @property
    def written(self) -> str:
        """The address as a header has it: quoted where it has to be, on one line."""
        domain = self.domain.translate(_CONTROLS)
        return f"{quoted(self.local)}@{domain}" if domain else quoted(self.local)


@dataclass(frozen=True, slots=True)
class AddressList:
    """What a field's text holds; `missing_commas` are places in it."""

    mailboxes: tuple[Mailbox, ...]
    missing_commas: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Completed:
    """A text whose addresses are complete, and these."""

    text: str
    mailboxes: tuple[Mailbox, ...]


@dataclass(frozen=True, slots=True)
class Hosts:
    """What completes an address: qmail-inject's control files of these names."""

    default_host: str
    default_domain: str
    plus_domain: str

    def qualify(self, mailbox: Mailbox) -> Mailbox:
        """Return the address with a full domain; an address literal is one (``[192.0.2.1]``)."""
        domain = mailbox.domain.rstrip(".") or self.default_host
        if domain.startswith("["):
            pass
        elif domain.endswith("+"):
            domain = f"{domain[:-1]}.{self.plus_domain}"
        elif "." not in domain and self.default_domain:
            domain = f"{domain}.{self.default_domain}"
        if domain == mailbox.domain:
            return mailbox
        return Mailbox(mailbox.local, domain, mailbox.start, mailbox.end)


def quoted(local: str) -> str:
    """Return a local part as RFC 5321 4.1.2 writes it, on one line whatever it holds."""
    local = local if local.isprintable() else local.translate(_CONTROLS)
    if not local or _DOT_STRING.fullmatch(local):
        return local
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def mailbox_of(address: str) -> Mailbox:
    """Return an address that was given alone, unquoted, as on a command line."""
    local, at, domain = address.rpartition("@")
    return Mailbox(local, domain) if at else Mailbox(address, "")


def parse_addresses(text: str) -> AddressList:
    """Find the addresses of a field's text, which may be folded."""
    parsing = _Parsing()
    for token in _tokens(text):
        parsing.take(token)
    parsing.end_item()
    return AddressList(tuple(parsing.mailboxes), tuple(parsing.missing_commas))


def complete(text: str, qualify: Callable[[Mailbox], Mailbox]) -> Completed:
    """Complete the addresses of a text, take routes out and put missing commas in."""
    found = parse_addresses(text)
    whole = tuple(map(qualify, found.mailboxes))
    edits = [(at, at, ",") for at in found.missing_commas]
    for old, new in zip(found.mailboxes, whole, strict=True):
        if new != old or text.startswith("@", old.start):
            edits.append((old.start, old.end, new.written))
    return Completed(_edited(text, edits), whole)


def _edited(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    parts = []
    at = 0
    for start, end, instead in sorted(edits):
        parts += [text[at:start], instead]
        at = end
    return "".join([*parts, text[at:]])


# -- words ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    word: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        return self.kind != "special"

    @property
    def plain(self) -> str:
        """The text without quotes, and without the folding that a quoted string may have."""
        word = _FOLD.sub("", self.word)
        if self.kind != "quoted":
            return word
        inner = word[1:-1] if len(word) > 1 and word.endswith('"') else word[1:]
        return _QUOTED_PAIR.sub(r"\1", inner)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:  # a closing parenthesis alone
            at += 1
            continue
        start, at = at, found.end()
        match found.lastgroup:
            case None:
                continue
            case "comment":
                at = _after_comment(text, at)
            case kind:
                yield _Token(kind, found.group(), start, at)


def _after_comment(text: str, at: int) -> int:
    """Return where a comment ends, whose parenthesis was opened before `at`."""
    depth = 1
    for found in _COMMENT_END.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(found.group(), 0)
        if depth == 0:
            return found.end()
    return len(text)


# -- the list -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Parsing:
    """Gathers the words up to what ends an address.

    `words` are those since the last comma: a name, or addresses.  `inside` are those since an ``<``.
    """

    mailboxes: list[Mailbox] = field(default_factory=list)
    missing_commas: list[int] = field(default_factory=list)
    words: list[_Token] = field(default_factory=list)
    inside: list[_Token] | None = None
    closed: int = -1  # where the last ``>`` ended, while no comma was seen behind it

    def take(self, token: _Token) -> None:
        """Go on with one word."""
        if self.inside is not None:
            self._take_inside(token, self.inside)
        elif token.kind == "special" and token.word in ",;":
            self.end_item()
        elif token.kind == "special" and token.word == ":":  # what came was a group's name
            self.words.clear()
            self.closed = -1
        elif token.kind == "special" and token.word == "<":
            self._need_comma()
            self.inside = []
        elif not (token.kind == "special" and token.word == ">"):
            self._need_comma()
            self.words.append(token)

    def end_item(self) -> None:
        """A comma, a semicolon or the end."""
        if self.inside is not None:
            self._end_angle(self.inside)
        else:
            self._add_runs()
        self.words.clear()
        self.closed = -1

    def _take_inside(self, token: _Token, inside: list[_Token]) -> None:
        if token.kind == "special" and token.word == ">":
            self._end_angle(inside)
            self.words.clear()
            self.closed = token.end
        elif token.kind == "special" and token.word in ",;" and not _is_open_route(inside):
            self.end_item()
        elif token.kind == "special" and token.word == "<":  # the last one counts
            inside.clear()
        else:
            inside.append(token)

    def _end_angle(self, inside: list[_Token]) -> None:
        self.inside = None
        colons = [n for n, token in enumerate(inside) if token.word == ":" and not token.is_word]
        address = inside[colons[-1] + 1 :] if colons else inside
        if found := _mailbox(address, inside[0].start if inside else 0):
            self.mailboxes.append(found)

    def _need_comma(self) -> None:
        """Something follows an ``>`` without a comma between."""
        if self.closed >= 0:
            self.missing_commas.append(self.closed)
            self.closed = -1

    def _add_runs(self) -> None:
        """Take words without ``<``: each run that dots and ``@`` hold together is an address."""
        previous: _Token | None = None
        for run in _runs(self.words):
            found = _mailbox(run, run[0].start)
            if found is None:
                continue
            if previous is not None:
                self.missing_commas.append(previous.end)
            previous = run[-1]
            self.mailboxes.append(found)


def _is_open_route(inside: Sequence[_Token]) -> bool:
    return bool(inside) and inside[0].word == "@" and all(t.word != ":" for t in inside)


def _runs(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    run: list[_Token] = []
    for token in tokens:
        if run and run[-1].is_word and token.is_word:
            yield run
            run = []
        run.append(token)
    if run:
        yield run


def _mailbox(tokens: Sequence[_Token], start: int) -> Mailbox | None:
    """Return the address that these words are; None where there is no local part."""
    ats = [n for n, token in enumerate(tokens) if token.kind == "special" and token.word == "@"]
    cut = ats[-1] if ats else len(tokens)
    local = "".join(token.plain for token in tokens[:cut])
    domain = "".join(token.plain for token in tokens[cut + 1 :])
    if not any(token.is_word for token in tokens[:cut]) or not local:
        return None
    return Mailbox(local, domain, start, tokens[-1].end)
