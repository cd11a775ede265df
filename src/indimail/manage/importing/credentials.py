"""What is stored of a password that comes from elsewhere.

    decide(user, keep_clear=False, hashed=hash_here, report=report)
        -> (Secret("$1$..."), Secret(""))          # pw_passwd, scram

A hash is taken as it is, whatever its age: a login with the password makes it anew.  A password
that is stored as it is never is here: beside a hash it is left out, without one it is hashed;
`keep_clear` (-C) keeps it for CRAM, as `vadduser -C` does.

What is no password at all stays none: an empty field, a star, an x open nothing, and neither does
a text that is no hash, which IndiMail's `-e` stores and only CRAM could use.  A hash behind a star or
in a form that nothing here verifies is kept, and opens nothing.

Sources: spec/cluster-users.md 3.3, 3.4.  Not here: verifying (`accounts.passwords`).
"""

from collections.abc import Callable
from typing import Final

from indimail.accounts.passwords import is_hash
from indimail.accounts.port import PASSWORD_LENGTH
from indimail.accounts.scram import SCRAM_LENGTH, Scram, make_scram, parse_scram, split_stored
from indimail.mail.secret import Secret
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundUser

LOCKED: Final = "*"
_UNKNOWN_FORM: Final = "a form of hash that nothing here verifies: vpasswd gives it a new one"


def decide(
    user: FoundUser, *, keep_clear: bool, hashed: Callable[[str], Secret], report: Report
) -> tuple[Secret, Secret]:
    """Return what pw_passwd and scram are to hold."""
    stored, scram = split_stored(user.password, user.scram)
    scram = _scram(user, scram, report)
    clear = user.clear.reveal()
    if is_hash(stored) and len(stored.reveal()) <= PASSWORD_LENGTH:
        return stored, _with_clear(scram, clear, keep_clear)
    if clear:
        report.note(State.CHANGED, user.where, user.name, "hash of the password stored as it is")
        return hashed(clear), _with_clear(scram, clear, keep_clear)
    return _without_hash(user, stored.reveal(), scram, keep_clear, report)


def _without_hash(
    user: FoundUser, text: str, scram: Secret, keep_clear: bool, report: Report
) -> tuple[Secret, Secret]:
    """Return what is stored of a text that is no hash."""
    if not text:
        if not scram:
            report.note(State.MEND, user.where, user.name, "has no password: vpasswd gives it one")
        return Secret(LOCKED), scram
    if set(text) == {"x"}:
        return Secret(LOCKED), scram
    if text[0] in "$*!{":
        if text[0] in "${":
            report.note(State.MEND, user.where, user.name, _UNKNOWN_FORM)
        fits = len(text) <= PASSWORD_LENGTH and text.isprintable()
        return Secret(text if fits else LOCKED), scram
    if keep_clear:
        return Secret(LOCKED), _with_clear(scram, text, keep_clear)
    why = "its password is no hash, and is not kept (-C: for CRAM): vpasswd gives it a new one"
    report.note(State.MEND, user.where, user.name, why)
    return Secret(LOCKED), scram


def _scram(user: FoundUser, scram: Secret, report: Report) -> Secret:
    """Return the column scram, if it is one."""
    if scram and (parse_scram(scram) == Scram() or len(scram.reveal()) > SCRAM_LENGTH):
        report.note(State.LEFT, user.where, f"{user.name}: scram", "not understood")
        return Secret("")
    return scram


def _with_clear(scram: Secret, clear: str, keep_clear: bool) -> Secret:
    """Return the column scram, with the clear text where it is to be kept and nothing else is."""
    if scram or not clear or not keep_clear:
        return scram
    return make_scram(clear, None, clear=True) or scram
