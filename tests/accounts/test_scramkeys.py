"""Keys for an exchange of SCRAM: whose they are cannot be told before its end."""

import pytest

from indimail.accounts.port import Account
from indimail.accounts.scram import ITERATIONS, Mechanism, make_scram, parse_scram
from indimail.accounts.scramkeys import keys_for
from indimail.mail.secret import Secret

SECRET = b"the server's"
NOTHING = Secret("")


def alice(scram: Secret | None, password: str = "$6$hash") -> Account:
    return Account("alice", "example.com", Secret(password), scram=scram or NOTHING)


def keys(account: Account | None, mechanism: Mechanism = Mechanism.SHA256, login: str = "alice"):
    return keys_for(account, mechanism, login, SECRET)


def test_who_has_keys_is_asked_with_them() -> None:
    stored = make_scram("pw", Mechanism.SHA256, iterations=4096)
    assert keys(alice(stored)) == parse_scram(stored).keys


def test_keys_may_stand_in_front_of_the_hash() -> None:
    stored = make_scram("pw", Mechanism.SHA256, iterations=4096)
    assert keys(alice(None, f"{stored.reveal()},$6$hash")) == parse_scram(stored).keys


@pytest.mark.parametrize("mechanism", list(Mechanism))
@pytest.mark.parametrize("stored", [
    make_scram("pw", None, clear=True), make_scram("pw", Mechanism.SHA1, clear=True, iterations=4096),
])  # fmt: skip
def test_who_has_the_clear_text_has_keys_of_every_mechanism(
    mechanism: Mechanism, stored: Secret
) -> None:
    found = keys(alice(stored), mechanism)
    has_keys = mechanism is Mechanism.SHA1 and parse_scram(stored).keys is not None
    iterations = 4096 if has_keys else ITERATIONS
    again = make_scram("pw", mechanism, salt=found.salt, iterations=iterations)
    assert found == parse_scram(again).keys
    assert keys(alice(stored), mechanism).salt == found.salt


@pytest.mark.parametrize(
    "account",
    [
        None,
        alice(None),
        alice(Secret("{SCRAM-SHA-256}4096,c2hvcnQ=,YQ==,YQ==")),  # a salt that is too short
        alice(Secret("{SCRAM-SHA-256}99,MDEyMzQ1Njc4OWFiY2RlZg==,YQ==,YQ==")),
        alice(make_scram("pw", Mechanism.SHA1, iterations=4096)),
    ],
)
def test_who_has_none_looks_as_everybody_does(account: Account | None) -> None:
    found = keys(account)
    assert found == keys(None)
    assert (found.iterations, len(found.salt), len(found.stored_key)) == (ITERATIONS, 16, 32)
    assert found.salt != keys(account, login="bob").salt
    assert keys_for(None, Mechanism.SHA256, "alice", b"another server's").salt != found.salt
    assert len({found.stored_key, found.server_key, found.salt}) == 3
    assert len(keys(account if account is None else alice(None), Mechanism.SHA1).stored_key) == 20
