"""Logins at a running server: what they permit, what is told of them, and when a change counts."""

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from live import ALICE, BOB, DOMAIN, HOST, PASSWORD, Instance, Server, Talk, until

pytestmark = pytest.mark.slow

LISTEN = ("smtp=127.0.0.1:0", "submission=127.0.0.1:0", "submissions=127.0.0.1:0")
ELSEWHERE = "somebody@elsewhere.example"
OK = "235 2.0.0 ok, go ahead (#2.0.0)"
WRONG = "535 5.7.8 authorization failure (#5.7.8)"


@contextmanager
def serving(instance: Instance) -> Iterator[Server]:
    authority = trustme.CA()
    issued = authority.issue_cert(HOST).private_key_and_cert_chain_pem.bytes().decode()
    instance.write("certs/servercert.pem", issued)
    with instance.serve(*LISTEN) as server:
        yield server


def over_tls(server: Server) -> Talk:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    talk = server.connect("submission")
    assert "STARTTLS" in talk.say("EHLO client.example")
    assert talk.say("STARTTLS").startswith("220 ")
    talk.start_tls(context)
    return talk


def login(talk: Talk, user: str, password: str) -> str:
    said = b64encode(f"\0{user}\0{password}".encode()).decode()
    return talk.say(f"AUTH PLAIN {said}").partition(" [id ")[0]


def test_a_user_sends_over_587_and_the_story_says_who_it_was(instance: Instance) -> None:
    with serving(instance) as server:
        with server.connect("submission") as clear:
            assert "PLAIN" not in clear.say("EHLO client.example")
            assert login(clear, ALICE, PASSWORD).startswith("538 5.7.11 Encryption required")
            assert clear.say(f"MAIL FROM:<{ALICE}>").startswith("530 5.7.1 authentication required")
        with over_tls(server) as talk:
            assert "AUTH LOGIN PLAIN SCRAM-SHA-256\n" in talk.say("EHLO client.example")
            assert login(talk, ALICE, PASSWORD) == OK
            assert talk.recipient(ELSEWHERE).startswith("250 ")
            queue_id = talk.mail(BOB, "Subject: x\r\n\r\nHello\r\n", ALICE)
        [mail] = until(lambda: instance.mails("bob"))
        assert f"({ALICE}@127.0.0.1)\n  by {HOST} with ESMTPSA (TLSv1.".encode() in mail
        told = instance.run("explain", queue_id).stdout
        assert f"AUTH {ALICE}" in told
        story = instance.run("explain", "--to", ELSEWHERE).stdout
        assert "smtp-auth" in story
        assert f"rule accounts[{ALICE}]" in story
        assert f"AUTH <{ALICE}: AUTH PLAIN: local-rcpt>" in server.says("AUTH PLAIN: local-rcpt")
        everything = server.output + instance.run("explain", "--json", queue_id).stdout + story
        assert PASSWORD not in everything
        assert b64encode(PASSWORD.encode()).decode()[:-4] not in everything


@pytest.mark.parametrize("command", [
    ["vpasswd", ALICE, "another-secret-2"], ["vmoduser", "-r", ALICE], ["vdeluser", ALICE],
])  # fmt: skip
def test_a_change_is_in_force_when_its_command_returns(
    instance: Instance, command: list[str]
) -> None:
    """On all workers, though a login a moment ago was right."""
    closes = command[0] != "vmoduser"
    with serving(instance) as server:
        for _ in range(6):  # both workers know her
            with over_tls(server) as talk:
                assert login(talk, ALICE, PASSWORD) == OK
        instance.run(*command)
        for _ in range(6):
            with over_tls(server) as talk:
                if closes:
                    assert login(talk, ALICE, PASSWORD) == WRONG
                else:  # NO_RELAY
                    assert login(talk, ALICE, PASSWORD) == OK
                    assert talk.recipient(BOB).startswith("250 ")
                    refused = talk.recipient(ELSEWHERE)
                    assert f"without authentication, auth {ALICE} #5.7.1" in refused


def test_guesses_are_counted_over_all_workers(instance: Instance) -> None:
    instance.variables(AUTH_FAILURES_PERIP=4)
    with serving(instance) as server:
        for number in range(4):
            with over_tls(server) as talk:
                assert login(talk, f"user{number}@{DOMAIN}", "x") == WRONG
        for _ in range(4):
            with over_tls(server) as talk:
                assert login(talk, ALICE, PASSWORD).startswith("454 4.7.0 too many failed logins")


def test_cram_is_offered_once_a_clear_text_is_stored(instance: Instance) -> None:
    with serving(instance) as server:
        with server.connect("submission") as talk:
            assert "CRAM-MD5" not in talk.say("EHLO client.example")
        instance.run("vadduser", "-C", f"carol@{DOMAIN}", given=PASSWORD)

        def is_offered() -> bool:
            with server.connect("submission") as talk:
                return "CRAM-MD5" in talk.say("EHLO client.example")

        for _ in range(3):  # whichever worker it is
            until(is_offered, 5)


def test_old_hashes_are_made_anew_at_a_login(instance: Instance) -> None:
    from indimail.accounts.passwords import Method, hash_password

    old = hash_password(PASSWORD, Method.MD5).reveal()
    instance.run("vpasswd", "-e", ALICE, old)
    with serving(instance) as server:
        for _ in range(2):
            with over_tls(server) as talk:
                assert login(talk, ALICE, PASSWORD) == OK
    shown = instance.run("vuserinfo", "-p", ALICE).stdout
    assert "$argon2id$" in shown
    assert old not in shown


def test_on_port_25_auth_is_there_where_it_is_said(instance: Instance) -> None:
    with serving(instance) as server, server.connect() as talk:
        assert "AUTH" not in talk.say("EHLO client.example")
        assert login(talk, ALICE, PASSWORD).startswith("503 5.3.3 auth not available")
        assert talk.recipient(BOB).startswith("250 ")
