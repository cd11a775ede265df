"""Lists of domains as control files hold them, and how a domain is found in one.

    table, mistakes = parse_domains([Line("control/rcpthosts", 1, "example.com"),
                                     Line("control/rcpthosts", 2, ".example.org")])
    table.find("example.com")      -> Rule("control/rcpthosts", 1)
    table.find("a.example.org")    -> Rule("control/rcpthosts", 2)
    table.find("example.org")      -> None: a leading dot means the sub-domains alone

Compared without regard to case; a U-label and its A-label are one domain.  Of two lines that say
the same the first counts.  A table's keys may be looked up where they are: what it needs is a
function from a key to its rule, such as a dict's ``get`` or a look-up in a cdb.

Sources: spec/smtp.md 3.8, 7.  Not here: who asks (`policy.relay`, `schedule.route`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from indimail.mail.address import domain_key, parents
from indimail.mail.errors import Mistake
from indimail.mail.line import Line
from indimail.mail.verdict import Rule

# Quotes that a word processor puts in: no file of ours means them.
TYPOGRAPHIC: Final = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\xab\xbb"

# What no domain contains, but a line meant for another file, or pasted from a document, does.
# An address literal, [IPv6:2001:db8::1], may contain colons.
_DOMAIN: Final = re.compile(rf"\[[^\]\s]+\]|[^\s\[\]@:/\\,;*?!|<>()\"'`{TYPOGRAPHIC}]+")


T = TypeVar("T")


class Domains(Generic[T]):
    """Finds what a domain has: its own key first, then ``.suffix`` keys, longest first."""

    __slots__ = ("_get", "_suffixes", "dotted")

    def __init__(
        self,
        get: Callable[[str], T | None],
        *,
        suffixes: bool = True,
        dotted: tuple[str, ...] = (),
    ) -> None:
        """`get` knows keys in the spelling of `key_of`; `suffixes` False: none begins with a dot.

        `dotted` are those that do, where whoever made the table knows them.
        """
        self._get = get
        self._suffixes = suffixes
        self.dotted = dotted

    def find(self, domain: str) -> T | None:
        """Return what this domain has; the empty domain is in no table."""
        key = domain_key(domain)
        if not key or key[0] == ".":
            return None
        found = self._get(key)
        if found is None and self._suffixes:
            for suffix in parents(key):
                found = self._get(suffix)
                if found is not None:
                    break
        return found

    def __contains__(self, domain: str) -> bool:
        return self.find(domain) is not None


DomainTable = Domains[Rule]  # the rule that lists a domain


def _nothing(key: str) -> Rule | None:  # noqa: ARG001  the shape of a get
    return None


EMPTY: Final = DomainTable(_nothing, suffixes=False)


def key_of(text: str) -> str | None:
    """Return the key of ``domain`` or ``.domain``; None where the text is neither."""
    bare = text.removeprefix(".")
    if not _DOMAIN.fullmatch(bare) or bare[0] == "." or bare[-1] == "." or ".." in bare:
        return None
    key = domain_key(bare)
    return key if bare is text else f".{key}"


def parse_domains(lines: Sequence[Line]) -> tuple[DomainTable, list[Mistake]]:
    """Read a list with a ``domain`` or ``.domain`` a line."""
    rules, mistakes = parse_domain_rules(lines, suffixes=True)
    return table_of(rules), mistakes


def table_of(rules: Mapping[str, T]) -> Domains[T]:
    """Return the table of keys that are all known."""
    dotted = tuple(key for key in rules if key[0] == ".")
    return Domains(rules.get, suffixes=bool(dotted), dotted=dotted)


def parse_domain_rules(
    lines: Sequence[Line], *, suffixes: bool
) -> tuple[dict[str, Rule], list[Mistake]]:
    """Read a list of domains into a dict; without `suffixes` a leading dot is a mistake."""
    rules: dict[str, Rule] = {}
    mistakes = []
    for line in lines:
        key = key_of(line.text)
        if key is None or (key[0] == "." and not suffixes):
            expected = "a domain, or .domain for its sub-domains" if suffixes else "a domain"
            mistakes.append(Mistake(line.file, line.number, quoted(line.text), expected))
        else:
            rules.setdefault(key, line.rule)
    return rules, mistakes


def quoted(text: str) -> str:
    """Return what stands in a file as a mistake shows it: in quotes, short, one line."""
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    return repr(shown) if not shown.isprintable() else f"'{shown}'"
