import hashlib
import hmac
from base64 import b64decode
from dataclasses import dataclass
from hashlib import pbkdf2_hmac

import pytest
from scramp import ScramClient

from indimail.mail.secret import Secret
from indimail.wire import sasl_client
from indimail.wire.sasl_server import (
    CLEAR_TEXT,
    MECHANISMS,
    Challenge,
    CramAnswer,
    KeysWanted,
    Malformed,
    Password,
    ScramProof,
    Setting,
    Token,
    start,
)

NONCE = "1896.697170952"
SETTING = Setting(NONCE, "postoffice.reston.mci.net")
BINDINGS = {"tls-unique": b"unique", "tls-server-end-point": b"end point"}
SCRAM = ["SCRAM-SHA-1", "SCRAM-SHA-256"]


@dataclass
class Keys:
    """What the server of a password has."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


def keys_of(
    password: str, name: str, salt: bytes = b"0123456789abcdef", rounds: int = 4096
) -> Keys:
    """Return the keys as RFC 5802 3 has them."""
    digest = "sha256" if "256" in name else "sha1"
    salted = pbkdf2_hmac(digest, password.encode(), salt, rounds)
    stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
    return Keys(rounds, salt, stored, hmac.digest(salted, b"Server Key", digest))


# -- one message or two ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "step"),
    [
        (b"\0tim\0tanstaaftanstaaf", Password("tim", Secret("tanstaaftanstaaf"))),  # RFC 4616 4
        (b"Ursel\0Kurt\0xipj3plmq", Password("Kurt", Secret("xipj3plmq"))),
        ("\0tim\0\u00fc \u20ac".encode(), Password("tim", Secret("\u00fc \u20ac"))),
        (b"\0tim\0\xff", Password("tim", Secret("\udcff"))),  # a password is octets
        (b"", Malformed("PLAIN has three parts")),
        (b"tim\0pw", Malformed("PLAIN has three parts")),
        (b"\0tim\0a\0b", Malformed("PLAIN has three parts")),
        (b"\0\0pw", Malformed("a name and a password are expected")),
        (b"\0tim\0", Malformed("a name and a password are expected")),
        (b"\0t\nm\0pw", Malformed("a name and a password are expected")),
        (b"\0\xff\0pw", Malformed("a name and a password are expected")),
        (b"\0" + b"a" * 321 + b"\0pw", Malformed("a name and a password are expected")),
    ],
)  # fmt: skip
def test_plain(said, step):
    assert start("PLAIN", SETTING).receive(said) == step


def test_plain_without_an_initial_response_asks_for_nothing():
    plain = start("PLAIN", SETTING)
    assert plain.receive(None) == Challenge(b"")
    assert plain.receive(b"\0tim\0pw") == Password("tim", Secret("pw"))


def test_login_asks_twice_or_with_an_initial_response_once():
    login = start("LOGIN", SETTING)
    assert login.receive(None) == Challenge(b"Username:")
    assert login.receive("t\u00e9".encode()) == Challenge(b"Password:")
    assert login.receive(b"pw") == Password("t\u00e9", Secret("pw"))
    login = start("LOGIN", SETTING)
    assert login.receive(b"tim") == Challenge(b"Password:")
    assert login.receive(b"pw") == Password("tim", Secret("pw"))


@pytest.mark.parametrize(("user", "password"), [(b"", b"pw"), (b"tim", b""), (b"t\0m", b"pw")])
def test_login_without_a_name_or_a_password_is_malformed(user, password):
    login = start("LOGIN", SETTING)
    login.receive(user)
    assert isinstance(login.receive(password), Malformed)


# -- CRAM ------------------------------------------------------------------------------------------

CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"


def test_cram_md5_is_that_of_the_rfc():
    cram = start("CRAM-MD5", SETTING)
    assert cram.receive(None) == Challenge(CHALLENGE)
    assert cram.receive(b"tim b913a602c7eda7a495b4e6e7334d3890") == CramAnswer(
        "tim", CHALLENGE, "b913a602c7eda7a495b4e6e7334d3890", "md5"
    )


@pytest.mark.parametrize("digest", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
def test_cram_is_a_keyed_hash_of_its_name(digest):
    cram = start(f"CRAM-{digest.upper()}", SETTING)
    challenge = cram.receive(None).data
    keyed = hmac.digest(b"pw", challenge, digest).hex()
    assert cram.receive(f"a b {keyed.upper()}".encode()) == CramAnswer(
        "a b", challenge, keyed, digest
    )


@pytest.mark.parametrize(
    "said", [b"", b"tim", b"tim ", b" abc", b"tim xyz", b"\xff abc", b"tim \xff", b"t\0m abc"]
)
def test_what_is_no_answer_to_cram_is_malformed(said):
    cram = start("CRAM-MD5", SETTING)
    cram.receive(None)
    assert isinstance(cram.receive(said), Malformed)


def test_cram_begins_with_the_server():
    assert isinstance(start("CRAM-MD5", SETTING).receive(b"tim abc"), Malformed)


# -- SCRAM -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nonce", "salt", "said", "challenges"),
    [
        # RFC 5802 5
        ("SCRAM-SHA-1", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
         [b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
          b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="],
         [b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
          b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="]),
        # RFC 7677 3
        ("SCRAM-SHA-256", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
         [b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
          b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
          b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="],
         [b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
          b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="]),
    ],
)  # fmt: skip
def test_scram_is_that_of_the_rfc(name, nonce, salt, said, challenges):
    scram = start(name, Setting(nonce, "mx"))
    assert scram.receive(None) == Challenge(b"")
    assert scram.receive(said[0]) == KeysWanted("user", "sha256" if "256" in name else "sha1")
    assert scram.keys_found(keys_of("pencil", name, b64decode(salt))) == Challenge(challenges[0])
    assert scram.receive(said[1]) == Challenge(challenges[1])
    assert scram.receive(b"") == ScramProof("user", is_right=True)


def through(name, client, password="pw", bindings=BINDINGS, salt=b"0123456789abcdef"):
    """Return where an exchange with a client of scramp ends."""
    server = start(name, Setting(NONCE, "mx", bindings))
    step = server.receive(client.get_client_first().encode())
    if not isinstance(step, KeysWanted):
        return step
    client.set_server_first(server.keys_found(keys_of(password, name, salt)).data.decode())
    step = server.receive(client.get_client_final().encode())
    if not isinstance(step, Challenge):
        return step
    client.set_server_final(step.data.decode())
    return server.receive(b"")


@pytest.mark.parametrize("name", SCRAM)
@pytest.mark.parametrize("binding", [None, *BINDINGS.items()])
def test_scram_and_plus_prove_both_sides_to_each_other(name, binding):
    client = ScramClient([f"{name}-PLUS" if binding else name], "a,b=c", "pw", binding)
    if binding is None:  # it knows of no channel
        client.gs2_header = type(client.gs2_header)("n", None)
    ended = through(f"{name}-PLUS" if binding else name, client)
    assert ended == ScramProof("a,b=c", is_right=True)


@pytest.mark.parametrize("name", SCRAM)
def test_scram_with_another_password_is_no_proof(name):
    assert through(name, ScramClient([name], "tim", "pw"), "other") == ScramProof(
        "tim", is_right=False
    )


def test_a_client_that_was_not_shown_the_plus_is_told_so():
    """Its "y" says that it would bind: somebody between took -PLUS out of the offer."""
    client = ScramClient(["SCRAM-SHA-256"], "tim", "pw", ("tls-unique", b"unique"))
    assert client.get_client_first().startswith("y,,")
    client = ScramClient(["SCRAM-SHA-256"], "tim", "pw", ("tls-unique", b"unique"))
    ended = through("SCRAM-SHA-256", client)
    assert isinstance(ended, ScramProof)
    assert (ended.is_right, ended.bound) == (False, False)


def test_a_client_that_would_bind_is_taken_where_there_is_nothing_to_bind_to():
    client = ScramClient(["SCRAM-SHA-256"], "tim", "pw", ("tls-unique", b"unique"))
    assert through("SCRAM-SHA-256", client, bindings={}) == ScramProof("tim", is_right=True)


@pytest.mark.parametrize(
    "binding", [("tls-unique", b"another channel"), ("tls-server-end-point", b"unique")]
)
def test_a_binding_to_another_channel_is_refused(binding):
    client = ScramClient(["SCRAM-SHA-256-PLUS"], "tim", "pw", binding)
    ended = through("SCRAM-SHA-256-PLUS", client)
    assert isinstance(ended, ScramProof)
    assert (ended.is_right, ended.bound) == (False, False)


@pytest.mark.parametrize(
    ("name", "first"),
    [("SCRAM-SHA-256-PLUS", b"n,,n=tim,r=x"), ("SCRAM-SHA-256-PLUS", b"y,,n=tim,r=x"),
     ("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=tim,r=x"), ("SCRAM-SHA-256-PLUS", b"p=\0,,n=t,r=x")],
)  # fmt: skip
def test_plus_without_a_binding_that_there_is_is_refused(name, first):
    ended = start(name, Setting(NONCE, "mx", BINDINGS)).receive(first)
    assert isinstance(ended, ScramProof)
    assert (ended.is_right, ended.bound) == (False, False)


@pytest.mark.parametrize(
    "first",
    [b"", b"x", b"\xff", b"n,,", b"n,,n=,r=x", b"n,,n=tim", b"n,a=other,n=tim,r=x", b"n,,n=a=b,r=x",
     b"n,,m=x,n=tim,r=x", b"p=tls-unique,,n=tim,r=x", b"n,,n=t\x07m,r=x", b"n,,n=tim,r=\xc3\xa9",
     b"n,,n=" + b"a" * 321 + b",r=x"],
)  # fmt: skip
def test_what_is_no_first_message_of_scram_is_malformed(first):
    assert isinstance(start("SCRAM-SHA-256", SETTING).receive(first), Malformed)


@pytest.mark.parametrize(
    "final", [b"", b"c=biws,r=other,p=YQ==", b"c=!,r=x1896.697170952,p=YQ==", b"\xff", b"c=biws"]
)
def test_what_is_no_final_message_of_scram_is_malformed(final):
    scram = start("SCRAM-SHA-256", Setting(NONCE, "mx"))
    scram.receive(b"n,,n=tim,r=x")
    scram.keys_found(keys_of("pw", "SCRAM-SHA-256"))
    step = scram.receive(final)
    assert isinstance(step, Malformed | ScramProof)
    assert step != ScramProof("tim", is_right=True)


def test_a_proof_of_another_length_is_a_wrong_one():
    scram = start("SCRAM-SHA-256", Setting(NONCE, "mx"))
    scram.receive(b"n,,n=tim,r=x")
    scram.keys_found(keys_of("pw", "SCRAM-SHA-256"))
    assert scram.receive(b"c=biws,r=x1896.697170952,p=YQ==") == ScramProof("tim", is_right=False)


# -- OAuth 2 ---------------------------------------------------------------------------------------

RFC7628 = (
    b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
    b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
)


@pytest.mark.parametrize(
    ("name", "said", "step"),
    [
        ("OAUTHBEARER", RFC7628,
         Token("user@example.com", Secret("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="))),
        ("OAUTHBEARER", b"n,a=a=2Cb=3Dc,\x01auth=bearer t\x01\x01", Token("a,b=c", Secret("t"))),
        ("XOAUTH2", b"user=ana@example.com\x01auth=Bearer ya29.x\x01\x01",
         Token("ana@example.com", Secret("ya29.x"))),
    ],
)  # fmt: skip
def test_a_bearer_token(name, said, step):
    exchange = start(name, SETTING)
    assert exchange.receive(None) == Challenge(b"")
    assert exchange.receive(said) == step
    challenge = exchange.refused()
    assert b'"schemes":"bearer"' in challenge.data


@pytest.mark.parametrize(
    "said",
    [b"", b"\x01", b"user=ana\x01\x01", b"auth=Bearer x\x01\x01", b"user=ana\x01auth=Basic x\x01\x01",
     b"user=ana\x01auth=Bearer \x01\x01", b"user=\xff\x01auth=Bearer x\x01\x01",
     b"user=ana\x01auth=Bearer \xff\x01\x01", b"n,,\x01auth=Bearer x\x01\x01",
     b"p=tls-unique,a=ana,\x01auth=Bearer x\x01\x01"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["XOAUTH2", "OAUTHBEARER"])
def test_what_is_no_bearer_token_is_malformed(name, said):
    assert isinstance(start(name, SETTING).receive(said), Malformed)


# -- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*sasl_client.MECHANISMS])
def test_our_own_client_is_understood(name):
    client = sasl_client.start(name, "tim", Secret("pw"), nonce="abc")
    server = start(name, SETTING)
    step = server.receive(client.first)
    for _ in range(5):
        if isinstance(step, Challenge):
            step = server.receive(client.answer(step.data))
        elif isinstance(step, KeysWanted):
            step = server.keys_found(keys_of("pw", name))
    assert client.done
    assert step.user == "tim"


def test_only_refused_tokens_have_a_last_word():
    having = {name for name in MECHANISMS if start(name, SETTING).refused() is not None}
    assert having == {"XOAUTH2", "OAUTHBEARER"}


def test_what_shows_a_password_is_known():
    assert {name for name in MECHANISMS if "CRAM" not in name} == CLEAR_TEXT


def test_no_step_shows_a_secret():
    shown = repr([start("PLAIN", SETTING).receive(b"\0tim\0hidden"),
                  start("XOAUTH2", SETTING).receive(b"user=a\x01auth=Bearer hidden\x01\x01")])  # fmt: skip
    assert "hidden" not in shown
