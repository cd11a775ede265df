"""Homes that take mail from domains of ours alone: `.localdomains` in the home, or LOCALDOMAINS.

    refuse_remote("eve@example.net", Rule("alias/.localdomains"), rules)     -> Failed(REMOTE, rule)
    refuse_remote("bob@example.com", None, rules)                            -> None

`rules` are the lines of control/localdomains; without one, no domain is local.  Who wrote decides, so it
is asked with each mail and not at RCPT.  A report that names no sender (RFC 5321 4.5.5) comes from no
domain, and is taken: who may write only here still hears what became of his mail.

Source: spec/delivery.md 4 (home).  Not here: who looks for the file (`serve.home`).
"""

from collections.abc import Mapping
from typing import Final

from indimail.mail.match import DomainTable
from indimail.mail.outcome import Failed
from indimail.mail.verdict import Rule

FILE: Final = ".localdomains"
REMOTE: Final = "This email address doesn't accept mails from remote domains. (#5.2.1)"
_REPORTS: Final = frozenset({"", "#@[]"})


def refuse_remote(sender: str, only_local: Rule | None, rules: Mapping[str, Rule]) -> Failed | None:
    """Say why the mail is not taken; `only_local` is what closes the home to others, if anything."""
    if only_local is None or sender in _REPORTS:
        return None
    _, at, domain = sender.rpartition("@")
    is_local = at and domain in DomainTable(rules.get)
    return None if is_local else Failed(REMOTE, only_local)
