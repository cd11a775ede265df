"""The column scram: vectors of the RFCs and of Dovecot, and SCRAM itself, spoken with scramp."""

import subprocess
from base64 import b64decode

import pytest
from scramp import ScramClient, ScramException, ScramMechanism

from indimail.accounts.scram import (
    MECHANISMS,
    Mechanism,
    Scram,
    ScramKeys,
    answers,
    make_scram,
    parse_scram,
    split_stored,
)
from indimail.mail.secret import Secret
from support import needs

# RFC 5802 5 and RFC 7677 3: salt, both nonces, and the server's signature.
RFC = [
    (
        "SCRAM-SHA-1",
        "QSXCR+Q6sek8bf92",
        "fyko+d2lbbFgONRv9qkxdawL",
        "3rfcNHYJY1ZVvWVs7j",
        "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    (
        "SCRAM-SHA-256",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        "rOprNGfwEbeRWgbNEkqO",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
]

# doveadm pw -s SCHEME -p "correct horse", of Dovecot 2.3.19.
DOVECOT = [
    (
        "{SCRAM-SHA-1}4096,xZg8bcdCejy4sPFCK5tr/w==,UOKXqZ5Kds3sRLzSjIvByD6fLlc=,"
        "LhYXWFgA2YEOWIEVWloI/Tmsid8=",
        Mechanism.SHA1,
    ),
    (
        "{SCRAM-SHA-256}4096,r1BG7uyGE7m5PFzg8PCFAQ==,"
        "h5rMqsqdJbYiZ2vQVmFLDnmjkIa/R6bfeIOFjZJ7qPQ=,/XXFLf6LHUwf5pMxlrMA0vTt/lluP45J8PyIpLvOQD0=",
        Mechanism.SHA256,
    ),
]


def keys_of(column: Secret | None) -> ScramKeys:
    assert column is not None
    keys = parse_scram(column).keys
    assert keys is not None
    return keys


def log_in(mechanism: str, keys: ScramKeys, password: str, **nonces: str) -> str:
    """Speak SCRAM as both ends; the server's last words."""
    stored = (keys.salt, keys.stored_key, keys.server_key, keys.iterations)
    client = ScramClient([mechanism], "user", password, c_nonce=nonces.get("client"))
    server = ScramMechanism(mechanism).make_server(
        lambda _user: stored, s_nonce=nonces.get("server")
    )
    server.set_client_first(client.get_client_first())
    client.set_server_first(server.get_server_first())
    server.set_client_final(client.get_client_final())
    final = str(server.get_server_final())
    client.set_server_final(final)
    return final


@pytest.mark.parametrize(("name", "salt", "client", "server", "signature"), RFC)
def test_the_conversation_of_the_rfc(
    name: str, salt: str, client: str, server: str, signature: str
) -> None:
    column = make_scram("pencil", MECHANISMS[name], salt=b64decode(salt), iterations=4096)
    assert log_in(name, keys_of(column), "pencil", client=client, server=server) == f"v={signature}"


@pytest.mark.parametrize(("stored", "mechanism"), DOVECOT)
def test_keys_are_those_that_dovecot_makes(stored: str, mechanism: Mechanism) -> None:
    keys = keys_of(Secret(stored))
    assert (keys.mechanism, keys.iterations) == (mechanism, 4096)
    made = make_scram("correct horse", mechanism, salt=keys.salt, iterations=4096)
    assert made == Secret(stored)


@pytest.mark.interop
@pytest.mark.parametrize("name", MECHANISMS)
def test_keys_are_verified_by_dovecot(name: str) -> None:
    made = make_scram("correct horse", MECHANISMS[name])
    assert made is not None
    for password, code in (("correct horse", 0), ("Correct horse", 75)):
        command = [needs("doveadm"), "pw", "-t", made.reveal(), "-p", password]
        assert subprocess.run(command, capture_output=True, check=False).returncode == code


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("clear", [False, True])
def test_new_keys_log_in_and_another_password_does_not(name: str, clear: bool) -> None:
    keys = keys_of(make_scram("gänse", MECHANISMS[name], clear=clear))
    assert keys.iterations == 65_536
    assert log_in(name, keys, "gänse").startswith("v=")
    with pytest.raises(ScramException):
        log_in(name, keys, "gans")
    assert keys != keys_of(make_scram("gänse", MECHANISMS[name], clear=clear))


@pytest.mark.parametrize("secret", ["secret", "", "a,b:c,d", "{CRAM}", "käse"])
def test_a_clear_text_comes_back_from_both_of_its_forms(secret: str) -> None:
    assert make_scram(secret, None, clear=True) == Secret(f"{{CRAM}}{secret}")
    for mechanism in (None, *Mechanism):
        column = make_scram(secret, mechanism, clear=True)
        assert column is not None
        assert parse_scram(column).clear == Secret(secret)
        assert (parse_scram(column).keys is None) is (mechanism is None)


def test_the_form_with_keys_and_clear_text_is_indimails() -> None:
    """`{SCRAM-SHA-256}iter,b64salt,b64StoredKey,b64ServerKey:hexSaltedPassword:secret`."""
    stored, mechanism = DOVECOT[1]
    salt = keys_of(Secret(stored)).salt
    made = make_scram("correct horse", mechanism, clear=True, salt=salt, iterations=4096)
    assert made is not None
    assert made.reveal().startswith(f"{stored}:")
    assert made.reveal().removeprefix(f"{stored}:")[64:] == ":correct horse"


@pytest.mark.parametrize("text", [
    "", "secret", "{SCRAM-SHA-256}", "{SCRAM-SHA-256}4096,AAAA,AAAA", "{SCRAM-MD5}4096,A,A,A",
    "{SCRAM-SHA-256}many,AAAA,AAAA,AAAA", "{SCRAM-SHA-256}4096,?AAAA,AAAA,AAAA",
    "{SCRAM-SHA-256}4096,é,AAAA,AAAA",
])  # fmt: skip
def test_what_is_no_form_of_the_column_holds_nothing(text: str) -> None:
    assert parse_scram(Secret(text)) == Scram()


@pytest.mark.parametrize(("password", "mechanism", "clear"), [
    ("na\udcefve", Mechanism.SHA256, False),  # no UTF-8
    ("na\udcefve", None, True),
    ("bell\x07", Mechanism.SHA256, False),  # nobody types it (RFC 4013)
    ("p" * 250, None, True),  # longer than the column
    ("p" * 56, Mechanism.SHA256, True),
])  # fmt: skip
def test_a_password_that_the_column_cannot_hold(
    password: str, mechanism: Mechanism | None, clear: bool
) -> None:
    assert make_scram(password, mechanism, clear=clear) is None


def test_without_keys_and_clear_text_the_column_is_empty() -> None:
    assert make_scram("secret", None) == Secret("")


@pytest.mark.parametrize(("password", "scram", "hashed", "column"), [
    ("$5$a$b", "", "$5$a$b", ""),
    ("$5$a$b", "{CRAM}secret", "$5$a$b", "{CRAM}secret"),
    ("{CRAM}sec,ret,$5$a$b", "", "$5$a$b", "{CRAM}sec,ret"),
    (f"{DOVECOT[1][0]},$5$a$b", "", "$5$a$b", DOVECOT[1][0]),
    ("$argon2id$v=19$m=19456,t=2,p=1$a$b", "", "$argon2id$v=19$m=19456,t=2,p=1$a$b", ""),
    ("secret", "", "secret", ""),
])  # fmt: skip
def test_the_hash_stands_behind_the_last_comma_or_in_its_own_column(
    password: str, scram: str, hashed: str, column: str
) -> None:
    assert split_stored(Secret(password), Secret(scram)) == (Secret(hashed), Secret(column))


@pytest.mark.parametrize(("digest", "response", "right"), [
    # RFC 2195 2.
    ("md5", "b913a602c7eda7a495b4e6e7334d3890", True),
    ("md5", "b913a602c7eda7a495b4e6e7334d3891", False),
    ("md5", "", False),
    ("md5", "\udcff", False),
    # printf %s CHALLENGE | openssl dgst -DIGEST -hmac tanstaaftanstaaf
    ("sha1", "8cb10ed0a8b764ab0e05125dd6eaa295f19b5943", True),
    ("sha256", "f0011bbf7c1618ef90e3f18148e5eda4e15631c9c38ebef062bf7143ff72e944", True),
])  # fmt: skip
def test_the_answer_of_a_cram_client(digest: str, response: str, right: bool) -> None:
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert answers(Secret("tanstaaftanstaaf"), challenge, response, digest) is right
