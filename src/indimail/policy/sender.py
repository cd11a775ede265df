"""May this client begin a transaction?  One question for each MAIL FROM.

    decide_sender(SenderFacts(tls=""), SenderRules(force_tls=rule))   -> Refuse(530 5.7.0 ...)

The checks run in the order of `CHECKS`; the first refusal is the answer.  Built: FORCE_TLS, which
is tested first so that nothing else is told to a client in clear text.

Source: spec/smtp.md 5.1 ([R]: FORCE_TLS first).  Not here: syntax and SIZE (`smtp.session`), the
null reverse-path's rules (`policy.recipient`); REQUIREAUTH, bad senders, DNS and CHECKSENDER are
rows to come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from indimail.mail.address import NULL, Address
from indimail.mail.reply import Reply
from indimail.mail.verdict import Accept, Refuse, Rule


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """One MAIL FROM; `tls` is the version of the protocol, empty in clear text."""

    reverse_path: Address = NULL
    tls: str = ""


@dataclass(frozen=True, slots=True)
class SenderRules:
    """What is switched on: the rule that set the variable, or None."""

    force_tls: Rule | None = None


def decide_sender(facts: SenderFacts, rules: SenderRules) -> Accept | Refuse:
    """Say whether a transaction may begin.  Raises nothing."""
    for check in CHECKS:
        refused = check(facts, rules)
        if refused is not None:
            return refused
    return _ACCEPTED


def _needs_tls(facts: SenderFacts, rules: SenderRules) -> Refuse | None:
    if rules.force_tls is None or facts.tls:
        return None
    return Refuse(_TLS_FIRST, rules.force_tls, "FORCE_TLS is set and the connection is in clear")


CHECKS: Final[tuple[Callable[[SenderFacts, SenderRules], Refuse | None], ...]] = (_needs_tls,)

_ACCEPTED: Final = Accept(Rule("built-in", key="sender"), "no check refused the sender")
_TLS_FIRST: Final = Reply(530, "5.7.0", "must issue STARTTLS first (#5.7.0)")
