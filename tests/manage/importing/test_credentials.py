"""What is stored of a password that comes from elsewhere."""

from dataclasses import replace

import pytest

from importing_trees import HASHES, MD5, PASSWORD
from indimail.accounts.login import Storing, open_account
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.passwords import Method, is_hash, verify
from indimail.accounts.port import Account
from indimail.accounts.scram import Mechanism, make_scram
from indimail.mail.secret import Secret
from indimail.manage.importing.credentials import decide
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundUser

NONE = Secret("")
USER = FoundUser("vpasswd:1", "alice", NONE)
KEYS = make_scram(PASSWORD, Mechanism.SHA256, iterations=4096, salt=b"x" * 16) or NONE


def decided(
    password: str = "", clear: str = "", scram: Secret = NONE, *, keep: bool = False
) -> tuple[str, str, list[State]]:
    report = Report()
    user = replace(USER, password=Secret(password), clear=Secret(clear), scram=scram)
    found = decide(user, keep_clear=keep, hashed=lambda text: Secret(f"#{text}"), report=report)
    return found[0].reveal(), found[1].reveal(), [note.state for note in report.notes]


@pytest.mark.parametrize("kind", HASHES)
def test_a_hash_of_any_age_stays_and_opens_the_account(kind: str) -> None:
    stored, scram, notes = decided(HASHES[kind])
    assert (stored, scram, notes) == (HASHES[kind], "", [])
    account = Account("alice", "example.com", Secret(stored))
    accounts = MemoryAccounts()
    accounts.add(account)
    storing = Storing(Method.SHA256, None)
    assert open_account(accounts, account, b"wrong", storing) is None
    assert open_account(accounts, account, PASSWORD.encode(), storing) is not None


@pytest.mark.parametrize(
    "stored", ["", "*", "!", "x", "xxxxxxxx", "!!", "*LK*", f"!{MD5}", f"*{MD5}"]
)
@pytest.mark.parametrize("keep", [True, False])
def test_what_opened_nothing_opens_nothing(stored: str, keep: bool) -> None:
    password, scram, _ = decided(stored, keep=keep)
    assert scram == ""
    assert not is_hash(Secret(password))
    for given in (b"", stored.encode(), password.encode(), PASSWORD.encode()):
        assert not verify(Secret(password), given)


def test_who_has_no_password_is_told() -> None:
    assert decided("") == ("*", "", [State.MEND])


@pytest.mark.parametrize(
    "stored", ["secret", "{SSHA}abc=", "$3$$8846f7eaee8fb117ad06bdd830b7586c", MD5[:30], f"{MD5}x"]
)
def test_a_text_that_is_no_hash_opens_nothing_and_is_told(stored: str) -> None:
    password, scram, notes = decided(stored)
    assert (scram, notes) == ("", [State.MEND])
    assert not verify(Secret(password), stored.encode())
    assert "secret" not in password


def test_a_clear_text_beside_a_hash_is_left_out_and_kept_for_cram_if_wanted() -> None:
    assert decided(MD5, clear="geheim") == (MD5, "", [])
    assert decided(MD5, clear="geheim", keep=True) == (MD5, "{CRAM}geheim", [])


def test_a_clear_text_alone_is_hashed() -> None:
    assert decided("", clear="geheim") == ("#geheim", "", [State.CHANGED])
    assert decided("*", clear="geheim", keep=True) == ("#geheim", "{CRAM}geheim", [State.CHANGED])


def test_a_clear_text_in_the_place_of_the_hash_is_kept_for_cram_alone_if_wanted() -> None:
    assert decided("geheim", keep=True) == ("*", "{CRAM}geheim", [])


def test_keys_of_scram_come_along_also_in_front_of_the_hash() -> None:
    keys = KEYS.reveal()
    assert decided(MD5, scram=KEYS) == (MD5, keys, [])
    assert decided(f"{keys},{MD5}") == (MD5, keys, [])
    assert decided(f"{{CRAM}}se,cret,{MD5}") == (MD5, "{CRAM}se,cret", [])


@pytest.mark.parametrize("scram", ["rubbish", "{SCRAM-SHA-256}4096,x", "{CRAM}" + "x" * 250])
def test_a_column_that_is_no_scram_is_left(scram: str) -> None:
    assert decided(MD5, scram=Secret(scram)) == (MD5, "", [State.LEFT])
