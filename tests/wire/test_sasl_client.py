import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramMechanism

from indimail.mail.secret import Secret
from indimail.wire.sasl_client import CLEAR_TEXT, MECHANISMS, SaslFailed, start

PASSWORD = Secret("tanstaaftanstaaf")
SCRAM = ["SCRAM-SHA-1", "SCRAM-SHA-256"]


def begun(mechanism, user="tim", password=PASSWORD, nonce="fyko+d2lbbFgONRv9qkxdawL"):
    return start(mechanism, user, password, nonce)


def server(mechanism, password="tanstaaftanstaaf", iterations=4096):
    scram = ScramMechanism(mechanism)
    salt, stored_key, server_key, count = scram.make_auth_info(password, iterations)
    return scram.make_server(lambda _: (salt, stored_key, server_key, count))


def test_plain_says_all_at_once():
    plain = begun("PLAIN")
    assert (plain.first, plain.done) == (b"\0tim\0tanstaaftanstaaf", True)
    with pytest.raises(SaslFailed):
        plain.answer(b"")


def test_login_answers_two_prompts_whatever_they_are():
    login = begun("LOGIN", "té")
    assert login.first is None
    assert login.answer(b"Username:") == "té".encode()
    assert not login.done
    assert login.answer(b"\xff") == b"tanstaaftanstaaf"
    assert login.done
    with pytest.raises(SaslFailed):
        login.answer(b"Password:")


def test_cram_md5_is_that_of_the_rfc():
    cram = begun("CRAM-MD5")  # the example of RFC 2195 section 2
    assert (cram.first, cram.done) == (None, False)
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert cram.answer(challenge) == b"tim b913a602c7eda7a495b4e6e7334d3890"
    assert cram.done
    with pytest.raises(SaslFailed):
        cram.answer(challenge)


def test_cram_md5_signs_no_empty_challenge():
    with pytest.raises(SaslFailed):
        begun("CRAM-MD5").answer(b"")


@pytest.mark.parametrize("mechanism", SCRAM)
def test_scram_proves_itself_to_a_server_and_the_server_to_us(mechanism):
    scram, peer = begun(mechanism), server(mechanism)
    assert scram.is_slow
    peer.set_client_first(scram.first.decode())
    peer.set_client_final(scram.answer(peer.get_server_first().encode()).decode())
    assert (scram.done, scram.is_slow) == (False, False)
    assert scram.answer(peer.get_server_final().encode()) == b""
    assert scram.done
    with pytest.raises(SaslFailed):
        scram.answer(b"v=x")


def test_scram_sha_1_is_that_of_the_rfc():
    scram = begun("SCRAM-SHA-1", "user", Secret("pencil"))  # RFC 5802 section 5
    assert scram.first == b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    nonce = b"fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
    assert scram.answer(b"r=" + nonce + b",s=QSXCR+Q6sek8bf92,i=4096") == (
        b"c=biws,r=" + nonce + b",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    )
    assert scram.answer(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == b""


@pytest.mark.parametrize("mechanism", SCRAM)
def test_a_scram_server_that_does_not_know_the_password_is_not_believed(mechanism):
    scram, peer = begun(mechanism), server(mechanism)
    peer.set_client_first(scram.first.decode())
    scram.answer(peer.get_server_first().encode())
    with pytest.raises(SaslFailed):
        scram.answer(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
    assert not scram.done


@pytest.mark.parametrize(
    "challenge",
    [b"", b"x", b"\xff", b"r=other,s=QSXCR+Q6sek8bf92,i=4096", b"e=unknown-user",
     b"r=fyko+d2lbbFgONRv9qkxdawL3r,s=QSXCR+Q6sek8bf92,i=99999999999", b"r=,s=,i="],
)  # fmt: skip
def test_a_first_message_that_is_none_is_refused(challenge):
    with pytest.raises(SaslFailed):
        begun("SCRAM-SHA-256").answer(challenge)


@pytest.mark.parametrize("mechanism", SCRAM)
@pytest.mark.parametrize(("user", "password"), [("", "x"), ("a\u0000", "x"), ("a", "\udcff")])
def test_what_scram_has_no_form_for_is_said_before_anything_else(mechanism, user, password):
    with pytest.raises(SaslFailed):
        begun(mechanism, user, Secret(password))


CHALLENGES = st.binary(max_size=12) | st.sampled_from(
    [b"r=fyko+d2lbbFgONRv9qkxdawLx,s=QSXCR+Q6sek8bf92,i=4096", b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="]
)


@given(st.sampled_from(list(MECHANISMS)), st.lists(CHALLENGES, max_size=4))
def test_no_challenge_raises_anything_else(mechanism, challenges):
    login = begun(mechanism)
    try:
        for challenge in challenges:
            login.answer(challenge)
    except SaslFailed:
        pass


def test_who_sends_the_password_itself_is_known():
    assert {"LOGIN", "PLAIN"} == CLEAR_TEXT
    assert list(MECHANISMS)[-2:] == ["LOGIN", "PLAIN"]
