import pytest

from indimail.mail.address import Address
from indimail.mail.envelope import ForwardPath, ReversePath
from indimail.mail.errors import Misuse
from indimail.mail.reply import Reply
from indimail.smtp import (
    AuthKeysWanted,
    Greeting,
    HelloOffered,
    MessageChunk,
    MessageEnded,
    MessageOffered,
    RecipientOffered,
    Refusal,
    SenderOffered,
    SessionRules,
    SmtpSession,
    TlsOffered,
)
from indimail.smtp.replies import MAIL_FIRST, NO_AUTH, not_recognized

OK = Reply(250, "2.0.0", "ok")


def greeted(**rules):
    session = SmtpSession(SessionRules(greeting=("mx.example.com",), **rules))
    assert session.next_event() == Greeting()
    session.answer()
    session.data_to_send()
    return session


def asked(session, data=b""):
    """Receive, answer everything with None or ok, return the questions."""
    session.receive(data)
    events = []
    while (event := session.next_event()) is not None:
        events.append(event)
        session.answer(OK if isinstance(event, MessageEnded) else None)
    return events


def test_a_mail_is_a_row_of_questions():
    session = greeted()
    events = asked(
        session,
        b"EHLO client.example\r\nMAIL FROM:<ana@client.example> SIZE=9\r\n"
        b"RCPT TO:<bo@example.com> NOTIFY=NEVER\r\nDATA\r\nhi\r\n.\r\n",
    )
    assert events == [
        HelloOffered("client.example", extended=True),
        SenderOffered(ReversePath(Address("ana", "client.example"), size=9)),
        RecipientOffered(ForwardPath(Address("bo", "example.com"), "NEVER")),
        MessageOffered(),
        MessageChunk(b"hi\n"),
        MessageEnded(3),
    ]


def test_nothing_is_read_or_said_while_a_question_is_open():
    session = greeted()
    session.receive(b"MAIL FROM:<>\r\nNOOP\r\nNOOP\r\n")
    assert isinstance(session.next_event(), SenderOffered)
    assert session.data_to_send() == b""
    assert session.has_unread
    session.answer()
    assert session.data_to_send() == b"250 2.1.0 ok\r\n"
    assert session.next_event() is None
    assert session.data_to_send() == b"250 2.0.0 ok\r\n250 2.0.0 ok\r\n"


def test_calls_out_of_order_are_our_bug():
    session = SmtpSession(SessionRules(greeting=("mx.example.com",)))
    with pytest.raises(Misuse):
        session.answer()
    session.next_event()
    with pytest.raises(Misuse):
        session.next_event()
    session.answer()
    with pytest.raises(Misuse):
        session.tls_started()
    session.receive(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\n")
    while not isinstance(session.next_event(), MessageEnded):
        session.answer()
    with pytest.raises(Misuse):
        session.answer(None)


def test_the_drivers_reply_is_what_the_client_hears():
    session = greeted()
    session.id = 7
    session.receive(b"MAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\n")
    session.next_event()
    session.answer(Reply(250, "2.1.0", "welcome back"))
    session.next_event()
    session.answer(Reply(550, "5.1.1", "sorry,", "absent"))
    assert session.data_to_send() == (
        b"250 2.1.0 welcome back\r\n550-5.1.1 sorry,\r\n550 5.1.1 absent [id 7]\r\n"
    )


def test_each_message_may_have_its_id():
    session = greeted()
    session.receive(b"MAIL FROM:<>\r\nMAIL FROM:<>\r\n")
    for number in (1, 2):
        session.next_event()
        session.id = number
        session.answer(Reply(550, "5.7.1", "no"))
    assert session.data_to_send() == b"550 5.7.1 no [id 1]\r\n550 5.7.1 no [id 2]\r\n"


def test_the_sessions_own_refusals_are_noted():
    session = greeted()
    asked(session, b"RCPT TO:<a@example.com>\r\nfoo bar\r\nAUTH PLAIN c2VjcmV0\r\n")
    assert session.refusals == [
        Refusal("RCPT", "TO:<a@example.com>", MAIL_FIRST),
        Refusal("FOO", "bar", not_recognized(b"FOO", b"bar")),
        Refusal("AUTH", "", NO_AUTH),
    ]


@pytest.mark.parametrize("auth", [(), ("PLAIN", "LOGIN")])
def test_what_is_said_blindly_after_a_refused_auth_is_repeated_nowhere(auth):
    session = greeted(auth=auth)
    asked(session, b"AUTH LOGIN\r\nYW5h\r\nd29uZGVy\r\nNOOP\r\nYW5h\r\n")
    said = session.data_to_send()
    assert said.count(b"command not recognized") == 2
    assert b"D29" not in said
    assert b"command YW5H not recognized" in said  # as any other
    assert [(refusal.verb, refusal.argument) for refusal in session.refusals] == [
        ("AUTH", ""), ("", ""), ("", ""), ("YW5H", ""),
    ]  # fmt: skip


def test_auth_needs_a_nonce_each_time():
    session = greeted(auth=("PLAIN",), secure_auth=False)
    session.receive(b"AUTH PLAIN\r\n")
    session.next_event()
    with pytest.raises(Misuse):
        session.answer(None)


def test_scram_goes_on_with_keys():
    session = greeted(auth=("SCRAM-SHA-256",))
    session.receive(b"AUTH SCRAM-SHA-256 biwsbj1hbmEscj1meWtv\r\n")
    session.next_event()
    session.nonce = "1896.697"
    session.answer(None)
    assert session.next_event() == AuthKeysWanted("SCRAM-SHA-256", "ana", "sha256")
    with pytest.raises(Misuse):
        session.answer(None)


def test_what_received_needs_is_readable():
    session = greeted(smtputf8=True)
    session.client_name = "client.example"
    asked(session, b"EHLO\r\nMAIL FROM:<> SMTPUTF8\r\n")
    assert (session.helo, session.extended, session.tls, session.utf8) == (
        "client.example",
        True,
        False,
        True,
    )
    asked(session, b"MAIL FROM:<>\r\nHELO other.example\r\n")
    assert (session.helo, session.extended, session.utf8) == ("other.example", False, False)


def test_tls_forgets_what_was_said_before():
    session = greeted(starttls=True)
    asked(session, b"EHLO client.example\r\nMAIL FROM:<>\r\n")
    assert asked(session, b"STARTTLS\r\nRCPT TO:<a@example.com>\r\n") == [TlsOffered()]
    assert session.awaits_tls
    assert asked(session, b"NOOP\r\n") == []
    session.tls_started()
    assert (session.helo, session.extended, session.tls) == ("", False, True)
    session.data_to_send()
    assert asked(session, b"RCPT TO:<a@example.com>\r\n") == []
    assert session.data_to_send() == b"503 5.5.1 MAIL first (#5.5.1)\r\n"


def test_tls_may_come_before_the_greeting():
    session = SmtpSession(SessionRules(greeting=("mx.example.com",), starttls=True))
    session.tls_started()
    asked(session, b"EHLO client.example\r\n")
    assert session.tls
    assert b"STARTTLS" not in session.data_to_send()


def test_a_handshake_is_not_spoken_into():
    session = greeted(starttls=True)
    asked(session, b"STARTTLS\r\n")
    session.data_to_send()
    session.shut_down()
    assert (session.closed, session.data_to_send()) == (True, b"")


def test_early_talk_is_seen_during_the_greeting():
    session = SmtpSession(SessionRules(greeting=("mx.example.com",)))
    session.next_event()
    assert not session.has_unread
    session.receive(b"EHLO a\r\n")
    assert session.has_unread


def test_a_shutdown_waits_for_the_open_question():
    session = greeted()
    session.receive(b"MAIL FROM:<>\r\nNOOP\r\n")
    session.next_event()
    session.shut_down()
    assert session.data_to_send() == b""
    session.answer()
    assert [line[:3] for line in session.data_to_send().splitlines()] == [b"250", b"421"]
    assert session.closed


def test_a_timeout_waits_for_the_open_question_only():
    session = greeted()
    session.receive(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n")
    while not isinstance(session.next_event(), MessageChunk):
        session.answer()
    session.data_to_send()
    session.time_out()
    session.answer()
    assert session.data_to_send().startswith(b"451 4.4.2 ")
    assert not session.closed  # the message has to be dropped first
    session.next_event()
    session.answer()
    assert session.closed


def test_a_closed_session_hears_nothing():
    session = greeted()
    asked(session, b"QUIT\r\n")
    session.data_to_send()
    assert asked(session, b"NOOP\r\n") == []
    session.receive_eof()
    session.time_out()
    session.shut_down()
    assert (session.next_event(), session.data_to_send(), session.closed) == (None, b"", True)


def test_a_body_is_a_stream():
    """What is handed over is not kept, and one read is one chunk."""
    session = greeted()
    asked(session, b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")
    line = b"x" * 62 + b"\r\n"
    for _ in range(10):
        (chunk,) = asked(session, line * 1000)
        assert len(chunk.data) in range(62_000, 64_000)
        assert not session.has_unread
    assert asked(session, b"\r\n.\r\n")[-1] == MessageEnded(10 * 1000 * 63 + 1)
