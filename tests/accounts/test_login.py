"""A login with a password, and the hash that is made anew at it."""

import asyncio
from dataclasses import replace

import pytest

from indimail.accounts import login
from indimail.accounts.limits import Bounds, Ended
from indimail.accounts.login import Storing, open_account
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.passwords import Checked, Method, check, hash_password, verify
from indimail.accounts.port import Account, Flag
from indimail.accounts.scram import Mechanism, make_scram, parse_scram
from indimail.app.aside import Aside
from indimail.mail.secret import Secret

# mkpasswd -m md5crypt "correct horse", and -m descrypt
MD5 = Secret("$1$p9NDu4AJ$1rokMajLTzZ8TPcxLSf6F0")
DES = Secret("TiSWzsYqpb.u2")
NOTHING = Secret("")
PASSWORD = b"correct horse"
STORING = Storing(Method.SHA512, Mechanism.SHA256)


def with_alice(password: Secret = MD5, scram: Secret = NOTHING) -> tuple[MemoryAccounts, Account]:
    accounts = MemoryAccounts()
    alice = Account("alice", "example.com", password, scram=scram)
    accounts.add(alice)
    return accounts, alice


def test_an_old_hash_is_made_anew_with_keys_beside_it() -> None:
    accounts, alice = with_alice()
    opened = open_account(accounts, alice, PASSWORD, STORING)
    assert isinstance(opened, Account)
    assert opened == accounts.find("alice", "example.com")
    assert opened.password.reveal().startswith("$6$")
    assert verify(opened.password, PASSWORD)
    assert parse_scram(opened.scram).keys is not None
    assert parse_scram(opened.scram).clear is None
    # Once: the next login finds nothing to do.
    assert open_account(accounts, opened, PASSWORD, STORING) is opened


@pytest.mark.parametrize("given", [b"Correct horse", b"", b"correct horse\0", b"p" * 600])
def test_a_wrong_password_opens_and_changes_nothing(given: bytes) -> None:
    accounts, alice = with_alice()
    assert open_account(accounts, alice, given, STORING) is None
    assert open_account(accounts, None, given, STORING) is None
    assert accounts.find("alice", "example.com") is alice


def test_nobody_is_checked_as_everybody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What that costs: test_passwords.py."""
    asked: list[tuple[Secret | None, bytes, Method]] = []

    def noted(stored: Secret | None, given: bytes, method: Method) -> Checked:
        asked.append((stored, given, method))
        return check(stored, given, method)

    monkeypatch.setattr(login, "check", noted)
    accounts, alice = with_alice()
    for account in (alice, None):
        assert open_account(accounts, account, b"wrong", STORING) is None
    assert asked == [(MD5, b"wrong", Method.SHA512), (None, b"wrong", Method.SHA512)]


def test_where_no_keys_are_wanted_there_are_none() -> None:
    accounts, alice = with_alice()
    opened = open_account(accounts, alice, PASSWORD, Storing(Method.SHA512, None))
    assert isinstance(opened, Account)
    assert opened.scram == Secret("")


@pytest.mark.parametrize("password", [MD5, Secret(f"{{CRAM}}{PASSWORD.decode()},{MD5.reveal()}")])
def test_what_a_cram_client_is_verified_by_stays(password: Secret) -> None:
    """Also where one column held both."""
    clear = make_scram(PASSWORD.decode(), None, clear=True)
    assert clear is not None
    scram = clear if password == MD5 else Secret("")
    accounts, alice = with_alice(password, scram)
    opened = open_account(accounts, alice, PASSWORD, STORING)
    assert isinstance(opened, Account)
    assert (opened.scram, opened.password.reveal()[:3]) == (clear, "$6$")


def test_a_password_that_is_no_utf_8_is_hashed_anew_by_its_octets() -> None:
    accounts, alice = with_alice(hash_password("caf\udce9", Method.MD5))
    opened = open_account(accounts, alice, b"caf\xe9", STORING)
    assert isinstance(opened, Account)
    assert verify(opened.password, b"caf\xe9")
    assert opened.scram == Secret("")


def test_what_des_did_not_read_does_not_shut_out_its_owner() -> None:
    """A slip behind the eighth character opens as ever, and does not become the password."""
    accounts, alice = with_alice(DES)
    assert open_account(accounts, alice, b"correct hrose", STORING) is alice
    assert accounts.find("alice", "example.com") is alice


def test_a_password_that_is_set_meanwhile_stays() -> None:
    accounts, alice = with_alice()
    accounts.set_password("alice", "example.com", Secret("newer"), Secret(""))
    assert open_account(accounts, alice, PASSWORD, STORING) is alice
    found = accounts.find("alice", "example.com")
    assert found == replace(alice, password=Secret("newer"))


def test_a_database_that_cannot_be_written_keeps_nobody_out() -> None:
    accounts, alice = with_alice()
    accounts.fail = True
    assert open_account(accounts, alice, PASSWORD, STORING) is alice
    assert open_account(accounts, alice, b"wrong", STORING) is None


def test_what_is_over_is_told_to_who_knows_the_password() -> None:
    accounts, alice = with_alice()
    bounds = Bounds(Ended.DOMAIN)
    assert open_account(accounts, alice, b"wrong", STORING, bounds) is None
    assert open_account(accounts, alice, PASSWORD, STORING, bounds) is Ended.DOMAIN
    assert accounts.find("alice", "example.com") is alice  # nothing is made anew for it


def test_what_opens_has_the_flags_of_its_limits_and_they_are_not_stored() -> None:
    accounts, alice = with_alice()
    opened = open_account(accounts, alice, PASSWORD, STORING, Bounds(flags=Flag.NO_IMAP))
    stored = accounts.find("alice", "example.com")
    assert stored is not None
    assert opened == replace(stored, flags=Flag.NO_IMAP)
    assert stored.flags == Flag(0)


def test_hashing_beside_the_loop_lets_it_turn() -> None:
    """The loop answers others between the question and the answer."""
    accounts, alice = with_alice()

    async def turn_until_answered() -> tuple[object, int]:
        aside, turns = Aside(asyncio.get_running_loop(), threads=1), 0
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        aside(lambda: open_account(accounts, alice, PASSWORD, STORING), answer.set_result)
        while not answer.done():
            await asyncio.sleep(0)
            turns += 1
        aside.close()
        return answer.result(), turns

    opened, turns = asyncio.run(turn_until_answered())
    assert opened == accounts.find("alice", "example.com")
    assert turns > 1
