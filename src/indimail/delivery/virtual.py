"""vdelivermail's decision for one recipient of a virtual domain.

    facts = VirtualFacts("alice", "example.com", account, instruction=BounceNoMailbox())
    decide_virtual(facts)       -> (Deliver("/srv/mail/A2E/example.com/alice/Maildir", rule),)

The caller looks the facts up: the domain under its real name (not an alias domain's), the account
under `virtual_user(ext)` (with QMAIL_EXT, who has neither account nor valias rows under
`base_user(user)`), the valias rows (none when `ext` is empty), the home's `.qmail`, the
Maildir that an instruction names.  A lookup that fails is the caller's Deferred, never a "no" in
the facts.

Rows of valias and a user's own `.qmail` take the place of the mailbox; a row or line that is the
user's own address says nothing, so that alone it leaves the mailbox.

Source: spec/delivery.md 5.2 to 5.4.  Not here: the quota of an unlocked account
(`delivery.overquota`), whose senders fall into a black hole (`delivery.blackhole`).
"""

from dataclasses import dataclass, replace
from typing import Final

from indimail.delivery.dotqmail import DotQmail, VDeliver, read_dotqmail
from indimail.delivery.instruction import (
    BounceNoMailbox,
    Delete,
    Instruction,
    ToAddress,
    ToHost,
    ToMaildir,
)
from indimail.delivery.overquota import QuotaFacts, decide_lock
from indimail.delivery.plan import (
    Action,
    Defer,
    Deliver,
    Discard,
    Fail,
    Forward,
    Jump,
    Relay,
    join,
)
from indimail.delivery.quota import NO_QUOTA, UNLIMITED, Usage, parse_quota
from indimail.mail.errors import Mistake
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import NO_RULE, Rule

NOT_NESTED: Final = "a line that is not vdelivermail's again"


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account's row; `quota` is as pw_shell has it.

    Where it is locked, `usage` is what the mailbox holds, and `userquota` tells whose lock it is.
    """

    home: str
    active: bool = True
    locked: bool = False
    usage: Usage = Usage()
    userquota: int = 0
    quota: str = NO_QUOTA
    is_group: bool = False  # pw_gecos begins with "MailGroup "
    dotqmail: DotQmail | None = None
    dateformat: str = ""  # of Maildir/folder.dateformat
    holds_overquota: bool = False  # the hold file is there: defer instead of bounce


@dataclass(frozen=True, slots=True)
class VirtualFacts:
    """Everything the decision looks at.

    `maildir` is the Maildir that an instruction `ToMaildir` means, or why it cannot be used;
    `directory` the domain's, from where relative paths in its aliases lead.  `extended` is the absent
    user of an address for which `user` stands in (QMAIL_EXT), empty for any other.
    """

    user: str
    domain: str
    account: AccountFacts | None
    instruction: Instruction | Mistake
    rule: Rule = NO_RULE
    aliases: tuple[str, ...] = ()
    domain_known: bool = True
    maildir: str | Defer = ""
    directory: str = "/"
    extended: str = ""

    @property
    def address(self) -> str:
        """The recipient as texts name it."""
        return f"{self.user}@{self.domain}"


def virtual_user(ext: str) -> str:
    """Return the user that an extension means; empty where it means none.

    An empty extension is the postmaster, for whom no aliases are looked up.
    """
    return ext.strip('"').lower() if ext else "postmaster"


def base_user(user: str) -> str:
    """Return who stands in for an absent ``user-ext``: what is before the first dash, or nobody."""
    base, dash, _ = user.partition("-")
    return base if dash else ""


def decide_virtual(facts: VirtualFacts) -> tuple[Action, ...]:
    """Say what becomes of the mail.  Pure, and the same at RCPT and at delivery."""
    if not facts.user:
        text = "vdelivermail: invalid user []"
        return (Fail(text, "5.1.3", Foreseen.ABSENT, facts.rule),)
    if not facts.domain_known:
        return (Defer(f"vdelivermail: No such domain {facts.domain}", facts.rule),)
    if facts.account is None:
        return _expanded(facts) or (_absent(facts),)
    if not facts.account.active:
        return (_inactive(facts),)
    return _existing(facts, facts.account)


def _existing(facts: VirtualFacts, account: AccountFacts) -> tuple[Action, ...]:
    """Locked, aliases, the user's .qmail, group, mailbox: in this order (5.3)."""
    if account.locked and (stop := _locked(facts, account)) is not None:
        return (stop,)
    if expanded := _expanded(facts):
        return expanded
    if account.dotqmail is not None:
        own = _own_lines(facts, account.dotqmail)
        if own is not None:
            return own
    if account.is_group:
        return (Discard("Mail delivery to group is avoided", facts.rule),)
    absent = f"no account {facts.extended}@{facts.domain}"
    text = f"{absent} - delivering to {facts.address} (QMAIL_EXT)" if facts.extended else ""
    return (
        Deliver(
            f"{account.home}/Maildir", facts.rule, facts.address, text,
            limit=account.quota, dateformat=account.dateformat,
        ),
    )  # fmt: skip


def _locked(facts: VirtualFacts, account: AccountFacts) -> Fail | Defer | None:
    """Say why a locked account takes nothing; None where its lock is lifted."""
    asked = QuotaFacts(
        facts.address, f"{account.home}/Maildir", 0, account.usage, account.quota,
        parse_quota(account.quota) or UNLIMITED, account.holds_overquota,
        rule=Rule("indimail", key=facts.address),
    )  # fmt: skip
    verdict = decide_lock(asked, account.userquota)
    return None if verdict.plan is None else replace(verdict.plan, command=verdict.command)


def _expanded(facts: VirtualFacts) -> tuple[Action, ...]:
    """Obey the alias rows of the recipient, if it has any: each reads like a line of a .qmail."""
    home = facts.account.home if facts.account is not None else facts.directory
    rule = Rule("valias", key=facts.address)
    rows = "\n".join(facts.aliases)
    file = DotQmail(str(rule), rows, home, is_virtual=True)
    return _lines(facts, file, are_rows=True) or ()


def _own_lines(facts: VirtualFacts, dotqmail: DotQmail) -> tuple[Action, ...] | None:
    """Obey the user's own .qmail; None where it leaves the mailbox.  An empty one discards."""
    if not dotqmail.text.strip():
        return (Discard("discarded by an empty .qmail", Rule(dotqmail.file)),)
    return _lines(facts, replace(dotqmail, is_virtual=True))


def _lines(
    facts: VirtualFacts, dotqmail: DotQmail, *, are_rows: bool = False
) -> tuple[Action, ...] | None:
    """Return the steps of lines that take the mailbox's place, None where they leave it."""
    if not dotqmail.text:
        return None
    steps = read_dotqmail(dotqmail)
    if isinstance(steps, Defer):
        return (steps,)
    joined: list[tuple[int, Jump | tuple[Action, ...]]] = []
    for number, step in steps:
        match step:
            case VDeliver(rule=at):
                return (Defer(str(Mistake(at.file, at.line, "vdelivermail", NOT_NESTED)), at),)
            case Forward(address) if address.lower() == facts.address:
                continue
            case Jump(run, to):
                joined.append((number, Jump(replace(run, block=True), to)))
            case Deliver():
                joined.append((number, (replace(step, limit="", is_row=are_rows),)))
            case action:
                joined.append((number, (action,)))
    return join(joined) or None


def _absent(facts: VirtualFacts) -> Action:
    """Status 1 of 5.4: no such user."""
    who = f"no account {facts.address}"
    match facts.instruction:
        case Delete():
            return Discard(f"{who}, discarded (delete)", facts.rule)
        case BounceNoMailbox():
            text = f"{who} here by that name. indimail (#5.1.5)"
            return Fail(
                text, "5.1.5", Foreseen.ABSENT, facts.rule, instruction=str(facts.instruction)
            )
        case other:
            return _elsewhere(facts, other, f"{who} - delivering to {other}. indimail (#5.1.6)")


def _inactive(facts: VirtualFacts) -> Action:
    """Status 0 of 5.4: the account is there, but switched off."""
    who = f"account {facts.address} is inactive"
    match facts.instruction:
        case Delete():
            return Discard(f"{who}, discarded (delete)", facts.rule)
        case BounceNoMailbox():
            text = f"{who}. indimail(#5.1.3)"
            return Fail(
                text, "5.1.3", Foreseen.INACTIVE, facts.rule, instruction=str(facts.instruction)
            )
        case ToHost() as host:  # never tried for an inactive user
            text = f"{who} delivering to {host}. indimail(#5.1.7)"
            return Fail(text, "5.1.7", Foreseen.INACTIVE, facts.rule, instruction=str(host))
        case other:
            return _elsewhere(facts, other, f"{who} delivering to {other}. indimail(#5.1.7)")


def _elsewhere(facts: VirtualFacts, where: Instruction | Mistake, text: str) -> Action:
    """A Maildir, an address or a host take the mail; what is no instruction keeps it waiting."""
    match where:
        case ToMaildir():
            if isinstance(facts.maildir, Defer):
                return facts.maildir
            return Deliver(facts.maildir, facts.rule, text=text, limit="")
        case ToAddress(address):
            return Forward(address, facts.rule, text)
        case ToHost() as host:
            return Relay(facts.address, str(host), facts.rule, text)
        case mistake:
            found = mistake.found if isinstance(mistake, Mistake) else str(mistake)
            invalid = f"Invalid SMTPROUTE Specification [{found}]. indimail (#5.1.8)"
            return Defer(f"{invalid} {mistake}", facts.rule)
