"""Programs that know passwords: what they read, and what their end means."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.port import Flag
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.serve.checkpassword import METHODS, ask_modules, ask_postauth
from indimail.serve.login import Attempt, AuthSettings, LoggedIn, Why
from indimail.wire.sasl_server import CramAnswer, Credentials, Password, ScramProof, Token


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def attempt(credentials: Credentials, mechanism: str = "PLAIN") -> Attempt:
    return Attempt(mechanism, credentials, "192.0.2.7", Flag.NO_SMTP, AuthSettings())


ANA = attempt(Password("Ana", Secret("w\u00f6nder\udcff")))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (ANA, b"Ana\0w\xc3\xb6nder\xff\0\0\x02\0"),
        (attempt(Password("ana", Secret("x")), "LOGIN"), b"ana\0x\0\0\x01\0"),
        (attempt(CramAnswer("ana", b"<1@mx>", "abcd", "md5"), "CRAM-MD5"),
         b"ana\0<1@mx>\0abcd\0\x03\0"),
        (attempt(Token("ana", Secret("t" * 2000)), "XOAUTH2"), b"ana\0" + b"t" * 2000 + b"\0\0\x14\0"),
    ],
)  # fmt: skip
def test_descriptor_3_has_the_login(tmp_path: Path, given: Attempt, read: bytes) -> None:
    check = program(
        tmp_path, "check", f"cat <&3 >{tmp_path}/read; echo noise; echo noise >&2; exit 0"
    )
    assert isinstance(ask_modules((check,), given), LoggedIn)
    assert (tmp_path / "read").read_bytes() == read


@pytest.mark.parametrize(
    ("end", "what"),
    [
        ("exit 0", LoggedIn("Ana")),
        ("exit 3", LoggedIn("Ana", relays=False)),
        ("exit 1", Why.WRONG),
        ("exit 2", Why.WRONG),
        ("exit 100", Why.WRONG),
        ("exit 111", Why.LATER),
        ("kill -9 $$", Why.LATER),
        ("exec /nowhere/at/all", Why.LATER),
        ('exec "$@"', Why.WRONG),  # the last of a chain knows nobody
    ],
)
def test_what_the_end_of_a_program_means(tmp_path: Path, end: str, what: object) -> None:
    outcome = ask_modules((program(tmp_path, "check", end),), ANA)
    if isinstance(outcome, LoggedIn):
        assert LoggedIn(outcome.user, outcome.relays) == what
    else:
        assert outcome.why is what
    assert outcome.rule.file == "AUTHMODULES"


def test_who_does_not_know_a_user_executes_the_next_with_the_same_words(tmp_path: Path) -> None:
    last = program(tmp_path, "last", f"cat <&3 >{tmp_path}/read; exit 3")
    # A module that has read descriptor 3 writes it again for the next.
    first = program(tmp_path, "first", f'cat <&3 >{tmp_path}/kept; exec "$@" 3<{tmp_path}/kept')
    assert ask_modules((first, last), ANA) == LoggedIn(
        "Ana", relays=False, rule=ask_modules((first, last), ANA).rule
    )
    assert (tmp_path / "read").read_bytes() == (tmp_path / "kept").read_bytes()


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    sleeper = program(tmp_path, "sleeper", f"sleep 60 & echo $! >{tmp_path}/pid; wait")
    outcome = ask_modules((sleeper,), ANA, 0.5)
    assert not isinstance(outcome, LoggedIn)
    assert outcome.why is Why.LATER
    child = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(1_000_000):  # until init has buried it
            os.kill(child, 0)
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":
                raise ProcessLookupError


def test_its_environment_is_a_path_and_the_client(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    check = program(tmp_path, "check", f"env >{tmp_path}/env; exit 0")
    ask_modules((check,), ANA)
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "TCPREMOTEIP"}


@pytest.mark.parametrize(
    "given",
    [attempt(Password("ana", Secret("x" * 600))), attempt(Password("ana", Secret("a\0b"))),
     attempt(ScramProof("ana", is_right=True), "SCRAM-SHA-256")],
)  # fmt: skip
def test_what_has_no_form_for_it_is_wrong_and_nobody_is_asked(given: Attempt) -> None:
    outcome = ask_modules(("/nowhere",), given)
    assert not isinstance(outcome, LoggedIn)
    assert outcome.why is Why.WRONG


def test_every_mechanism_that_shows_or_hashes_a_password_has_a_number() -> None:
    assert len(set(METHODS.values())) == len(METHODS) == 10


def test_programs_may_get_the_name_alone(tmp_path: Path) -> None:
    check = program(tmp_path, "check", f"cat <&3 >{tmp_path}/read; exit 0")
    settings = AuthSettings(strip_domain=True)
    given = replace(attempt(Password("ana@example.com", Secret("x"))), settings=settings)
    assert ask_modules((check,), given) == LoggedIn(
        "ana@example.com", rule=Rule("AUTHMODULES", key=check)
    )
    assert (tmp_path / "read").read_bytes() == b"ana\0x\0\0\x02\0"


@pytest.mark.parametrize(
    ("end", "what"),
    [
        ('[ "$1" = ana@example.com ]', LoggedIn("ana@example.com")),
        ("exit 3", LoggedIn("ana@example.com", relays=False)),
        ("exit 1", Why.CLOSED),
        ("exit 111", Why.LATER),
        ("kill -9 $$", Why.LATER),
    ],
)
def test_what_the_last_word_means(tmp_path: Path, end: str, what: object) -> None:
    outcome = ask_postauth(program(tmp_path, "after", end), ANA, LoggedIn("ana@example.com"))
    if isinstance(outcome, LoggedIn):
        assert LoggedIn(outcome.user, outcome.relays) == what
    else:
        assert outcome.why is what
