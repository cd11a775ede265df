"""Who may relay, as a client meets it: what is asked for him, when, and what the mail says."""

from indimail.mail.line import Line
from indimail.mail.verdict import Rule
from indimail.net.names import ClientName
from indimail.net.tls import ClientCertificate
from indimail.policy.relaylists import parse_tlsclients
from indimail.policy.sender import SenderRules, SenderState
from indimail.serve.reception import SenderFound
from serve.desk import STRANGER, Client, Desk, relaydomains

MAIL = ("MAIL FROM:<eve@example.net>", "RCPT TO:<ana@example.com>")
ELSEWHERE = "RCPT TO:<bob@elsewhere.example>"

# -- the client's name -----------------------------------------------------------------------------


HEAVEN = {"relaydomains": relaydomains("heaven.af.mil:", ".heaven.af.mil:@fix.me")}


def named(desk: Desk, found: ClientName) -> Client:
    """Connect a client, and let DNS say this of it."""
    client = desk.connect()
    (asked,) = desk.names
    assert (asked[0], client.heard()) == (STRANGER[0], [])
    desk.names.clear()
    asked[1](found)
    return client


def test_a_client_is_looked_up_in_dns_only_where_a_name_matters() -> None:
    for desk in (Desk(), Desk("192.0.2.:allow"), Desk(relay={"relaydomains": relaydomains("@a:")})):
        assert desk.connect().heard()[0].startswith("220 ")
        assert desk.names == []
    for desk in (Desk(relay=HEAVEN), Desk("=.af.mil:deny")):
        assert desk.connect().heard() == []
        assert len(desk.names) == 1


def test_a_client_of_a_name_in_relaydomains_may_relay_and_the_mail_says_its_name() -> None:
    desk = Desk(relay=HEAVEN)
    client = named(desk, ClientName("mx.heaven.af.mil"))
    client.say("EHLO x", MAIL[0], ELSEWHERE, MAIL[1], "DATA", "s: x", ".")
    desk.queue.commit()
    assert client.heard()[-1].startswith("250 ")
    ((message, recipients),) = desk.queue.accepted
    assert [recipient.address for recipient in recipients] == [
        "bob@elsewhere.example@fix.me", "ana@example.com@fix.me",
    ]  # fmt: skip
    assert b" from mx.heaven.af.mil (HELO x) (192.0.2.7)" in (message.body or b"")
    told = desk.trace.told("recipient")[0]
    assert (told.text, str(told.rule)) == ("relaydomains", "control/relaydomains:2")
    assert told.facts["client_host"] == "mx.heaven.af.mil"


def test_a_name_that_dns_does_not_tell_defers_and_is_no_refusal() -> None:
    desk = Desk(relay=HEAVEN)
    client = named(desk, ClientName(trouble="127.0.0.1:53: SERVFAIL"))
    client.say("EHLO x", MAIL[0], ELSEWHERE, MAIL[1])
    deferred, ours = client.heard()[-2:]
    assert deferred.startswith("451 4.4.3 ")
    assert ours == "250 2.1.5 ok"
    told = desk.trace.told("recipient")[0]
    assert (told.verdict, told.text) == ("later", "127.0.0.1:53: SERVFAIL")
    assert not [line for line in desk.log.lines if "RELAY" in line]


def test_checksender_takes_a_name_for_a_permission_and_no_answer_for_no_refusal() -> None:
    rules = SenderRules(checksender=Rule("tcp/tcp.smtp", 1))
    desk = Desk(relay=HEAVEN, sender_rules=rules)
    desk.reception.sender_state = lambda address, _: SenderFound(SenderState.THERE, str(address))
    for found, code in (
        (ClientName("heaven.af.mil"), "250"),
        (ClientName("mx.example.net"), "530"),
        (ClientName(trouble="SERVFAIL"), "451"),
    ):
        client = named(desk, found)
        client.say("EHLO x", "MAIL FROM:<ana@example.com>")
        desk.work()
        assert client.heard()[-1].startswith(code)


def test_a_rule_of_tcp_smtp_asks_for_a_name() -> None:
    desk = Desk("=.heaven.af.mil:deny", ":allow")
    assert named(desk, ClientName("mx.heaven.af.mil")).aborted
    assert named(desk, ClientName("heaven.af.mil")).heard()[0].startswith("220 ")


def test_what_a_client_says_while_dns_is_asked_is_kept_and_one_that_leaves_is_forgotten() -> None:
    desk = Desk(relay=HEAVEN)
    client, other = desk.connect(), desk.connect()
    client.say("EHLO early.example.net")
    other.leave()
    for _, told in desk.names:
        told(ClientName())
    assert [line[:3] for line in client.heard()][:2] == ["220", "250"]
    assert other.heard() == []


# -- the client's certificate ----------------------------------------------------------------------

GATEWAY = Line("control/tlsclients", 1, "gw@partner.example")
LISTED = {"tlsclients": parse_tlsclients([GATEWAY])[0]}


def shown(desk: Desk, certificate: ClientCertificate) -> Client:
    """Connect a client, and take its handshake for done, with this certificate."""
    client = desk.connect()
    client.connection.client.begins_tls("TLSv1.3", "TLSv1.3 AES bits=256", certificate)
    client.say("EHLO x")
    client.heard()
    return client


def test_a_client_whose_certificate_is_listed_may_relay_and_the_mail_says_so() -> None:
    desk = Desk(relay=LISTED)
    client = shown(desk, ClientCertificate(("other@partner.example", "GW@Partner.example")))
    client.say(MAIL[0], ELSEWHERE, "DATA", "s: x", ".")
    desk.queue.commit()
    assert client.heard()[-1].startswith("250 ")
    ((message, _),) = desk.queue.accepted
    assert b" (TLSv1.3 AES bits=256) (cert <GW@Partner.example>);" in (message.body or b"")
    told = desk.trace.told("recipient")[0]
    assert (told.text, str(told.rule)) == ("tlsclients", "control/tlsclients:1")
    client.say(MAIL[0], ELSEWHERE)  # for the connection
    assert client.heard()[-1] == "250 2.1.5 ok"


def test_a_certificate_that_is_not_believed_permits_nothing_and_the_refusal_says_why() -> None:
    desk = Desk(relay=LISTED)
    for certificate, end in (
        (ClientCertificate(trouble="expired"), "; no valid cert for gateway: expired  #5.7.1"),
        (ClientCertificate(("x@partner.example",)), "; no valid cert for gateway  #5.7.1"),
        (ClientCertificate(), "; no valid cert for gateway  #5.7.1"),
    ):
        client = shown(desk, certificate)
        client.say(MAIL[0], ELSEWHERE)
        assert client.heard()[-1].startswith("553 5.7.1 ")
        client.say(ELSEWHERE)
        assert f"without authentication{end} [id " in client.heard()[0]
