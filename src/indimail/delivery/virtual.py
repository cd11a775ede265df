"""vdelivermail's decision for one recipient of a virtual domain.

    facts = VirtualFacts("alice", "example.com", account, instruction=BounceNoMailbox())
    decide_virtual(facts)       -> Deliver("/srv/mail/A2E/example.com/alice/Maildir", rule)

The caller looks the facts up: the domain under its real name (not an alias domain's), the account
under `virtual_user(ext)`, the valias rows (none when `ext` is empty), whether the home has a
`.qmail`.  A lookup that fails is the caller's Deferred, never a "no" in the facts.

An alias is followed when it is one row that names one mailbox here (``&postmaster@example.com``):
`Redirect`, once.  Longer lists, programs, forwards to elsewhere, a user's own `.qmail` and the
instructions that store or forward are kept waiting until they are supported.

Units: octets.  Source: spec/delivery.md 5.2 to 5.4.  Not here: the quota of an unlocked account.
"""

import re
from dataclasses import dataclass
from typing import Final

from indimail.delivery.instruction import BounceNoMailbox, Delete, Instruction, ToHost
from indimail.delivery.plan import Defer, Deliver, Discard, Fail, Plan, Redirect
from indimail.mail.errors import Mistake
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import NO_RULE, Rule

_ONE_MAILBOX: Final = re.compile(r"&?([^@\s|/&.][^@\s]*)@([^@\s]+)")


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account's row; `usage` and `quota` (as pw_shell has it) are told where it is locked."""

    home: str
    active: bool = True
    locked: bool = False
    usage: int = 0
    quota: str = "NOQUOTA"
    is_group: bool = False  # pw_gecos begins with "MailGroup "
    has_dotqmail: bool = False
    holds_overquota: bool = False  # the hold file is there: defer instead of bounce


@dataclass(frozen=True, slots=True)
class VirtualFacts:
    """Everything the decision looks at.  `alias` is the address that led here, if one did."""

    user: str
    domain: str
    account: AccountFacts | None
    instruction: Instruction | Mistake
    rule: Rule = NO_RULE
    aliases: tuple[str, ...] = ()
    domain_known: bool = True
    alias: str = ""

    @property
    def address(self) -> str:
        """The recipient as texts name it."""
        return f"{self.user}@{self.domain}"


def virtual_user(ext: str) -> str:
    """Return the user that an extension means; empty where it means none.

    An empty extension is the postmaster, for whom no aliases are looked up.
    """
    return ext.strip('"').lower() if ext else "postmaster"


def decide_virtual(facts: VirtualFacts) -> Plan:
    """Say what becomes of the mail.  Pure, and the same at RCPT and at delivery."""
    if not facts.user:
        text = "vdelivermail: invalid user []"
        return Fail(text, "5.1.3", Foreseen.ABSENT, facts.rule)
    if not facts.domain_known:
        return _foreign(facts)
    if facts.account is None:
        return _expanded(facts) or _absent(facts)
    if not facts.account.active:
        return _inactive(facts)
    return _existing(facts, facts.account)


def _existing(facts: VirtualFacts, account: AccountFacts) -> Plan:
    """Locked, aliases, the user's .qmail, group, mailbox: in this order (5.3)."""
    if account.locked:
        return _locked(facts, account)
    if expanded := _expanded(facts):
        return expanded
    if account.has_dotqmail:
        rule = Rule(f"{account.home}/.qmail")
        return Defer(f"{rule}: a user's own .qmail is not supported yet. (#4.3.0)", rule)
    if account.is_group:
        return Discard("Mail delivery to group is avoided", facts.rule)
    return Deliver(f"{account.home}/Maildir", facts.rule)


def _locked(facts: VirtualFacts, account: AccountFacts) -> Plan:
    """Any lock counts as the administrator's: none is lifted here."""
    rule = Rule("indimail", key=facts.address)
    figures = f"{account.usage}/{account.quota}"
    text = f"account {facts.address} locked/overquota {figures}. indimail (#5.1.1)"
    if account.holds_overquota:
        return Defer(text, rule)
    return Fail(text, "5.1.1", Foreseen.LOCKED, rule)


def _expanded(facts: VirtualFacts) -> Redirect | Defer | None:
    """Follow the alias rows of the recipient, if it has any."""
    if not facts.aliases:
        return None
    rule = Rule("valias", key=facts.address)
    if len(facts.aliases) == 1 and not facts.alias:
        target = _ONE_MAILBOX.fullmatch(facts.aliases[0].strip().lower())
        if target and target[0].removeprefix("&") != facts.address:
            return Redirect(target[1], target[2], facts.address, rule)
    return Defer(
        f"{rule}: found {', '.join(facts.aliases)}, "
        "expected one address of a mailbox here (other aliases: not yet). (#4.3.0)",
        rule,
    )


def _foreign(facts: VirtualFacts) -> Defer:
    if facts.alias:
        rule = Rule("valias", key=facts.alias)
        return Defer(
            f"{rule}: found {facts.address}, "
            "expected a mailbox here (forwards to elsewhere: not yet). (#4.3.0)",
            rule,
        )
    return Defer(f"vdelivermail: No such domain {facts.domain}", facts.rule)


def _absent(facts: VirtualFacts) -> Plan:
    """Status 1 of 5.4: no such user."""
    match facts.instruction:
        case Delete():
            return Discard(f"no account {facts.address}, discarded (delete)", facts.rule)
        case BounceNoMailbox():
            text = f"no account {facts.address} here by that name. indimail (#5.1.5)"
            return Fail(text, "5.1.5", Foreseen.ABSENT, facts.rule)
        case other:
            return _not_yet(other, facts.rule)


def _inactive(facts: VirtualFacts) -> Plan:
    """Status 0 of 5.4: the account is there, but switched off."""
    match facts.instruction:
        case Delete():
            return Discard(f"account {facts.address} is inactive, discarded (delete)", facts.rule)
        case BounceNoMailbox():
            text = f"account {facts.address} is inactive. indimail(#5.1.3)"
            return Fail(text, "5.1.3", Foreseen.INACTIVE, facts.rule)
        case ToHost() as host:  # never tried for an inactive user
            text = f"account {facts.address} is inactive delivering to {host}. indimail(#5.1.7)"
            return Fail(text, "5.1.7", Foreseen.INACTIVE, facts.rule)
        case other:
            return _not_yet(other, facts.rule)


def _not_yet(instruction: Instruction | Mistake, rule: Rule) -> Defer:
    if isinstance(instruction, Mistake):
        invalid = f"Invalid SMTPROUTE Specification [{instruction.found}]. indimail (#5.1.8)"
        return Defer(f"{invalid} {instruction}", rule)
    return Defer(
        f"{rule}: found {instruction}, "
        "expected delete or bounce-no-mailbox (the other three: not yet). (#4.3.0)",
        rule,
    )
