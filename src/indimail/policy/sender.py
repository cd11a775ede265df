"""May this client begin a transaction?  One question for each MAIL FROM, and with CHECKSENDER a second.

    decide_sender(SenderFacts(NULL, tls=""), SenderRules(force_tls=rule))  -> Refuse(530 5.7.0 ...)
    is_checked(facts, rules, ours)      -> True: CHECKSENDER looks at this sender
    judge_sender(facts, rules, SenderState.ABSENT, ours)                   -> Refuse(553 5.7.1 ...)

The checks of `decide_sender` run in the order of `CHECKS`; the first refusal is the answer:

| check       | refuses                                                                        |
|-------------|--------------------------------------------------------------------------------|
| FORCE_TLS   | clear text; first, so that nothing else is told to such a client               |
| REQUIREAUTH | who is not logged in                                                           |

CHECKSENDER is about senders in domains of ours, and about what users of ours send.  The sender has to
be there (a look-up, so `judge_sender` comes after it); who is not logged in and may not relay either is
refused; who is logged in sends as himself, as MASQUERADE says, or where that is empty as anybody in
domains of ours.  The null reverse-path is nobody's: read receipts have it (RFC 8098 3).

Source: spec/smtp.md 5.1 ([R]: FORCE_TLS first), 5.3.  Not here: syntax and SIZE (`smtp.session`),
the null reverse-path's rules (`policy.recipient`), authdomains (`policy.relay`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from indimail.mail.address import NULL, Address
from indimail.mail.addresslist import AddressList
from indimail.mail.reply import Reply
from indimail.mail.verdict import NO_RULE, Accept, Refuse, Rule, TryLater

IsOurs = Callable[[str], bool]  # is this domain in rcpthosts?


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """One MAIL FROM; `tls` is the version of the protocol, empty in clear text.

    `auth_user` is who is logged in.  `relays`: the client may relay, however.  `mailbox` is the
    sender's, and the one of an alias domain's is that of the domain itself; it is known after the
    look-up alone.  `relays_trouble` says why it is not known that the client may relay.
    """

    reverse_path: Address = NULL
    tls: str = ""
    auth_user: str = ""
    relays: bool = False
    relays_trouble: str = ""
    mailbox: str = ""


@dataclass(frozen=True, slots=True)
class SenderRules:
    """What is switched on: the rule that set the variable, or None.

    `masquerade` None: MASQUERADE is not set.  `checked` is chksenderdomains, None where there is none.
    """

    force_tls: Rule | None = None
    requireauth: Rule | None = None
    checksender: Rule | None = None
    masquerade: str | None = None
    checked: AddressList | None = None


class SenderState(Enum):
    """What is known of a sender in a domain of ours."""

    THERE = "there"
    ABSENT = "absent"
    CLOSED = "inactive, or may not use SMTP"
    UNKNOWN = "unknown: the accounts did not answer"


def decide_sender(facts: SenderFacts, rules: SenderRules) -> Accept | Refuse:
    """Say whether a transaction may begin.  Raises nothing."""
    for check in CHECKS:
        refused = check(facts, rules)
        if refused is not None:
            return refused
    return _ACCEPTED


def is_checked(facts: SenderFacts, rules: SenderRules, is_ours: IsOurs) -> bool:
    """Tell whether CHECKSENDER looks at a sender."""
    if rules.checksender is None or not facts.reverse_path:
        return False
    user = Address.parse(facts.auth_user)
    if not (is_ours(facts.reverse_path.domain) or is_ours(user.domain)):
        return False
    checked = rules.checked
    who = (str(facts.reverse_path), facts.auth_user)
    return checked is None or any(checked.find(address) for address in who if address)


def judge_sender(
    facts: SenderFacts, rules: SenderRules, state: SenderState, is_ours: IsOurs
) -> Accept | Refuse | TryLater:
    """Say whether a sender that is checked may send; `state` counts in domains of ours alone."""
    rule = rules.checksender or NO_RULE
    ours = is_ours(facts.reverse_path.domain)
    if ours and state is SenderState.UNKNOWN:
        return TryLater(_DATABASE, rule, "the accounts did not answer")
    if ours and state is not SenderState.THERE:
        return Refuse(_NO_SENDER, rule, f"the sender is {state.value}")
    if not facts.auth_user and facts.relays:
        return _ACCEPTED
    if not facts.auth_user and facts.relays_trouble:
        return TryLater(_NO_DNS, rule, facts.relays_trouble)
    if not facts.auth_user:
        return Refuse(_AUTH_FIRST, rule, "not logged in")
    if not ours:
        return _masquerades(facts, rule, "not a domain of ours")
    if rules.masquerade == "" or facts.mailbox == facts.auth_user.lower():
        return _ACCEPTED
    allowed = Address.parse(rules.masquerade or "")
    if allowed and allowed.mailbox_key == facts.reverse_path.mailbox_key:
        return _ACCEPTED
    return _masquerades(facts, rule, "another one's address")


def _needs_tls(facts: SenderFacts, rules: SenderRules) -> Refuse | None:
    if rules.force_tls is None or facts.tls:
        return None
    return Refuse(_TLS_FIRST, rules.force_tls, "FORCE_TLS is set and the connection is in clear")


def _needs_auth(facts: SenderFacts, rules: SenderRules) -> Refuse | None:
    if rules.requireauth is None or facts.auth_user:
        return None
    return Refuse(_AUTH_FIRST, rules.requireauth, "REQUIREAUTH is set and nobody is logged in")


def _masquerades(facts: SenderFacts, rule: Rule, reason: str) -> Refuse:
    text = (
        f"sorry, this MTA does not accept masquerading/forging, auth {facts.auth_user[:200]} #5.7.1"
    )
    return Refuse(Reply(553, "5.7.1", text), rule, f"the sender is {reason}")


CHECKS: Final[tuple[Callable[[SenderFacts, SenderRules], Refuse | None], ...]] = (
    _needs_tls,
    _needs_auth,
)
_ACCEPTED: Final = Accept(Rule("built-in", key="sender"), "no check refused the sender")
_TLS_FIRST: Final = Reply(530, "5.7.0", "must issue STARTTLS first (#5.7.0)")
_AUTH_FIRST: Final = Reply(530, "5.7.1", "authentication required (#5.7.1)")
_NO_SENDER: Final = Reply(553, "5.7.1", "authorization failure (#5.7.1)")
_NO_DNS: Final = Reply(451, "4.4.3", "Sorry, there is a DNS temporary failure (#4.4.3)")
_DATABASE: Final = Reply(451, "4.3.2", "Sorry, I got a temporary database error (#4.3.2)")
