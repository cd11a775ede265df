from base64 import b64encode

import pytest

from indimail.mail.address import Address
from indimail.mail.dsn import Dsn
from indimail.mail.envelope import Envelope, ForwardPath, ReversePath
from indimail.mail.errors import Misuse
from indimail.mail.outcome import Deferred, Delivered, Failed, Peer
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.smtp.client import SmtpClient
from indimail.smtp.client_event import Closed, Derive, Ready, SendBody, Settled, StartTls
from indimail.smtp.hop import Credentials, Hop, Tls
from indimail.smtp.offer import Offer
from indimail.testing.smtpclient import NONCE, parse_mail

MAIL = parse_mail("ana@example.net bo@example.com")
TWO = parse_mail("ana@example.net bo@example.com cy@example.com")
PLAIN = b"220 mx\r\n250 mx\r\n"
PIPELINING = b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n"
CHUNKING = b"220 mx\r\n250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"


def said(client, octets):
    """Receive replies one by one, as a server that answers would send them; return the events."""
    events = []
    for line in octets.splitlines(keepends=True):
        client.receive(line)
        events += taken(client)
    return events


def taken(client):
    events = []
    while (event := client.next_event()) is not None:
        events.append(event)
    return events


def ready(replies=PLAIN, **hop):
    client = SmtpClient(Hop("192.0.2.1", "client.example.net", **hop), NONCE)
    assert said(client, replies) == [Ready()]
    client.data_to_send()
    return client


def at_body(replies=PIPELINING, mail=MAIL, **hop):
    client = ready(replies, **hop)
    client.begin(mail)
    answers = b"250 ok\r\n" * (1 + len(mail.forward_paths))
    events = said(client, answers + (b"" if b"CHUNKING" in replies else b"354 go\r\n"))
    assert events == [SendBody()]
    client.data_to_send()
    return client


def outcomes(events):
    """Return the letters of the one `Settled`, its marks, and whether the client closed."""
    settled = [event for event in events if isinstance(event, Settled)]
    assert len(settled) == 1
    letters = "".join(
        {Delivered: "K", Deferred: "Z", Failed: "D"}[type(o)] for o in settled[0].outcomes
    )
    return letters, settled[0].unknown, settled[0].again, isinstance(events[-1], Closed)


def test_a_mail_is_a_few_calls():
    client = ready(PIPELINING)
    client.begin(MAIL)
    assert client.data_to_send() == (
        b"MAIL FROM:<ana@example.net>\r\nRCPT TO:<bo@example.com>\r\nDATA\r\n"
    )
    assert said(client, b"250 ok\r\n250 ok\r\n354 go\r\n") == [SendBody()]
    client.send_body(b"hi\n", last=True)
    assert client.data_to_send() == b"hi\r\n.\r\n"
    (settled, last) = said(client, b"250 taken\r\n")
    text = (
        "From: <ana@example.net> RCPT: <bo@example.com> "
        "192.0.2.1 accepted message - Protocol SMTP.\nRemote host said: 250 taken"
    )
    peer = Peer("192.0.2.1", "192.0.2.1", "250 taken")
    assert settled == Settled((Delivered(text, dsn=Dsn.RELAYED, peer=peer),))
    assert last == Ready()
    client.quit()
    assert (taken(client), client.data_to_send(), client.closed) == ([Closed()], b"QUIT\r\n", True)


def test_what_led_to_the_host_is_the_rule_of_its_outcomes():
    rule = Rule("control/smtproutes", 3)
    client = ready(rule=rule)
    client.begin(parse_mail("ana@example.net bo@example.com b\u00f6@example.com"))
    (settled, _) = said(client, b"550 no\r\n")
    assert [outcome.rule for outcome in settled.outcomes] == [rule, rule]


# -- timeouts: RFC 5321 4.5.3.2


def test_each_step_says_how_long_the_server_may_be_silent():
    client = SmtpClient(Hop("192.0.2.1", "client.example.net"))
    assert client.timeout == 300  # the greeting
    waits = []
    for line in (b"220 mx\r\n", b"250-mx\r\n", b"250 DSN\r\n"):
        said(client, line)
        waits.append(client.timeout)
    assert waits == [300, 300, 0]  # EHLO, its rest; Ready: nothing is owed
    client.begin(MAIL)
    waits = [client.timeout]
    for line in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        said(client, line)
        waits.append(client.timeout)
    assert waits == [300, 300, 120, 180]  # MAIL, RCPT, DATA, a block
    client.send_body(b"a")
    taken(client)
    assert client.timeout == 180
    client.send_body(b"\n", last=True)
    assert client.timeout == 600  # the final dot
    said(client, b"250 ok\r\n")
    assert client.timeout == 0


def test_in_a_pipeline_the_time_is_that_of_the_reply_that_comes_next():
    client = ready(PIPELINING)
    client.begin(MAIL)
    waits = [client.timeout]
    for line in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        said(client, line)
        waits.append(client.timeout)
    assert waits == [300, 300, 120, 180]


def test_chunks_have_the_times_of_a_body():
    client = at_body(CHUNKING)
    client.send_body(b"a\n")
    assert client.timeout == 180
    taken(client)
    client.send_body(b"b\n", last=True)
    assert client.timeout == 600


# -- the server speaks out of turn


def test_a_reply_before_its_command_is_nobodys():
    client = ready(PLAIN)
    client.receive(b"250 for what comes\r\n")
    client.begin(MAIL)
    letters, unknown, again, closed = outcomes(taken(client))
    assert (letters, unknown, again, closed) == ("Z", 0, False, True)
    assert client.data_to_send() == b""


def test_a_greeting_with_its_next_reply_is_out_of_step():
    client = SmtpClient(Hop("192.0.2.1", "client.example.net"))
    client.receive(b"220 mx\r\n250 mx\r\n")
    (closed,) = taken(client)
    assert isinstance(closed.outcome, Deferred)
    assert closed.next_host


def test_a_success_before_the_message_is_no_success():
    """Two replies to DATA, or a server one reply ahead: the mail must not count as taken."""
    client = ready(PIPELINING)
    client.begin(MAIL)
    client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n")
    assert outcomes(taken(client)) == ("Z", 0, False, True)
    assert b"\r\n.\r\n" not in client.data_to_send()


def test_half_a_success_before_the_message_is_no_success():
    client = at_body()
    client.receive(b"250 ta")
    client.send_body(b"a line\n", last=True)
    assert client.data_to_send() == b""
    assert outcomes(said(client, b"ken\r\n")) == ("Z", 0, False, True)


@pytest.mark.parametrize("replies", [PIPELINING, CHUNKING])
@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        (b"552 5.3.4 too big\r\n", "D"),
        (b"452 4.3.1 full\r\n", "Z"),
        (b"421 4.3.2 bye\r\n", "Z"),
        (b"oops\r\n", "Z"),
        (b"354 go\r\n", "Z"),
        (b"250 taken\r\n", "Z"),
    ],
)
def test_a_judgement_of_half_a_message_ends_it_without_the_rest(replies, reply, letter):
    client = at_body(replies)
    client.receive(reply)
    client.send_body(b"half\n")
    events = taken(client)
    assert outcomes(events) == (letter, 0, False, True)
    assert client.data_to_send() == b""


@pytest.mark.parametrize(("reply", "letter"), [(b"552 too big\r\n", "D"), (b"250 ok\r\n", "Z")])
def test_a_server_that_reads_no_more_is_heard_while_the_rest_waits(reply, letter):
    """A driver whose transport is full asks for events again when something comes."""
    client = at_body()
    client.send_body(b"x" * 1000)
    client.data_to_send()
    client.receive(reply)
    assert outcomes(taken(client)) == (letter, 0, False, True)
    assert client.data_to_send() == b""


def test_half_a_reply_to_a_chunk_holds_no_other_chunk_up():
    client = at_body(CHUNKING)
    client.send_body(b"one\n")
    assert taken(client) == [SendBody()]
    client.receive(b"250 oc")
    client.send_body(b"two\n", last=True)
    assert client.data_to_send() == b"BDAT 5\r\none\r\nBDAT 5 LAST\r\ntwo\r\n"
    assert outcomes(said(client, b"tets\r\n250 taken\r\n")) == ("K", 0, False, False)


@pytest.mark.parametrize(("last", "unknown"), [(False, 0), (True, 1)])
def test_no_reply_to_a_chunk_leaves_unknown_only_a_message_that_was_sent(last, unknown):
    client = at_body(CHUNKING)
    client.send_body(b"one\n")
    taken(client)
    if last:
        client.send_body(b"two\n", last=True)
    client.receive(b"oops\r\n")
    if not last:
        client.send_body(b"two\n")
    assert outcomes(taken(client)) == ("Z", unknown, False, True)


# -- losing the connection


def test_an_end_that_was_known_before_the_dot_leaves_nothing_unknown():
    client = at_body()
    client.receive_eof()
    client.send_body(b"a line\n", last=True)
    assert outcomes(taken(client)) == ("Z", 0, False, True)
    assert client.data_to_send() == b""


def test_what_was_not_sent_yet_is_not_sent_to_a_lost_server():
    client = at_body()
    client.send_body(b"a line\n", last=True)
    client.timed_out()
    assert client.data_to_send() == b""
    assert outcomes(taken(client)) == ("Z", 1, False, True)


def test_chunks_that_were_taken_are_no_message():
    client = at_body(CHUNKING, TWO)
    client.send_body(b"a line\n")
    said(client, b"250 octets\r\n")
    client.receive_eof()
    assert outcomes(taken(client)) == ("ZZ", 0, False, True)


def test_replies_before_the_end_of_the_connection_count():
    client = at_body()
    client.send_body(b"a line\n", last=True)
    client.receive(b"250 taken\r\n")
    client.receive_eof()
    assert outcomes(taken(client)) == ("K", 0, False, True)


def test_only_a_used_connection_may_be_replaced_at_once():
    client = ready(PIPELINING)
    client.begin(MAIL)
    client.receive_eof()
    assert outcomes(taken(client)) == ("Z", 0, False, True)


def test_a_mail_that_was_answered_is_not_tried_again_at_once():
    client = ready(PIPELINING)
    for last in (b"451 later\r\n503 no\r\n503 no\r\n", b"250 ok\r\n"):
        client.begin(MAIL)
        events = said(client, last)
    client.receive_eof()
    assert outcomes(events + taken(client)) == ("Z", 0, False, True)


def test_what_we_give_up_is_not_tried_again_at_once():
    client = ready(PIPELINING)
    client.begin(MAIL)
    said(client, b"451 later\r\n503 no\r\n503 no\r\n")
    client.begin(MAIL)
    client.give_up("Unable to read message. (#4.3.0)")
    assert outcomes(taken(client)) == ("Z", 0, False, True)


def test_after_the_end_nothing_happens():
    client = at_body()
    client.timed_out()
    assert outcomes(taken(client)) == ("Z", 0, False, True)
    client.receive(b"250 ok\r\n")
    client.receive_eof()
    client.timed_out()
    client.give_up("late")
    client.send_body(b"late\n", last=True)
    client.quit()
    assert (taken(client), client.data_to_send(), client.timeout) == ([], b"", 0)


def test_a_key_that_is_derived_too_late_is_for_nobody():
    hop = Hop("192.0.2.1", "c", credentials=Credentials("user", Secret("pencil")))
    client = SmtpClient(hop, NONCE)
    first = b64encode(b"r=" + NONCE.encode() + b"x,s=QSXCR+Q6sek8bf92,i=4096")
    replies = b"220 mx\r\n250-mx\r\n250 AUTH SCRAM-SHA-1\r\n334 " + first + b"\r\n"
    (derive,) = said(client, replies)
    assert isinstance(derive, Derive)
    assert client.timeout == 0
    client.receive_eof()
    (closed,) = taken(client)
    assert closed.next_host
    client.derived(derive.work())
    assert (taken(client), client.closed) == ([], True)


# -- what we do wrong


def test_calls_out_of_order_are_our_bug():
    client = SmtpClient(Hop("192.0.2.1", "client.example.net"))
    for call in (
        lambda: client.begin(MAIL),
        client.quit,
        lambda: client.send_body(b""),
        lambda: client.downgraded(1),
        lambda: client.not_downgraded("x"),
        client.tls_started,
        lambda: client.tls_failed("x"),
        lambda: client.derived(b""),
    ):
        with pytest.raises(Misuse):
            call()
    said(client, PLAIN)
    client.begin(MAIL)
    with pytest.raises(Misuse):
        client.begin(MAIL)
    with pytest.raises(Misuse):
        client.quit()


def test_a_body_is_given_where_it_was_asked_for():
    client = at_body()
    client.send_body(b"a")
    with pytest.raises(Misuse):
        client.send_body(b"b")


@pytest.mark.parametrize("count", [0, 101])
def test_a_transaction_has_one_to_a_hundred_recipients(count):
    paths = (ForwardPath(Address("bo", "example.com")),) * count
    with pytest.raises(Misuse):
        ready().begin(Envelope(ReversePath(Address("ana", "example.net")), paths))


def test_a_hundred_recipients_are_one_transaction():
    paths = tuple(ForwardPath(Address(f"r{n}", "example.com")) for n in range(100))
    client = ready(PIPELINING)
    client.begin(Envelope(ReversePath(Address("", "")), paths))
    assert client.data_to_send().count(b"RCPT TO:<r") == 100
    replies = b"250 ok\r\n" + b"250 ok\r\n550 no\r\n" * 50 + b"354 go\r\n"
    assert said(client, replies) == [SendBody()]
    client.send_body(b"a line\n", last=True)
    assert outcomes(said(client, b"250 taken\r\n"))[0] == "KD" * 50


# -- what the driver may ask


def test_what_is_offered_is_known_when_it_is_ready():
    client = ready(b"220 mx\r\n250-mx\r\n250-SIZE 9\r\n250 DSN\r\n")
    assert client.offer == Offer(takes_size=True, size=9, dsn=True)
    assert not client.tls


def test_tls_and_credentials_are_for_those_who_need_them():
    hop = Hop("192.0.2.1", "c", Tls.REQUIRED, credentials=Credentials("ana", Secret("wonder")))
    client = SmtpClient(hop)
    assert said(client, b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n") == [StartTls()]
    client.tls_started()
    assert client.tls
    client.data_to_send()
    said(client, b"250-mx\r\n250 AUTH PLAIN\r\n")
    assert client.data_to_send() == b"AUTH PLAIN AGFuYQB3b25kZXI=\r\n"
    assert "wonder" not in f"{hop}{client}"
    assert said(client, b"235 ok\r\n") == [Ready()]


# -- whose words they are --------------------------------------------------------------------------

MX = {"host": "mx.example.com"}


def told(replies, mail=MAIL, **hop):
    """Let a server say its replies to all that it is asked; return the outcomes that come of it."""
    client = SmtpClient(Hop("192.0.2.1", "client.example.net", **hop), NONCE)
    ends = []
    for reply in [b"220 mx", b"250 mx", *replies] if replies[0] != b"" else replies[1:]:
        for event in said(client, reply + b"\r\n"):
            match event:
                case Ready() if mail is not None:
                    client.begin(mail)
                    mail = None
                case SendBody():
                    client.send_body(b"hi\n", last=True)
                case Settled(found):
                    ends += found
                case Closed(outcome) if outcome is not None:
                    ends.append(outcome)
    return ends


@pytest.mark.parametrize(
    ("replies", "reply"),
    [
        ([b"", b"554 not you"], "554 not you"),
        ([b"", b"421 later"], "421 later"),
        ([b"", b"220 mx", b"451 who?"], "451 who?"),
        ([b"", b"220 mx", b"500 what?", b"550 no"], "550 no"),
        ([b"550-5.7.1 not\r\n550 5.7.1 this one"], "550-5.7.1 not\n550 5.7.1 this one"),
        ([b"250 ok", b"550 5.1.1 who?"], "550 5.1.1 who?"),
        ([b"250 ok", b"450 4.2.1 later"], "450 4.2.1 later"),
        ([b"250 ok", b"250 ok", b"554 5.3.4 no"], "554 5.3.4 no"),
        ([b"250 ok", b"250 ok", b"354 go", b"552 5.3.4 too much"], "552 5.3.4 too much"),
        ([b"250 ok", b"250 ok", b"354 go", b"250 2.0.0 taken"], "250 2.0.0 taken"),
        ([b"250 ok", b"421 4.3.2 closing"], "421 4.3.2 closing"),
        ([b"what is this"], ""),  # is no reply
        ([b"250 ok", b"250 ok", b"hello"], ""),
    ],
)
def test_an_outcome_has_the_server_and_its_own_reply(replies, reply):
    [outcome] = told(replies, **MX)
    assert outcome.peer == Peer("mx.example.com", "192.0.2.1", reply)


def test_a_server_that_was_lost_said_nothing():
    for client in (at_body(**MX), ready(**MX)):
        if client.timeout == 0:
            client.begin(MAIL)
        client.receive_eof()
        [settled, _] = taken(client)
        assert settled.outcomes[0].peer == Peer("mx.example.com", "192.0.2.1")


def test_each_recipient_has_the_reply_that_was_its_own():
    replies = [b"250 ok", b"550 5.1.1 no bo", b"250 ok", b"354 go", b"250 taken"]
    first, second = told(replies, TWO, **MX)
    assert (first.peer.reply, second.peer.reply) == ("550 5.1.1 no bo", "250 taken")
    first, second = told([b"250 ok", b"550 no bo", b"450 no cy"], TWO, **MX)
    assert (first.peer.reply, second.peer.reply) == ("550 no bo", "450 no cy")


def test_a_server_that_was_told_nothing_says_nothing():
    large = parse_mail("ana@example.net bo@example.com size=9")
    [outcome] = told([b"", b"220 mx", b"250-mx\r\n250 SIZE 5", b"250 never said"], large, **MX)
    assert outcome.peer == Peer("mx.example.com", "192.0.2.1")
