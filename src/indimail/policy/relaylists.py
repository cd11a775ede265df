"""The control files that let clients relay: relayclients, relaydomains, relaymailfrom, tlsclients.

    clients, mistakes = parse_relayclients([Line("control/relayclients", 1, "192.168.1.:")])
    clients.find("192.168.1.7")           -> Accept(control/relayclients:1, "relayclients", suffix="")
    domains, mistakes = parse_relaydomains([Line("control/relaydomains", 1, ".heaven.af.mil:")])
    domains.hosts.find("mx.heaven.af.mil")    -> Accept(control/relaydomains:1, "relaydomains", ...)
    senders, mistakes = parse_relaymailfrom([Line("control/relaymailfrom", 1, "@domain2.com")])
    senders.find(Address("joe", "domain2.com"))   -> Accept(control/relaymailfrom:1, "relaymailfrom", ...)

| file          | a line                 | permits                                                     |
|---------------|------------------------|-------------------------------------------------------------|
| relayclients  | ``192.168.0.1:``       | the client of this address                                  |
|               | ``192.168.1.:``        | every client whose address begins so; ranges and networks   |
|               |                        | (``10.0.0.0/8:``, ``2001:db8::/32:``) as in tcp.smtp        |
| relaydomains  | ``heaven.af.mil:``     | the client of this name                                     |
|               | ``.heaven.af.mil:``    | every client whose name ends so                             |
|               | ``:``                  | every client                                                |
|               | ``@heaven.af.mil:``    | mail of every client *to* this domain                       |
|               | ``@.heaven.af.mil:``   | mail of every client to its sub-domains                     |
| relaymailfrom | ``joe@domain1.com``    | this sender, whoever says that he is it                     |
|               | ``@domain2.com``       | every sender of the domain                                  |
|               | ``*.example``, ``!..`` | senders by shell pattern; the last that matches decides     |
| tlsclients    | ``gw@partner.example`` | the client whose certificate has this address               |

What follows the colon of the first two is appended to each recipient of the client; the colon itself
may be missing.  White space around a line counts for nothing.  Of two lines that say the same the first
counts.

Sources: spec/smtp.md 3.2, 3.5, 3.6, 0.1, 0.2, 0.10, 7.  Not here: what a name in DNS is worth
(`net.names`), which permission decides (`policy.relay`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from indimail.mail.address import Address
from indimail.mail.addresslist import NO_ADDRESSES, AddressList, parse_address_list
from indimail.mail.errors import Mistake
from indimail.mail.line import Line
from indimail.mail.match import TYPOGRAPHIC, Domains, key_of, quoted
from indimail.mail.verdict import Accept, Rule
from indimail.policy.clients import ClientTable, Exact, Key, Wrong, parse_client
from indimail.policy.permission import Permission

_SUFFIX: Final = re.compile(rf"[^\s\"'<>:,{TYPOGRAPHIC}]*")
_COLON: Final = "nothing or a suffix after the colon, as in @fix.me, without quotes"
_WILD: Final = re.compile(r"[*?\[\\!]")


# -- relayclients ----------------------------------------------------------------------------------


def parse_relayclients(lines: Sequence[Line]) -> tuple[ClientTable[Accept], list[Mistake]]:
    """Read ``address:suffix`` a line; a line that is a mistake is left out."""
    listed, mistakes = [], []
    for line in lines:
        parsed = _parse_client(line.text.strip())
        if isinstance(parsed, Wrong):
            mistakes.append(_mistake(line, parsed))
        else:
            key, suffix = parsed
            listed.append((key, Accept(line.rule, Permission.RELAYCLIENTS, suffix)))
    return ClientTable(listed), mistakes


def _parse_client(text: str) -> tuple[Key, str] | Wrong:
    """Read a line; of IPv6 the last colon is the one that separates, if what is left is an address."""
    whole = _address(text)
    if not isinstance(whole, Wrong):
        if text.endswith("::"):
            expected = f"{text}: for this one address, or a network as in {text}/64:"
            return Wrong(quoted(text), expected)
        return whole, ""
    address, colon, suffix = text.rpartition(":")
    if not colon:
        return whole
    key = _address(address)
    if isinstance(key, Wrong):
        return key
    return (key, suffix) if _SUFFIX.fullmatch(suffix) else Wrong(quoted(suffix), _COLON)


def _address(text: str) -> Key | Wrong:
    key = parse_client(text)
    if isinstance(key, Exact) and (not key.text or "=" in key.text or "@" in key.text):
        expected = "an address, a prefix that ends in a dot, or address/bits"
        return Wrong(quoted(text), expected)
    return key


# -- relaydomains ----------------------------------------------------------------------------------


class PermittedNames:
    """Names with what each permits; `all` is what the empty name permits everybody."""

    __slots__ = ("_names", "all", "permits")

    def __init__(self, permits: Mapping[str, Accept]) -> None:
        """Keys are names in the spelling of `mail.match.key_of`."""
        self.permits = permits
        self.all = permits.get("")
        self._names = Domains(permits.get, suffixes=any(key[:1] == "." for key in permits))

    def find(self, name: str) -> Accept | None:
        """Return what this name permits; the empty one is of who has none."""
        return self._names.find(name) or self.all

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.permits)


@dataclass(frozen=True, slots=True)
class RelayDomains:
    """`hosts` are names of clients, `recipients` domains of recipients (the lines with ``@``)."""

    hosts: PermittedNames = field(default_factory=lambda: PermittedNames({}))
    recipients: PermittedNames = field(default_factory=lambda: PermittedNames({}))


def parse_relaydomains(lines: Sequence[Line]) -> tuple[RelayDomains, list[Mistake]]:
    """Read ``name:suffix`` and ``@domain:suffix`` a line; what is a mistake is left out."""
    hosts: dict[str, Accept] = {}
    recipients: dict[str, Accept] = {}
    mistakes = []
    for line in lines:
        text = line.text.strip()
        name, _, suffix = text.removeprefix("@").partition(":")
        key = key_of(name) if name else ""
        if key is None or text == "@":
            expected = "a name or .name, or @domain or @.domain, then a colon"
            mistakes.append(_mistake(line, Wrong(quoted(text), expected)))
        elif not _SUFFIX.fullmatch(suffix):
            mistakes.append(_mistake(line, Wrong(quoted(suffix), _COLON)))
        else:
            permits = recipients if text.startswith("@") else hosts
            permits.setdefault(key, Accept(line.rule, Permission.RELAYDOMAINS, suffix))
    return RelayDomains(PermittedNames(hosts), PermittedNames(recipients)), mistakes


# -- relaymailfrom ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RelaySenders:
    """`base` is relaymailfrom.cdb, which is asked first; `text` the file."""

    base: AddressList = NO_ADDRESSES
    text: AddressList = NO_ADDRESSES

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.base or self.text)

    def find(self, sender: Address) -> Accept | None:
        """Return what permits this sender; the null sender is in a pattern ``*`` at most."""
        key = sender.mailbox_key if sender.domain else sender.local
        rule = self.base.find(key) or self.text.find(key)
        return None if rule is None else Accept(rule, Permission.RELAYMAILFROM)


def parse_relaymailfrom(
    lines: Sequence[Line], base: Iterable[tuple[str, Rule]] = ()
) -> tuple[RelaySenders, list[Mistake]]:
    """Read addresses, ``@domain`` and shell patterns; `base` are the keys of the cdb with their rules."""
    exact, patterns, mistakes = [], [], []
    for line in lines:
        text = line.text.strip()
        if _WILD.search(text):
            patterns.append(Line(line.file, line.number, text))
        elif (key := sender_key(text)) is not None:
            exact.append(Line(line.file, line.number, key))
        else:
            expected = "user@domain, @domain or a shell pattern, without a colon"
            mistakes.append(_mistake(line, Wrong(quoted(line.text), expected)))
    return RelaySenders(AddressList(dict(base)), parse_address_list(exact, patterns)), mistakes


def parse_tlsclients(lines: Sequence[Line]) -> tuple[dict[str, Accept], list[Mistake]]:
    """Read the mail addresses of client certificates, by their keys."""
    permits: dict[str, Accept] = {}
    mistakes = []
    for line in lines:
        text = line.text.strip()
        key = sender_key(text)
        if key is None or key[0] == "@" or _WILD.search(text):
            expected = "user@domain, a whole address"
            mistakes.append(_mistake(line, Wrong(quoted(line.text), expected)))
        else:
            permits.setdefault(key, Accept(line.rule, Permission.TLSCLIENTS))
    return permits, mistakes


def sender_key(text: str) -> str | None:
    """Return ``user@domain`` or ``@domain`` in the spelling that is compared; None: it is neither."""
    local, at, domain = text.rpartition("@")
    key = key_of(domain)
    if not at or key is None or key[0] == "." or local.split() not in ([], [local]):
        return None
    return f"{local.lower()}@{key}"


def _mistake(line: Line, wrong: Wrong) -> Mistake:
    return Mistake(line.file, line.number, wrong.found, wrong.expected)
