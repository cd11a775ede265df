"""AUTH on a connection: who is let in, what others hear, and what follows from it."""

import ssl
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any

import pytest
import trustme
from scramp import ScramClient

from indimail.accounts.passwords import Method, hash_password
from indimail.accounts.port import Flag, RelayLogin
from indimail.accounts.scram import Mechanism, answers, make_scram
from indimail.mail.address import Address
from indimail.mail.addresslist import parse_address_list
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.net.tls import TlsContext
from indimail.policy.sender import SenderRules
from indimail.serve.login import AuthSettings, Denied, LoggedIn, Why
from indimail.smtp.rules import SessionRules
from indimail.wire.sasl_server import MECHANISMS
from serve.desk import Client, Desk, lines
from serve.test_smtpd import TlsClient

ANA, PASSWORD = "ana@example.com", "wonder"
OK = "235 2.0.0 ok, go ahead (#2.0.0)"
WRONG = "535 5.7.8 authorization failure (#5.7.8)"
LIMITED = "454 4.7.0 too many failed logins, try again later (#4.7.0)"
RULES = SessionRules(
    ("mx.example.com",), extra_greet=False, auth=tuple(MECHANISMS), secure_auth=False
)
CHECKSENDER, REQUIREAUTH = Rule("tcp/tcp.smtp", key="C"), Rule("tcp/tcp.smtp", key="R")


def desk_of(*tcp: str, **changes: Any) -> Desk:
    """Return a desk that offers AUTH, and knows Ana."""
    desk = Desk(*tcp, **{"session_rules": RULES, **changes})
    desk.knows(ANA, PASSWORD)
    return desk


def plain(user: str, password: str) -> str:
    return "AUTH PLAIN " + b64encode(f"\0{user}\0{password}".encode()).decode()


def said(client: Client, desk: Desk, *commands: str) -> list[str]:
    """Return what a client hears, without the ids of refusals."""
    client.say(*commands)
    desk.work()
    return [line.partition(" [id ")[0] for line in client.heard()]


def logged_in(desk: Desk, user: str = ANA, password: str = PASSWORD) -> Client:
    client = desk.greeted()
    assert said(client, desk, plain(user, password)) == [OK]
    return client


# -- who is let in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "password", "reply"),
    [
        (ANA, PASSWORD, OK),
        ("Ana@EXAMPLE.com", PASSWORD, OK),
        ("ana%example.com", PASSWORD, OK),
        ("ana@alias.example", PASSWORD, OK),
        ("ana", PASSWORD, OK),  # DEFAULT_DOMAIN
        (ANA, "wrong", WRONG),
        ("bob@example.com", PASSWORD, WRONG),
        ("bob", PASSWORD, WRONG),
        ("ana@elsewhere.example", PASSWORD, WRONG),
        ("list@example.com", PASSWORD, WRONG),  # nobody's mailbox
    ],
)
def test_a_password_opens_its_own_account_alone(user: str, password: str, reply: str) -> None:
    desk = desk_of(auth=AuthSettings(default_domain="example.com"))
    desk.accounts.add_alias_domain("alias.example", "example.com")
    desk.knows("list@example.com", PASSWORD, gecos="MailGroup friends")
    client = desk.greeted()
    assert said(client, desk, plain(user, password)) == [reply]
    assert client.connection.client.auth.user == (ANA if reply == OK else "")


@pytest.mark.parametrize(
    ("account", "text"),
    [
        ({"flags": Flag.NO_SMTP}, "this account cannot use SMTP"),
        ({"active": False}, "this account is inactive"),
        ({"flags": Flag.NO_POP | Flag.NO_RELAY | Flag.NO_IMAP}, ""),
    ],
)
def test_an_account_that_is_closed_says_so_to_who_knows_the_password(
    account: dict[str, Any], text: str
) -> None:
    desk = desk_of()
    desk.knows("bob@example.com", PASSWORD, **account)
    client = desk.greeted()
    assert said(client, desk, plain("bob@example.com", "wrong")) == [WRONG]
    told = said(client, desk, plain("bob@example.com", PASSWORD))
    assert told == ([f"535 5.7.1 Sorry, {text} (#5.7.1)"] if text else [OK])


@pytest.mark.parametrize(
    ("limits", "domain_limits", "reply"),
    [
        ({"domain_expiry": 1}, False, "535 5.7.1 Sorry, domain has expired (#5.7.1)"),
        ({"passwd_expiry": 1}, False, "535 5.7.1 Sorry, password has expired (#5.7.1)"),
        ({"disable_smtp": 1}, True, "535 5.7.1 Sorry, this account cannot use SMTP (#5.7.1)"),
        ({"disable_smtp": 1}, False, OK),
        ({"disable_pop": 1}, True, OK),
    ],
)
def test_limits_of_a_domain_end_and_close(
    limits: dict[str, int], domain_limits: bool, reply: str
) -> None:
    desk = desk_of(auth=AuthSettings(domain_limits=domain_limits))
    desk.accounts.set_limits("", "example.com", limits)
    assert said(desk.greeted(), desk, plain(ANA, PASSWORD)) == [reply]


def scram(client: Client, desk: Desk, user: str, password: str, name: str) -> list[str]:
    """Return the codes that an exchange of SCRAM heard."""
    peer = ScramClient([name], user, password)
    first = b64encode(peer.get_client_first().encode()).decode()
    heard = said(client, desk, f"AUTH {name} {first}")
    peer.set_server_first(b64decode(heard[0][4:]).decode())
    heard += said(client, desk, b64encode(peer.get_client_final().encode()).decode())
    if heard[-1].startswith("334"):
        peer.set_server_final(b64decode(heard[-1][4:]).decode())
        heard += said(client, desk, "")
    return [line[:3] for line in heard]


@pytest.mark.parametrize("name", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_scram_asks_for_the_keys_of_who_it_is(name: str) -> None:
    desk = desk_of()
    mechanism = Mechanism.SHA1 if name == "SCRAM-SHA-1" else Mechanism.SHA256
    column = make_scram("sesame", mechanism, iterations=4096)
    desk.knows("bob@example.com", "other", scram=column)
    client = desk.greeted()
    assert scram(client, desk, "bob@example.com", "wrong", name) == ["334", "535"]
    assert scram(client, desk, "nobody@example.com", "sesame", name) == ["334", "535"]
    assert scram(client, desk, ANA, PASSWORD, name) == ["334", "535"]  # has no keys
    assert scram(client, desk, "bob@example.com", "sesame", name) == ["334", "334", "235"]
    assert client.connection.client.auth.user == "bob@example.com"
    assert client.connection.client.mechanism == name


def test_scram_of_an_account_that_is_closed_says_so_at_the_end() -> None:
    desk = desk_of()
    column = make_scram("sesame", Mechanism.SHA256, iterations=4096)
    desk.knows("bob@example.com", "other", scram=column, flags=Flag.NO_SMTP)
    assert scram(desk.greeted(), desk, "bob@example.com", "sesame", "SCRAM-SHA-256") == [
        "334", "334", "535",
    ]  # fmt: skip


def test_keys_of_a_clear_text_are_made_once_and_again_when_it_changes() -> None:
    desk = desk_of()
    desk.knows("bob@example.com", "other", scram=make_scram("sesame", None, clear=True))
    verifier, asked = desk.authenticator.verifier, ("bob@example.com", Mechanism.SHA256)
    assert verifier.keys(*asked, AuthSettings()) is verifier.keys(*asked, AuthSettings())
    column = make_scram("another", None, clear=True)
    desk.accounts.set_password("bob", "example.com", hash_password("x", Method.DES), column)
    desk.users.invalidate("bob", "example.com")
    client = desk.greeted()
    assert scram(client, desk, "bob@example.com", "sesame", "SCRAM-SHA-256")[-1] == "535"
    assert scram(client, desk, "bob@example.com", "another", "SCRAM-SHA-256")[-1] == "235"


def cram(client: Client, desk: Desk, user: str, secret: str) -> str:
    """Return the reply to an exchange of CRAM-MD5."""
    import hmac

    (line,) = said(client, desk, "AUTH CRAM-MD5")
    challenge = b64decode(line[4:])
    response = hmac.digest(secret.encode(), challenge, "md5").hex()
    assert answers(Secret(secret), challenge, response, "md5")
    (reply,) = said(client, desk, b64encode(f"{user} {response}".encode()).decode())
    return reply


def test_cram_needs_the_clear_text_and_no_hash_is_one_unless_it_may() -> None:
    hashed = hash_password("sesame", Method.DES)
    clear = make_scram("sesame", None, clear=True)
    for hash_is_secret in (False, True):
        desk = desk_of(auth=AuthSettings(hash_is_secret=hash_is_secret))
        desk.knows("bob@example.com", "sesame", scram=clear)
        desk.accounts.set_password("bob", "example.com", hashed, clear)
        client = desk.greeted()
        assert cram(client, desk, "bob@example.com", "wrong") == WRONG
        assert cram(client, desk, ANA, PASSWORD) == WRONG
        nobodys = desk.authenticator.verifier._nobodys.reveal()
        assert cram(client, desk, "nobody@example.com", nobodys) == WRONG
        assert cram(client, desk, ANA, nobodys) == WRONG
        by_hash = cram(client, desk, "bob@example.com", hashed.reveal())
        assert by_hash == (OK if hash_is_secret else WRONG)
        assert cram(desk.greeted(), desk, "bob@example.com", "sesame") == OK


def test_a_database_that_is_down_is_a_454() -> None:
    desk = desk_of()
    desk.accounts.fail = True
    client = desk.greeted()
    temporary = "454 4.3.0 temporary authentication failure (#4.3.0)"
    assert said(client, desk, plain(ANA, PASSWORD)) == [temporary]
    first = b64encode(b"n,,n=ana@example.com,r=x").decode()
    assert said(client, desk, f"AUTH SCRAM-SHA-256 {first}") == [temporary]
    desk.accounts.fail = False
    assert said(client, desk, plain(ANA, PASSWORD)) == [OK]


# -- programs --------------------------------------------------------------------------------------


def test_programs_are_asked_in_their_place_in_the_chain() -> None:
    desk = desk_of(auth=AuthSettings(modules=("first", "vchkpass", "last")))
    desk.modules = [Denied(Why.WRONG)]
    logged_in(desk)
    desk.modules = [LoggedIn("root", relays=False)]
    client = logged_in(desk, "root", "x")
    assert client.connection.client.auth == LoggedIn("root", relays=False)
    desk.modules = [Denied(Why.WRONG), LoggedIn("carol")]
    logged_in(desk, "carol", "x")
    desk.modules = [Denied(Why.LATER), Denied(Why.WRONG)]
    assert said(desk.greeted(), desk, plain("carol", "x"))[0].startswith("454 ")
    assert desk.modules == []


def test_postauth_has_the_last_word_each_time_and_about_nobody_else() -> None:
    desk = desk_of(auth=AuthSettings(postauth="after", per_client=1))
    refused = Denied(Why.CLOSED, "this login is refused")
    desk.modules = [LoggedIn(ANA, relays=False), refused, refused]
    assert not logged_in(desk).connection.client.auth.relays
    client = desk.greeted()
    for _ in range(2):  # the second time too: it was no guess
        heard = said(client, desk, plain(ANA, PASSWORD))
        assert heard == ["535 5.7.1 Sorry, this login is refused (#5.7.1)"]
    assert said(client, desk, plain(ANA, "wrong")) == [WRONG]


def test_a_token_is_for_the_programs_that_know_tokens() -> None:
    desk = desk_of(auth=AuthSettings(oauth=("check",)))
    token = b64encode(b"user=ana@example.com\x01auth=Bearer x\x01\x01").decode()
    desk.modules = [LoggedIn(ANA)]
    assert said(desk.greeted(), desk, f"AUTH XOAUTH2 {token}") == [OK]
    desk.modules = [Denied(Why.WRONG)]
    heard = said(desk.greeted(), desk, f"AUTH XOAUTH2 {token}", "")
    assert [line[:3] for line in heard] == ["334", "535"]


# -- what is kept ----------------------------------------------------------------------------------


def test_a_login_that_was_right_a_moment_ago_needs_no_thread_and_no_query() -> None:
    desk = desk_of()
    logged_in(desk)
    misses = desk.users.misses
    client = desk.greeted()
    client.say(plain(ANA, PASSWORD))
    assert client.heard() == [OK]  # and nothing was put on a thread
    assert len(desk.threads) == 0
    assert desk.users.misses == misses
    client = desk.greeted()
    client.say(plain(ANA, "wrong"))
    assert client.heard() == []  # another password is looked at
    desk.work()
    assert client.heard()[0].startswith("535")


@pytest.mark.parametrize("change", ["password", "flag", "gone"])
@pytest.mark.parametrize("told", [True, False])
def test_a_change_is_in_force_at_once_or_where_others_made_it_within_5_seconds(
    change: str, told: bool
) -> None:
    desk = desk_of()
    logged_in(desk)
    match change:
        case "password":
            hashed = hash_password("other", Method.DES)
            desk.accounts.set_password("ana", "example.com", hashed, Secret(""))
        case "flag":
            desk.accounts.modify(
                "ana", "example.com", lambda account: replace(account, flags=Flag.NO_SMTP)
            )
        case "gone":
            desk.accounts.remove_user("ana", "example.com")
    if told:
        desk.users.invalidate("ana", "example.com")
        desk.authenticator.invalidate()
    else:
        desk.clock.advance(5.0)
    assert said(desk.greeted(), desk, plain(ANA, PASSWORD))[0].startswith("535 ")


def test_after_that_moment_the_row_is_read_and_nothing_is_hashed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = desk_of()
    logged_in(desk)
    assert said(desk.greeted(), desk, plain(ANA, "wrong")) == [WRONG]
    assert said(desk.greeted(), desk, plain("nobody", "wrong")) == [WRONG]
    desk.clock.advance(100.0)
    monkeypatch.setattr("indimail.serve.verifying.open_account", None)
    misses = desk.users.misses
    logged_in(desk)
    assert desk.users.misses > misses
    assert said(desk.greeted(), desk, plain(ANA, "wrong")) == [WRONG]
    assert said(desk.greeted(), desk, plain("nobody", "wrong")) == [WRONG]


def test_no_password_is_kept() -> None:
    desk = desk_of()
    logged_in(desk)
    assert said(desk.greeted(), desk, plain(ANA, "a-wrong-one")) == [WRONG]
    kept = repr(desk.authenticator)
    assert PASSWORD not in kept
    assert "a-wrong-one" not in kept


def test_a_hash_that_is_made_anew_is_the_one_that_counts_from_then_on() -> None:
    desk = desk_of()
    verifier = desk.authenticator.verifier
    new = hash_password(PASSWORD, Method.MD5)
    site: Any = verifier.site
    site.storing = lambda domain: type(site).storing(site, domain)  # as it was
    desk.accounts.set_password("ana", "example.com", new, Secret(""))
    logged_in(desk)
    assert desk.accounts.find("ana", "example.com").password == new  # DES is weaker: it stays


# -- limits ----------------------------------------------------------------------------------------


def test_a_client_that_guesses_is_held_off_for_a_while() -> None:
    desk = desk_of(auth=AuthSettings(per_client=3))
    client = desk.greeted()
    guesses = [plain(f"user{n}@example.com", "x") for n in range(3)]
    assert [said(client, desk, guess) for guess in guesses] == [[WRONG]] * 3
    assert said(client, desk, plain(ANA, PASSWORD)) == [LIMITED]
    assert said(desk.greeted(("192.0.2.8", 1)), desk, plain(ANA, PASSWORD)) == [OK]
    desk.clock.advance(900.0)
    assert said(client, desk, plain(ANA, PASSWORD)) == [OK]


def test_the_same_wrong_password_counts_once() -> None:
    desk = desk_of(auth=AuthSettings(per_client=2))
    client = desk.greeted()
    for _ in range(10):
        assert said(client, desk, plain(ANA, "the old one")) == [WRONG]
    assert said(client, desk, plain(ANA, PASSWORD)) == [OK]


@pytest.mark.parametrize(
    ("peer", "per_client", "held_off"),
    [("127.0.0.1", None, False), ("192.0.2.9", None, True), ("127.0.0.1", 20, True),
     ("192.0.2.9", 0, False), ("2001:db8::1", None, True)],
)  # fmt: skip
def test_this_machine_is_held_off_only_where_it_is_said(
    peer: str, per_client: int | None, held_off: bool
) -> None:
    desk = desk_of(auth=AuthSettings(per_client=per_client, per_user=0))
    client = desk.greeted((peer, 1))
    for number in range(20):
        said(client, desk, plain(ANA, f"guess {number}"))
    assert said(client, desk, plain(ANA, PASSWORD)) == [LIMITED if held_off else OK]


def test_an_ipv6_client_has_all_addresses_of_its_network() -> None:
    desk = desk_of(auth=AuthSettings(per_client=3))
    for number in range(3):
        client = desk.greeted((f"2001:db8::{number}:1", 1))
        said(client, desk, plain(ANA, f"guess {number}"))
    assert said(desk.greeted(("2001:db8::9:9", 1)), desk, plain(ANA, PASSWORD)) == [LIMITED]
    assert said(desk.greeted(("2001:db8:0:1::9", 1)), desk, plain(ANA, PASSWORD)) == [OK]


def test_a_user_who_is_guessed_at_can_still_log_in_from_where_he_did() -> None:
    desk = desk_of(auth=AuthSettings(per_client=0, per_user=3))
    logged_in(desk)
    desk.clock.advance(60.0)
    for number in range(3):
        assert said(desk.greeted(("192.0.2.9", 1)), desk, plain(ANA, f"guess {number}")) == [WRONG]
    assert said(desk.greeted(("192.0.2.9", 1)), desk, plain(ANA, PASSWORD)) == [LIMITED]
    first = b64encode(b"n,,n=ana@example.com,r=x").decode()
    stranger = desk.greeted(("192.0.2.10", 1))
    assert said(stranger, desk, f"AUTH SCRAM-SHA-256 {first}") == [LIMITED]
    logged_in(desk)


def test_wrong_proofs_of_scram_count_too() -> None:
    desk = desk_of(auth=AuthSettings(per_client=2))
    client = desk.greeted()
    for _ in range(2):
        assert scram(client, desk, ANA, PASSWORD, "SCRAM-SHA-256")[-1] == "535"
    assert said(client, desk, plain(ANA, PASSWORD)) == [LIMITED]


def test_a_wrong_password_is_answered_after_the_penalty() -> None:
    desk = desk_of(penalty=5.0)
    put_off: list[tuple[float, Any]] = []
    desk.reception.later = lambda seconds, call: put_off.append((seconds, call))
    client = desk.greeted()
    assert said(client, desk, plain(ANA, "wrong"), "NOOP") == []
    [(seconds, call)] = put_off
    assert seconds == 5.0
    call()
    assert [line[:3] for line in client.heard()] == ["535", "250"]
    assert said(client, desk, plain(ANA, PASSWORD)) == [OK]


# -- what is told ----------------------------------------------------------------------------------


def test_logins_are_told_with_their_rule_and_without_a_secret() -> None:
    desk = desk_of()
    client = desk.greeted()
    said(client, desk, plain(ANA, "wr0ng-secret"))
    said(client, desk, "AUTH PLAIN !!!", "AUTH LOGIN", "*")
    said(client, desk, plain(ANA, PASSWORD))
    told = [(r.verdict, r.text, str(r.rule)) for r in desk.trace.told("auth")]
    assert told == [
        ("refuse", "wrong name or password", "accounts[ana@example.com]"),
        ("refuse", "malformed auth input (#5.5.4)", "smtp"),
        ("refuse", "auth exchange cancelled (#5.0.0)", "smtp"),
        ("accept", ANA, "accounts[ana@example.com]"),
    ]
    assert desk.trace.told("auth")[0].facts["login"] == ANA
    assert desk.trace.told("auth")[0].facts["mechanism"] == "PLAIN"
    [line] = [line for line in desk.log.lines if "auth failure" in line]
    assert line.endswith(f" AUTH USER [{ANA}] status=[1] AUTH PLAIN TLS=No auth failure")
    everything = repr([*desk.trace, *desk.log.lines])
    assert PASSWORD not in everything
    assert "wr0ng-secret" not in everything
    assert b64encode(b"wr0ng-secret").decode()[:8] not in everything


# -- what follows ----------------------------------------------------------------------------------

ELSEWHERE = "RCPT TO:<bob@elsewhere.example>"
DENIED = (
    "553 5.7.1 sorry, that domain isn't allowed to be relayed thru this MTA without authentication"
)


def test_who_is_logged_in_may_relay_and_it_is_told_by_which_rule() -> None:
    desk = desk_of()
    client = logged_in(desk)
    heard = said(client, desk, f"MAIL FROM:<{ANA}>", ELSEWHERE, "RCPT TO:<ana@example.com>", "DATA")
    assert [line[:3] for line in heard] == ["250", "250", "250", "354"]
    client.say("hello", ".")
    desk.queue.commit()
    [(message, _)] = desk.queue.accepted
    assert b" (ana@example.com@192.0.2.7)\n  by mx.example.com with ESMTPA; " in message.body
    relayed, local = desk.trace.told("recipient")
    assert (relayed.text, str(relayed.rule)) == ("smtp-auth", "accounts[ana@example.com]")
    assert (local.text, str(local.rule)) == ("rcpthosts", "control/rcpthosts:1")
    assert relayed.facts["auth_user"] == ANA
    words = [line.partition("AUTH <")[2].partition(">")[0] for line in desk.log.lines]
    assert [word for word in words if word] == [
        "ana@example.com:_AUTH_PLAIN".replace("_", " "), "ana@example.com: AUTH PLAIN: local-rcpt",
    ]  # fmt: skip


def test_a_user_with_no_relay_is_known_and_may_not_relay() -> None:
    desk = desk_of()
    desk.knows("bob@example.com", PASSWORD, flags=Flag.NO_RELAY)
    client = logged_in(desk, "bob@example.com")
    heard = said(
        client, desk, "MAIL FROM:<bob@example.com>", ELSEWHERE, "RCPT TO:<ana@example.com>"
    )
    assert heard == ["250 2.1.0 ok", f"{DENIED}, auth bob@example.com #5.7.1", "250 2.1.5 ok"]
    [refused] = [r for r in desk.trace.told("recipient") if r.verdict == "refuse"]
    assert "accounts[bob@example.com]: NO_RELAY" in refused.text
    [line] = [line for line in desk.log.lines if "Invalid RELAY client" in line]
    assert line.endswith("RCPT <bob@elsewhere.example>, Auth bob@example.com")


def test_permission_by_auth_lasts_for_the_connection() -> None:
    desk = desk_of()
    client = logged_in(desk)
    for _ in range(2):
        assert said(client, desk, f"MAIL FROM:<{ANA}>", ELSEWHERE, "RSET")[1] == "250 2.1.5 ok"
    assert said(desk.greeted(), desk, f"MAIL FROM:<{ANA}>", ELSEWHERE)[1] == f"{DENIED} #5.7.1"


def test_permission_by_auth_ends_with_what_was_said_before_tls() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mx.example.com").configure_cert(context)
    desk = desk_of(tls=TlsContext(context), session_rules=replace(RULES, starttls=True))
    client = logged_in(desk)
    client.say("STARTTLS")
    client.heard()
    tls = TlsClient(client, authority)
    tls.shake_hands()
    assert client.connection.client.auth.user == ""
    assert [line[:3] for line in tls.ask("MAIL FROM:<>", ELSEWHERE)] == ["250", "553"]


@pytest.mark.parametrize("path", [ANA, "", "eve@elsewhere.example"])
def test_requireauth_refuses_mail_before_auth(path: str) -> None:
    desk = desk_of(sender_rules=SenderRules(requireauth=REQUIREAUTH))
    client = desk.greeted()
    refused = ["530 5.7.1 authentication required (#5.7.1)", "503 5.5.1 MAIL first (#5.5.1)"]
    assert said(client, desk, f"MAIL FROM:<{path}>", ELSEWHERE) == refused
    assert str(desk.trace.told("sender")[0].rule) == str(REQUIREAUTH)
    assert said(client, desk, plain(ANA, PASSWORD), f"MAIL FROM:<{path}>") == [OK, "250 2.1.0 ok"]


def test_auth_all_makes_nothing_ours_for_strangers() -> None:
    desk = desk_of(auth_all=Rule("tcp/tcp.smtp", 4))
    client = desk.greeted()
    heard = said(
        client, desk, "MAIL FROM:<eve@elsewhere.example>", f"RCPT TO:<{ANA}>", "RCPT TO:<x>"
    )
    assert heard[1:] == [f"{DENIED} #5.7.1"] * 2
    assert str(desk.trace.told("recipient")[0].rule) == "tcp/tcp.smtp:4"
    assert said(logged_in(desk), desk, f"MAIL FROM:<{ANA}>", f"RCPT TO:<{ANA}>")[1][:3] == "250"


def test_authdomains_do_the_same_for_their_senders_and_for_one_mail() -> None:
    desk = desk_of()
    relay = desk.config.current.relay
    senders = parse_address_list(lines("control/authdomains", "@example.com"))
    desk.config.current.relay = replace(relay, authdomains=senders)
    client = desk.greeted()
    rcpt = f"RCPT TO:<{ANA}>"
    heard = said(
        client, desk, "MAIL FROM:<bob@example.com>", rcpt, "MAIL FROM:<eve@x.example>", rcpt
    )
    assert [line[:3] for line in heard] == ["250", "553", "250", "250"]
    assert str(desk.trace.told("recipient")[0].rule) == "control/authdomains:1"


# -- CHECKSENDER -----------------------------------------------------------------------------------

CHECKED = SenderRules(checksender=CHECKSENDER)
AUTH_FIRST = "530 5.7.1 authentication required (#5.7.1)"
NO_SENDER = "553 5.7.1 authorization failure (#5.7.1)"
FORGING = (
    "553 5.7.1 sorry, this MTA does not accept masquerading/forging, auth ana@example.com #5.7.1"
)


@pytest.mark.parametrize(
    ("rules", "user", "sender", "reply"),
    [
        (CHECKED, "", "eve@elsewhere.example", "250 2.1.0 ok"),  # no sender of ours
        (CHECKED, "", "", "250 2.1.0 ok"),
        (CHECKED, "", ANA, AUTH_FIRST),
        (CHECKED, "", "nobody@example.com", NO_SENDER),
        (CHECKED, "", "closed@example.com", NO_SENDER),
        (CHECKED, ANA, ANA, "250 2.1.0 ok"),
        (CHECKED, ANA, "ana@Example.COM", "250 2.1.0 ok"),
        (CHECKED, ANA, "", "250 2.1.0 ok"),
        (CHECKED, ANA, "bob@example.com", FORGING),
        (CHECKED, ANA, "eve@elsewhere.example", FORGING),
        (CHECKED, ANA, "nobody@example.com", NO_SENDER),
        (replace(CHECKED, masquerade=""), ANA, "bob@example.com", "250 2.1.0 ok"),
        (replace(CHECKED, masquerade=""), ANA, "eve@elsewhere.example", FORGING),
        (replace(CHECKED, masquerade="Bob@example.com"), ANA, "bob@example.com", "250 2.1.0 ok"),
        (replace(CHECKED, masquerade="bob@example.com"), ANA, ANA, "250 2.1.0 ok"),
        (replace(CHECKED, masquerade="x@example.com"), ANA, "bob@example.com", FORGING),
        (SenderRules(), ANA, "eve@elsewhere.example", "250 2.1.0 ok"),
    ],
)
def test_senders_of_ours_are_there_and_are_who_is_logged_in(
    rules: SenderRules, user: str, sender: str, reply: str
) -> None:
    desk = desk_of(sender_rules=rules)
    desk.knows("bob@example.com", PASSWORD)
    desk.knows("closed@example.com", PASSWORD, flags=Flag.NO_SMTP)
    client = logged_in(desk) if user else desk.greeted()
    assert said(client, desk, f"MAIL FROM:<{sender}>") == [reply]
    told = desk.trace.told("sender")
    assert [str(record.rule) for record in told] == ([str(CHECKSENDER)] if reply[0] == "5" else [])
    forging = [line for line in desk.log.lines if f"Invalid SENDER: MAIL from <{sender}>" in line]
    assert bool(forging) == (bool(user) and reply[:3] == "553")
    assert desk.reception.under_way == (reply[0] == "2")


def test_relayclient_is_a_login_enough_for_a_sender_that_is_there() -> None:
    desk = desk_of('192.0.2.:allow,RELAYCLIENT=""', sender_rules=CHECKED)
    client = desk.greeted()
    assert said(client, desk, f"MAIL FROM:<{ANA}>") == ["250 2.1.0 ok"]
    assert said(client, desk, "MAIL FROM:<nobody@example.com>") == [NO_SENDER]


def test_a_sender_in_an_alias_domain_is_the_user_of_the_domain() -> None:
    desk = desk_of(sender_rules=CHECKED)
    desk.accounts.add_alias_domain("alias.example", "example.com")
    target = "alias.example-ana@alias.example"
    desk.foresight.knows(target, *desk.foresight.plans["example.com-ana@example.com"].actions)
    found = desk.reception.sender_state(Address("ana", "alias.example"), target)
    assert found.mailbox == ANA


def test_chksenderdomains_say_who_is_checked() -> None:
    listed = parse_address_list(lines("control/chksenderdomains", "@other.example"))
    desk = desk_of(sender_rules=replace(CHECKED, checked=listed))
    assert said(desk.greeted(), desk, "MAIL FROM:<nobody@example.com>") == ["250 2.1.0 ok"]


def test_a_client_that_left_while_its_sender_was_looked_up_begins_no_mail() -> None:
    desk = desk_of(sender_rules=CHECKED)
    client = logged_in(desk)
    client.say(f"MAIL FROM:<{ANA}>")
    client.leave()
    desk.work()
    assert desk.reception.under_way == 0


def test_a_database_that_is_down_puts_a_sender_off() -> None:
    desk = desk_of(sender_rules=CHECKED)
    client = logged_in(desk)
    desk.users.invalidate_all()
    desk.accounts.fail = True
    assert said(client, desk, f"MAIL FROM:<{ANA}>") == [
        "451 4.3.2 Sorry, I got a temporary database error (#4.3.2)"
    ]
    assert desk.trace.told("sender")[0].verdict == "later"


@pytest.mark.parametrize(
    ("email", "ip", "age", "reply"),
    [
        (ANA, "192.0.2.7", 10.0, "250 2.1.0 ok"),
        (ANA, "192.0.2.7", 3600.0, AUTH_FIRST),
        (ANA, "192.0.2.8", 10.0, AUTH_FIRST),
        ("bob@example.com", "192.0.2.7", 10.0, AUTH_FIRST),
    ],
)
def test_a_login_by_pop3_or_imap_is_enough_for_its_sender(
    email: str, ip: str, age: float, reply: str
) -> None:
    desk = desk_of(sender_rules=CHECKED, check_relay="account", login_seconds=3600.0)
    desk.knows("bob@example.com", PASSWORD)
    desk.accounts.put_relay_login(RelayLogin(email, ip, int(desk.clock.now() - age)))
    assert said(desk.greeted(), desk, f"MAIL FROM:<{ANA}>") == [reply]
