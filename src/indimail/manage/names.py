"""Which names a new domain or user may have, and what a command says of others.

    check_user("alice", "example.com")    -> None, or Refused("illegal username", 100)
    split_address("alice%example.com")    -> ("alice", "example.com")

Sources: spec/delivery.md 2 (common rules), 2.1 step 1, 2.2.
"""

import re
from typing import Final

from indimail.accounts.port import DOMAIN_LENGTH, GECOS_LENGTH, NAME_LENGTH
from indimail.manage.site import Refused

# A dot may follow a label without end here: what `\\Z` refuses is told apart below.
_DOMAIN: Final = re.compile(r"(?:[0-9a-zA-Z_-]+\.)+[a-zA-Z]+\Z")
_PUNYCODE: Final = re.compile(r"(?:[0-9a-zA-Z_-]+\.)+xn--[0-9a-zA-Z-]+\Z")
_DOMAIN_OCTETS: Final = re.compile(r"[0-9a-zA-Z.-]+\Z")
_ALLOWED: Final = " .!#$%&'*+-/=?^_`{|}~\""


def split_address(text: str) -> tuple[str, str]:
    """Split at ``@``, ``%`` or ``:``; the domain is empty where there is none of them."""
    for separator in "@%:":
        if separator in text:
            name, _, domain = text.rpartition(separator)
            return name, domain
    return text, ""


def check_case(what: str, text: str) -> Refused | None:
    """Refuse upper-case letters, and octets that are no text; `what` is "email" or "domain".

    An address that ends where its domain should begin is none.
    """
    if not text.isprintable():
        return Refused(f"{what} [{text!r}]: expected printable characters", 100)
    if text != text.lower():
        return Refused(f"warning: {what} [{text}] has an uppercase character", 100)
    if what == "email" and text.endswith(("@", "%", ":")):
        return Refused(f"{what} [{text}]: expected user@domain", 100)
    return None


def check_domain(domain: str, pattern: str = "") -> Refused | None:
    """Check a new domain; `pattern` is CHECK_DOMAIN_REGEXP.

    A last label of punycode is a top-level domain too; IndiMail is from before there were any.
    """
    if pattern:
        is_formed = re.search(pattern, domain) is not None
    else:
        is_formed = bool(_DOMAIN.match(domain) or _PUNYCODE.match(domain))
    if not is_formed:
        return Refused(f"invalid domain: {domain}", 111)
    if not _DOMAIN_OCTETS.match(domain) or domain[0] in "-." or domain[-1] in "-.":
        return Refused(f"Invalid domain {domain}", 100)
    if len(domain) > DOMAIN_LENGTH:
        return Refused("adddomain: Name too long", 100)
    return None


def check_user(name: str, domain: str, gecos: str = "", allowed: str = "") -> Refused | None:
    """Check a new user; `allowed` is ALLOWCHARS.  The text comes without ``iadduser: ``."""
    if not name or not (name[0].isascii() and name[0].isalnum()):
        return Refused("illegal username", 100)
    if len(name) > NAME_LENGTH or len(domain) > DOMAIN_LENGTH or len(gecos) > GECOS_LENGTH:
        return Refused("Name too long", 100)
    if name[-1] == ".":
        return Refused("Trailing/Leading periods not allowed", 100)
    if ".." in name:
        return Refused("successive periods not allowed in local-part See RFC-5322", 100)
    if not gecos.isprintable():  # a line end would forge a line of reports; a surrogate is no text
        return Refused("a name is printable text", 100)
    if ":" in name + domain + gecos:
        return Refused("':' not allowed in names", 100)
    for letter in name:
        if not (letter.isascii() and letter.isalnum()) and letter not in (allowed or _ALLOWED):
            return Refused(f"[{letter}] not allowed in local-part See RFC-5322", 100)
    if name != name.lower():
        return Refused(f"user [{name}] has an uppercase character", 100)
    if "/" in name:
        # Allowed by RFC 5322 and by the original, where it lands in a path as it stands.
        return Refused("[/] not allowed in local-part See RFC-5322", 100)
    return None
