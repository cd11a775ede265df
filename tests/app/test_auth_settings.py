"""Which listener offers which logins to whom, and what it asks of mail."""

import os
import pickle

import pytest

from app.test_configuration import certificate, loaded, session
from indimail.app.reading import Overrides
from indimail.app.settings import VARIABLES
from indimail.control.cdb import build_cdb
from indimail.mail.address import Address
from indimail.mail.verdict import Rule
from indimail.policy.relay import RelayFacts, decide_relay

THREE = Overrides(listen=("smtp=127.0.0.1:0", "submission=127.0.0.1:0", "submissions=127.0.0.1:0"))
OFFERED = (
    "LOGIN PLAIN CRAM-MD5 CRAM-SHA1 CRAM-SHA224 CRAM-SHA256 CRAM-SHA384 CRAM-SHA512 SCRAM-SHA-1"
    " SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS"
)


def of(tmp_path, listener, toml="", environ=None):
    texts = {"indimail.toml": toml, "certs/servercert.pem": certificate()}
    return session(loaded(tmp_path, texts, environ, THREE), listener=listener)


@pytest.mark.parametrize(
    ("listener", "toml", "auth", "required"),
    [
        ("smtp", "", "", None),
        ("smtp", "[variables]\nAUTH = 1\n", OFFERED, None),
        ("smtp", "[variables]\nAUTH = 0\n", "", None),
        ("smtp", "[variables]\nREQUIREAUTH = 1\n", "", "indimail.toml:2"),
        ("submission", "", OFFERED, "listener submission"),
        ("submission", "[variables]\nAUTH = 0\n", OFFERED, "listener submission"),
        ("submission", "[listener.submission.variables]\nREQUIREAUTH = 0\n", OFFERED, None),
        ("submissions", "", OFFERED, "listener submissions"),
    ],
)
def test_submission_has_auth_and_needs_it_and_smtp_where_it_is_said(
    tmp_path, listener, toml, auth, required
):
    settings = of(tmp_path, listener, toml)
    assert " ".join(settings.session_rules.auth) == auth
    found = settings.sender_rules.requireauth
    assert (str(found) if found else None) == required
    assert settings.session_rules.secure_auth
    assert settings.session_rules.starttls == (listener == "submission")


def test_a_listener_of_another_name_is_what_its_role_is(tmp_path):
    toml = '[listener.desk]\nrole = "submission"\naddress = "127.0.0.1"\nport = 0\n'
    snapshot = loaded(tmp_path, {"indimail.toml": toml}, {}, Overrides())
    settings = session(snapshot, listener="desk")
    assert " ".join(settings.session_rules.auth) == OFFERED
    assert str(settings.sender_rules.requireauth) == "listener desk"
    assert not settings.session_rules.starttls  # there is no certificate


@pytest.mark.parametrize(("value", "secure"), [("1", True), ("", True), ("0", False)])
def test_clear_text_is_for_tls_unless_secure_auth_is_0(tmp_path, value, secure):
    assert (
        of(tmp_path, "submission", "", {"SECURE_AUTH": value}).session_rules.secure_auth is secure
    )


DISABLED = {
    name: {VARIABLES[name].meaning.removeprefix("without ")}
    for name in VARIABLES if name.startswith("DISABLE_") and not VARIABLES[name].waits_for
    and VARIABLES[name].meaning.startswith("without ")
} | {"DISABLE_AUTH_OAUTH2": {"XOAUTH2", "OAUTHBEARER"}}  # fmt: skip


@pytest.mark.parametrize("name", DISABLED)
def test_each_mechanism_can_be_switched_off(tmp_path, name):
    environ = {"OAUTHMODULES": "/bin/check", name: "1"}
    every = of(tmp_path, "submission", "", {"OAUTHMODULES": "/bin/check"}).session_rules.auth
    left = of(tmp_path, "submission", "", environ).session_rules.auth
    assert set(every) - set(left) == DISABLED[name]


def test_all_mechanisms_have_their_switch():
    assert len(set.union(*DISABLED.values())) == 14


def test_scram_needs_our_accounts_and_tokens_need_a_program(tmp_path):
    auth = of(tmp_path, "submission", "", {"AUTHMODULES": "sys-checkpwd"}).session_rules.auth
    assert " ".join(auth) == OFFERED.partition(" SCRAM")[0]
    settings = of(tmp_path, "submission", "", {"OAUTHMODULES": "a b", "AUTHMODULES": "x vchkpass"})
    assert settings.auth.oauth == ("a", "b")
    assert settings.auth.modules == ("x", "vchkpass")
    assert "XOAUTH2" in settings.session_rules.auth


def test_a_program_that_is_not_there_is_a_notice(tmp_path):
    environ = {"AUTHMODULES": "vchkpass /nowhere/check named", "OAUTHMODULES": "/bin/true"}
    notices = loaded(tmp_path, {"control/rcpthosts": "a.example\n"}, environ).notices
    assert notices == ("AUTHMODULES: /nowhere/check: no program that can be started",)


def test_what_a_rule_of_tcp_smtp_says_is_named_by_its_line(tmp_path):
    rules = (
        '# first\n192.0.2.:allow,REQUIREAUTH="1",AUTH_ALL="",CHECKSENDER="",AUTH_FAILURES_PERIP="3",'
        'AUTH_FAILURES_PERUSER="5",AUTH="1",MASQUERADE=""\n'
    )
    settings = session(loaded(tmp_path, {"tcp/tcp.smtp": rules}))
    rule = Rule("tcp/tcp.smtp", 2)
    assert settings.sender_rules.requireauth == settings.sender_rules.checksender == rule
    assert settings.auth_all == settings.auth.per_client_rule == settings.auth.per_user_rule == rule
    assert (settings.auth.per_client, settings.auth.per_user) == (3, 5)
    assert settings.sender_rules.masquerade == ""
    assert settings.session_rules.auth


def test_without_anything_said_nobody_is_asked_and_clients_are_limited(tmp_path):
    settings = session(loaded(tmp_path, {}))
    senders = settings.sender_rules
    assert (senders.requireauth, senders.checksender, senders.masquerade, senders.checked) == (
        None, None, None, None,
    )  # fmt: skip
    assert settings.auth_all is None
    assert (settings.auth.per_client, settings.auth.per_user) == (None, 100)
    assert settings.auth.modules == ("vchkpass",)


def test_antispoofing_is_the_older_name(tmp_path):
    settings = session(loaded(tmp_path, {}, {"ANTISPOOFING": "1"}))
    assert str(settings.sender_rules.checksender) == "environment[ANTISPOOFING]"


def test_authdomains_and_chksenderdomains_are_read_from_text_and_data_base(tmp_path):
    texts = {
        "control/authdomains": "@example.com\n*@news.example\n",
        "control/chksenderdomains": "",
        "control/authdomains.cdb": build_cdb([(b"@example.com", b""), (b"@more.example", b"")]),
    }
    snapshot = loaded(tmp_path, texts)
    found = snapshot.relay.authdomains.find
    assert found("ana@example.com") == Rule("control/authdomains", 1)
    assert found("x@news.example") == Rule("control/authdomains", 2)
    assert found("x@more.example") == Rule("control/authdomains.cdb", key="@more.example")
    assert found("x@other.example") is None
    checked = session(snapshot).sender_rules.checked
    assert checked is not None and not checked  # it is there, and lists nobody
    os.unlink(tmp_path / "control" / "authdomains.cdb")
    assert loaded(tmp_path, {}).relay.authdomains.find("x@more.example") is None


def test_a_configuration_that_came_to_a_worker_closes_nothing(tmp_path):
    """Workers get it pickled: what is not set there has to be not set, and no copy of a marker."""
    texts = {"control/rcpthosts": "example.com\n", "tcp/tcp.smtp": '10.:allow,AUTH_ALL=""\n'}
    snapshot = pickle.loads(pickle.dumps(loaded(tmp_path, texts)))
    for ip, rule in [("192.0.2.1", "control/rcpthosts:1"), ("10.0.0.1", "tcp/tcp.smtp:1")]:
        asked = RelayFacts(
            ip, forward_path=Address("ana", "example.com"), auth_all=session(snapshot, ip).auth_all
        )
        assert str(decide_relay(asked, snapshot.relay).rule) == rule
