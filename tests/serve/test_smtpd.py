import re
import ssl

import pytest
import trustme

from indimail.delivery.plan import Plan
from indimail.mail.channel import Channel
from indimail.mail.errors import AccountsUnavailable, QueueFull, QueueUnwritable
from indimail.mail.verdict import Rule
from indimail.net.tls import TlsContext
from indimail.policy.limits import ConnectionLimits
from indimail.policy.recipient import RecipientLimits
from indimail.queue.spool import LARGE
from indimail.serve.smtpd import UNREAD
from indimail.smtp.rules import SessionRules
from indimail.testing.disk import Kind
from serve.desk import DELIVERABLE, Client, Desk, snapshot

MAIL = ("MAIL FROM:<eve@example.net>", "RCPT TO:<alice@example.com>")
ALICE = "example.com-alice@example.com"
BIG = b"Subject: big\r\n\r\n" + b"0123456789abcde\r\n" * (LARGE // 16)
BIG_STORED = BIG.replace(b"\r\n", b"\n")


def begun(desk: Desk) -> Client:
    """Return a client that may send its message now."""
    client = desk.greeted()
    client.say(*MAIL, "DATA")
    assert client.heard() == ["250 2.1.0 ok", "250 2.1.5 ok", "354 go ahead"]
    return client


# -- commit point 1 --------------------------------------------------------------------------------


def test_250_is_said_after_the_commit_and_not_before() -> None:
    desk = Desk()
    client = begun(desk)
    client.say("Subject: x", "", "hello", ".", "NOOP")
    assert len(desk.queue.submitted) == 1
    assert client.heard() == []
    desk.queue.commit()
    assert client.heard() == [
        f"250 2.0.0 ok 1000000000 qp {client.connection_id}",
        "250 2.0.0 ok",
    ]
    [(message, recipients)] = desk.queue.accepted
    assert (message.id, message.reverse_path) == (client.connection_id, "eve@example.net")
    assert [(r.address, r.channel, r.target) for r in recipients] == [
        ("alice@example.com", Channel.LOCAL, ALICE)
    ]
    received, _, rest = message.body.partition(b"Subject")
    assert received.startswith(b"Received: indimail-mta smtpd %d (HELO client" % message.id)
    assert rest == b": x\n\nhello\n"
    assert message.size == len(message.body)


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (QueueUnwritable("/queue: EIO"), "451 4.3.0 Sorry, I got a temporary queue failure"),
        (QueueFull("/queue: 1 octet"), "452 4.3.1 Sorry, I have not enough space"),
        (ValueError("a bug"), "451 4.3.0 Sorry, I got a temporary failure"),
    ],
)
def test_a_failed_commit_is_a_4xx_that_tells_nothing_of_the_disk(failure, reply) -> None:
    desk = Desk()
    client = begun(desk)
    client.say("hello", ".")
    desk.queue.commit(failure)
    [line] = client.heard()
    assert line.startswith(reply)
    assert line.endswith(f"[id {client.connection_id}]")
    assert str(failure) not in line
    assert [r.verdict for r in desk.trace.told("message")] == ["later"]
    client.say(*MAIL, "DATA", "again", ".")  # the conversation goes on
    desk.queue.commit()
    assert client.heard()[-1].startswith("250 2.0.0 ok")


def test_a_full_disk_refuses_data_before_a_body_is_sent() -> None:
    desk = Desk()
    desk.choice = QueueFull("/queue: less than MIN_FREE")
    client = desk.greeted()
    client.say(*MAIL, "DATA")
    assert client.heard()[2].startswith("452 4.3.1 ")
    desk.choice = desk.queue
    client.say("DATA", "hello", ".")  # the transaction is still there
    desk.queue.commit()
    assert [line[:3] for line in client.heard()] == ["354", "250"]


def test_a_client_that_left_during_the_commit_has_sent_its_mail_all_the_same() -> None:
    desk = Desk()
    client = begun(desk)
    client.say("hello", ".")
    client.leave()
    desk.queue.commit()
    assert len(desk.queue.accepted) == 1
    assert client.heard() == []
    assert [(r.event, r.verdict) for r in desk.trace[-3:]] == [
        ("disconnect", "end"), ("message", "accept"), ("route", "local"),
    ]  # fmt: skip


# -- large bodies ----------------------------------------------------------------------------------


def test_a_large_body_is_sealed_in_a_file_before_its_row_is_offered() -> None:
    desk = Desk()
    client = begun(desk)
    client.send(BIG)
    desk.work()
    client.send(b"the end\r\n.\r\n")
    assert desk.queue.submitted == []
    desk.work()
    [(message, _, _)] = desk.queue.submitted
    assert message.body is None
    path = desk.queue.spool.path(message.id)
    assert [(o.kind, o.path) for o in desk.disk.history[-2:]] == [
        (Kind.SYNC_FILE, path), (Kind.SYNC_DIRECTORY, "/queue/queue1/mess"),
    ]  # fmt: skip
    stored = desk.disk.read(path)
    assert stored.partition(b"Subject")[2] == BIG_STORED[7:] + b"the end\n"
    assert (message.size, message.offset) == (len(stored), 0)
    desk.queue.commit()
    assert client.heard()[0].startswith("250 ")
    assert desk.spooled() == [str(message.id)]


def test_lines_that_are_foreseen_stand_in_front_of_a_large_body() -> None:
    desk = Desk()
    desk.foresight.knows(ALICE, DELIVERABLE)
    client = begun(desk)
    client.send(BIG + b".\r\n")
    desk.work()
    [(message, _, _)] = desk.queue.submitted
    block = b"Delivered-To: example.com-alice@example.com\n"
    stored = desk.disk.read(desk.queue.spool.path(message.id))
    assert message.offset == len(block)
    assert stored.startswith(block + b"Received: ")
    assert message.size == len(stored) - len(block)


def test_lines_of_one_recipient_do_not_stand_in_front_of_a_body_for_two() -> None:
    desk = Desk()
    desk.foresight.knows(ALICE, DELIVERABLE)
    client = desk.greeted()
    client.say(*MAIL, "RCPT TO:<bob@example.com>", "DATA")
    client.send(BIG + b".\r\n")
    desk.work()
    [(message, _, _)] = desk.queue.submitted
    assert message.offset == 0
    assert desk.disk.read(desk.queue.spool.path(message.id)).startswith(b"Received: ")


@pytest.mark.parametrize("size", [LARGE - 1_000, LARGE + 1_000, 3 * LARGE])
def test_a_body_is_in_the_row_or_in_a_file_by_its_size(size) -> None:
    desk = Desk()
    client = begun(desk)
    client.send(b"x\r\n" * (size // 2) + b".\r\n")
    desk.work()
    [(message, _, _)] = desk.queue.submitted
    assert (message.body is None) == (size > LARGE) == (desk.spooled() != [])


@pytest.mark.parametrize("said", ["", " BODY=8BITMIME"])
@pytest.mark.parametrize(("text", "is_there"), [("plain", False), ("grün", True)])
def test_octets_above_127_are_marked_where_they_are_and_not_where_they_are_said_to_be(
    said: str, text: str, is_there: bool
) -> None:
    desk = Desk()
    client = desk.greeted()
    client.say(MAIL[0] + said, MAIL[1], "DATA", "", text, ".")
    [(message, _, _)] = desk.queue.submitted
    assert message.eight_bit is is_there


def test_a_large_body_whose_commit_failed_is_left_to_its_queue() -> None:
    """Its row may be on disk all the same: the queue takes both back when it opens again."""
    desk = Desk()
    client = begun(desk)
    client.send(BIG + b".\r\n")
    desk.work()
    desk.queue.commit(QueueUnwritable("EIO"))
    desk.work()
    assert client.heard()[0].startswith("451 ")
    client.leave()
    desk.work()
    assert desk.spooled() == [str(client.connection_id)]


def test_who_a_stranger_says_to_have_proved_to_be_is_kept_and_shown_nowhere() -> None:
    desk = Desk()
    desk.foresight.knows(ALICE, DELIVERABLE)
    client = desk.greeted()
    client.say("MAIL FROM:<eve@example.net> AUTH=admin@example.com", MAIL[1], "DATA", "x", ".")
    desk.queue.commit()
    assert client.heard()[-1].startswith("250 2.0.0 ")
    [(message, _)] = desk.queue.accepted
    assert message.auth == "admin@example.com"
    assert b"admin" not in message.body
    assert not [line for line in desk.log.lines if "admin" in line]
    assert "admin" not in str([record.facts for record in desk.trace])


def test_a_large_body_that_cannot_be_sealed_is_not_taken() -> None:
    desk = Desk()
    client = begun(desk)
    client.send(BIG)
    desk.work()
    desk.disk.fail(Kind.SYNC_FILE, "/mess/")
    client.send(b"the end\r\n.\r\n")
    desk.work()
    assert client.heard()[0].startswith("451 4.3.0 ")
    assert (desk.queue.submitted, desk.spooled()) == ([], [])


@pytest.mark.parametrize("when", ["while it is written", "between two pieces", "at its seal"])
def test_a_large_body_goes_when_its_client_does(when) -> None:
    desk = Desk()
    client = begun(desk)
    client.send(BIG)
    if when != "while it is written":
        desk.work()
        assert len(desk.spooled()) == 1
    if when == "at its seal":
        client.send(b".\r\n")
    client.leave()
    desk.work(last_first=True)
    assert desk.spooled() == []
    assert desk.queue.submitted == []


def test_a_large_body_that_the_disk_does_not_take_leaves_nothing_behind() -> None:
    desk = Desk()
    client = begun(desk)
    desk.disk.capacity = 1_000
    client.send(BIG + b"more\r\n.\r\n")
    desk.work()
    assert client.heard()[0].startswith("452 4.3.1 ")
    desk.work()
    assert desk.spooled() == []


def test_rset_between_two_chunks_drops_what_was_spooled() -> None:
    desk = Desk()
    client = desk.greeted()
    client.say(*MAIL, f"BDAT {len(BIG)}")
    client.send(BIG)
    desk.work()
    assert len(desk.spooled()) == 1
    client.say("RSET")
    desk.work()
    assert client.heard()[-1] == "250 2.0.0 flushed"
    assert desk.spooled() == []


# -- who may connect -------------------------------------------------------------------------------


def test_a_denied_client_is_closed_without_a_word_and_recorded() -> None:
    desk = Desk("10.:allow", "192.0.2.:deny")
    client = desk.connect()
    assert (client.aborted, client.heard()) == (True, [])
    [record] = desk.trace
    assert (record.event, record.verdict, str(record.rule)) == (
        "connect",
        "refuse",
        "tcp/tcp.smtp:2",
    )
    client.leave()
    assert desk.table.total() == 0
    assert desk.reception.open == set()


def test_too_many_connections_are_a_421_with_the_id_and_a_place() -> None:
    limits = ConnectionLimits("mx.example.com", total=3, per_client=2)
    desk = Desk(connection_limits=limits)
    first, _second, third = desk.connect(), desk.connect(), desk.connect()
    assert third.closed
    assert re.fullmatch(
        r"421 mx.example.com sorry, too many connections from your IP \(192.0.2.7\) \(#4.7.0\)"
        rf" \[id {third.id}\]",
        third.heard()[0],
    )
    assert str(desk.trace[-1].rule) == "built-in[MAXPERIP]"
    third.leave()
    first.leave()  # makes room
    assert desk.connect().heard() == ["220 mx.example.com"]
    local = ("127.0.0.1", 5)
    assert desk.connect(local).heard() == ["220 mx.example.com"]
    assert desk.connect(local).heard()[0].startswith("421 ")  # three are there, whoever asks


def test_a_mapped_address_is_its_ipv4_address() -> None:
    desk = Desk('192.0.2.7:allow,RELAYCLIENT=""')
    client = desk.greeted(("::ffff:192.0.2.7", 9))
    client.say("MAIL FROM:<a@example.net>", "RCPT TO:<b@example.org>")
    assert client.heard() == ["250 2.1.0 ok", "250 2.1.5 ok"]
    assert desk.trace[-1].rule == Rule("tcp/tcp.smtp", 1)


# -- answers that need time ------------------------------------------------------------------------


def test_looked_up_recipients_keep_the_order_of_a_pipelined_batch() -> None:
    desk = Desk(check_recipient=True)
    desk.foresight.plans = dict.fromkeys(
        [ALICE, "example.com-carol@example.com"], Plan((DELIVERABLE,))
    )
    client = desk.greeted()
    client.say(*MAIL, "RCPT TO:<bob@example.com>", "RCPT TO:<carol@example.com>", "DATA")
    assert len(desk.threads) == 1
    for looked_up in (["250 2.1.5 ok"], [f"550 5.1.1 sorry, eve@example.net mailbox bob@example.com"
            f" is absent on this domain (#5.1.1) [id {client.id}]"],
            ["250 2.1.5 ok", "354 go ahead"]):  # fmt: skip
        client.told = client.told.replace(b"250 2.1.0 ok\r\n", b"")
        assert client.heard() == []
        desk.work(1)
        assert client.heard() == looked_up
    client.say("x", ".")
    [(_, recipients, _)] = desk.queue.submitted
    assert [(r.number, r.address) for r in recipients] == [
        (0, "alice@example.com"), (1, "carol@example.com"),
    ]  # fmt: skip


def test_what_is_known_is_answered_at_once() -> None:
    desk = Desk(check_recipient=True)
    desk.foresight.knows(ALICE, DELIVERABLE)
    client = desk.greeted()
    client.say(*MAIL)
    assert client.heard() == ["250 2.1.0 ok", "250 2.1.5 ok"]
    assert not len(desk.threads)


def test_accounts_that_do_not_answer_are_a_451_and_never_a_no() -> None:
    desk = Desk(check_recipient=True)
    desk.foresight.failure = AccountsUnavailable("the database is gone")
    client = desk.greeted()
    client.say(*MAIL)
    desk.work()
    assert client.heard()[1].startswith("451 4.3.2 Sorry, I got a temporary database error")
    assert desk.trace[-1].verdict == "later"


def test_an_address_of_elsewhere_is_not_looked_up_and_not_relayed() -> None:
    desk = Desk(check_recipient=True)
    client = desk.greeted()
    client.say(MAIL[0], "RCPT TO:<x@example.org>", "DATA")
    assert client.heard() == [
        "250 2.1.0 ok",
        "553 5.7.1 sorry, that domain isn't allowed to be relayed thru this MTA without"
        f" authentication #5.7.1 [id {client.id}]",
        f"503 5.5.1 RCPT first (#5.5.1) [id {client.id}]",
    ]
    assert not len(desk.threads)


def test_an_answer_for_a_client_that_left_reaches_nobody() -> None:
    desk = Desk(check_recipient=True)
    client = desk.greeted()
    client.say(*MAIL)
    client.leave()
    client.heard()
    desk.work()
    assert client.heard() == []


def test_a_client_that_sends_on_while_it_waits_is_held_back_and_let_go() -> None:
    desk = Desk(session_rules=SessionRules(("mx",), extra_greet=False, max_commands=0))
    client = begun(desk)
    client.say("x", ".")
    client.send(b"NOOP\r\n" * (UNREAD // 6))
    assert not client.paused
    client.send(b"NOOP\r\n" * 2)
    assert client.paused
    desk.queue.commit()
    assert not client.paused
    assert len(client.heard()) == 1 + UNREAD // 6 + 2


# -- the configuration -----------------------------------------------------------------------------


def test_a_client_is_greeted_once_the_configuration_is_read_and_what_it_said_is_kept() -> None:
    desk = Desk()
    desk.config.stale = True
    client = desk.connect()
    client.say("EHLO early.example.net")
    assert client.heard() == []
    desk.config.refresh(snapshot("192.0.2.7:allow"))
    assert [line[:3] for line in client.heard()][:2] == ["220", "250"]
    assert str(desk.trace[0].rule) == "tcp/tcp.smtp:1"


def test_a_change_is_in_force_at_the_next_mail_and_not_within_one() -> None:
    desk = Desk()
    client = begun(desk)
    client.say("x", ".")
    desk.queue.commit()
    client.heard()
    desk.config.stale = True
    client.say(*MAIL)
    assert client.heard() == []
    desk.config.refresh(snapshot(check_recipient=True))
    assert client.heard() == ["250 2.1.0 ok"]
    desk.work()
    assert client.heard()[0].startswith("550 5.1.1 ")


def test_new_limits_hold_from_the_next_mail_of_a_conversation_on() -> None:
    desk = Desk(session_rules=SessionRules(("mx",), databytes=10, max_recipients=1))
    client = begun(desk)
    desk.config.refresh(snapshot(session_rules=SessionRules(("mx",), databytes=1000)))
    client.say("longer than ten octets", ".")
    assert client.heard()[0].startswith("552 5.3.4 ")
    client.say(f"{MAIL[0]} SIZE=100", MAIL[1], MAIL[1], "DATA", "longer than ten octets", ".")
    desk.queue.commit()
    assert [line[:3] for line in client.heard()] == ["250", "250", "250", "354", "250"]
    desk.config.refresh(snapshot(session_rules=SessionRules(("mx",), databytes=50)))
    client.say(f"{MAIL[0]} SIZE=100", MAIL[1])
    refused, out_of_sequence = client.heard()
    assert refused == (
        "552 5.3.4 sorry, that message size exceeds my databytes limit (#5.3.4)"
        f" [id {client.id}]"
    )  # fmt: skip
    assert out_of_sequence.startswith("503 5.5.1 MAIL first")
    assert desk.trace.told("sender")[-1].id == client.id


def test_a_line_that_moved_in_tcp_smtp_gives_its_rights_to_nobody_else() -> None:
    desk = Desk(":allow")
    stranger = desk.greeted()
    desk.config.refresh(snapshot('10.:allow,RELAYCLIENT=""', ":allow", generation=2))
    friend = desk.greeted(("10.0.0.1", 5))
    relay = ("MAIL FROM:<a@example.net>", "RCPT TO:<b@example.org>")
    friend.say(*relay)
    assert friend.heard() == ["250 2.1.0 ok", "250 2.1.5 ok"]
    stranger.say(*relay)
    assert stranger.heard()[1].startswith("553 5.7.1 ")


def test_a_rule_of_tcp_smtp_that_is_gone_does_not_break_its_conversation() -> None:
    desk = Desk('192.0.2.7:allow,RELAYCLIENT=""')
    client = desk.greeted()
    desk.config.refresh(snapshot(":deny", generation=2))
    client.say(*MAIL)
    assert client.heard() == ["250 2.1.0 ok", "250 2.1.5 ok"]
    assert desk.connect().aborted


# -- ids and the trace -----------------------------------------------------------------------------


def test_the_first_transaction_has_the_connections_id_and_each_later_one_its_own() -> None:
    desk = Desk()
    client = desk.greeted()
    connection = client.connection_id
    ids = []
    for _ in range(3):
        client.say(*MAIL, "DATA", "x", ".")
        desk.queue.commit()
        ids.append(int(client.heard()[-1].rpartition(" ")[2]))
    assert ids[0] == connection
    assert ids == sorted(set(ids))
    assert [message.id for message, _ in desk.queue.accepted] == ids
    client.say("MAIL FROM:<again@example.net>", "NONSENSE")
    assert client.heard()[1].endswith(f" [id {client.id}]")
    assert client.id > ids[-1]


def test_what_is_refused_after_a_mail_is_not_told_of_that_mail() -> None:
    """Whether it was taken, refused or dropped: its last reply ends what its id is for."""
    desk = Desk(session_rules=SessionRules(("mx",), databytes=10))
    client = desk.greeted()
    first = client.connection_id
    client.say(*MAIL, "DATA", "x", ".")
    desk.queue.commit()
    client.say("MAIL FROM:<a", *MAIL, "DATA", "longer than that", ".", "MAIL FROM:<b", *MAIL,
               "BDAT 0", "RSET", "MAIL FROM:<c")  # fmt: skip
    said = [line.rpartition("[id ")[2][:-1] for line in client.heard() if "[id " in line]
    second, too_big, third, fourth = map(int, said)
    assert first < second == too_big < third < fourth
    told = {record.facts.get("argument"): record.id for record in desk.trace.told("sender")}
    assert told == {"FROM:<a": second, "FROM:<b": third, "FROM:<c": fourth}


def test_a_refusal_in_a_pipelined_batch_is_told_of_its_own_mail() -> None:
    desk = Desk()
    client = desk.greeted()
    client.say("MAIL FROM:<a@example.net>", "RCPT TO:<a", "MAIL FROM:<b@example.net>", "RCPT TO:<b",
               "RSET", "RCPT TO:<c")  # fmt: skip
    told = [(r.id, r.facts.get("sender"), r.facts["argument"])
            for r in desk.trace.told("recipient")]  # fmt: skip
    assert told == [
        (client.connection_id, "a@example.net", "TO:<a"), (client.id, "b@example.net", "TO:<b"),
        (client.id, None, "TO:<c"),
    ]  # fmt: skip


def test_every_decision_leaves_a_record_with_all_its_facts() -> None:
    desk = Desk('192.0.2.7:allow,RELAYCLIENT=""')
    client = desk.greeted()
    client.say(
        "MAIL FROM:<eve@example.net> SIZE=100", "RCPT TO:<alice@example.com>",
        "RCPT TO:<bob@example.org>", "DATA", "Message-ID: <1@example.net>", "", "x", ".", "QUIT",
    )  # fmt: skip
    desk.queue.commit()
    client.leave()
    id_ = client.connection_id
    assert [(r.id, r.event, r.verdict, str(r.rule)) for r in desk.trace] == [
        (id_, "connect", "accept", "tcp/tcp.smtp:1"),
        (id_, "recipient", "accept", "control/rcpthosts:1"),
        (id_, "recipient", "accept", "tcp/tcp.smtp:1"),
        (id_, "message", "accept", ""),
        (id_, "route", "local", "control/virtualdomains:1"),
        (id_, "route", "remote", "control/virtualdomains"),
        (id_, "disconnect", "end", ""),
    ]
    connect, alice, _, message, route, *_ = (dict(r.facts) for r in desk.trace)
    assert connect == {"ip": "192.0.2.7", "port": 40_000, "listener": "smtp", "name": ""}
    assert alice == {
        "client_ip": "192.0.2.7", "client_host": "", "listener": "smtp",
        "helo": "client.example.net", "sender": "eve@example.net",
        "recipient": "alice@example.com", "auth_user": "", "tls": "", "size": 100,
        "relayclient": "", "relayclient_rule": "tcp/tcp.smtp:1",
        "connection": str(id_), "number": 0,
    }  # fmt: skip
    assert message == {
        "ip": "192.0.2.7", "port": 40_000, "listener": "smtp", "name": "",
        "helo": "client.example.net", "connection": str(id_), "sender": "eve@example.net",
        "size": desk.queue.accepted[0][0].size, "recipients": 2,
        "message_id": "<1@example.net>", "queue": "queue1",
    }  # fmt: skip
    assert (route["recipient"], route["target"]) == ("alice@example.com", ALICE)
    assert desk.trace[3].reply == f"250 2.0.0 ok 1000000000 qp {id_}"


def test_what_the_session_refuses_by_itself_is_recorded_too() -> None:
    desk = Desk(session_rules=SessionRules(("mx",), extra_greet=False, databytes=10))
    client = desk.greeted()
    client.say("MAIL FROM:<a@b> SIZE=11", "MAIL FROM:<a@b>", "RCPT TO:<nonsense", "DATA")
    assert [r.reply[:9] for r in desk.trace[1:]] == ["552 5.3.4", "555 5.1.3", "503 5.5.1"]
    assert [r.event for r in desk.trace[1:]] == ["sender", "recipient", "message"]
    assert desk.trace[1].facts["argument"] == "FROM:<a@b> SIZE=11"


def test_a_body_that_is_too_large_is_refused_recorded_and_forgotten() -> None:
    desk = Desk(
        session_rules=SessionRules(("mx",), extra_greet=False, databytes=len(BIG_STORED) + 9)
    )
    client = begun(desk)
    client.send(BIG)
    desk.work()
    client.send(b"more\r\n" * 20 + b".\r\n")
    desk.work()
    assert client.heard()[0].startswith("552 5.3.4 ")
    assert (desk.spooled(), desk.queue.submitted) == ([], [])
    assert desk.trace[-1].verdict == "refuse"


# -- time and the end ------------------------------------------------------------------------------


def passed(desk: Desk, seconds: float) -> None:
    desk.clock.advance(seconds)
    for connection in list(desk.reception.open):
        connection.tick(desk.clock.steady())


def test_a_silent_client_is_closed_and_one_that_waits_for_us_is_not() -> None:
    desk = Desk(timeout=60.0)
    silent, waiting = desk.greeted(), begun(desk)
    waiting.say("x", ".")
    passed(desk, 59.0)
    assert not silent.closed
    passed(desk, 2.0)
    assert silent.closed
    assert silent.heard()[0].startswith("451 4.4.2 Sorry, I reached a timeout")
    assert not waiting.closed
    desk.queue.commit()
    [accepted] = waiting.heard()
    assert accepted.startswith("250 ")
    passed(desk, 59.0)  # its silence begins with our answer
    assert not waiting.closed


def test_a_conversation_ends_at_its_time_however_busy_it_is() -> None:
    desk = Desk(timeout=60.0, session_time=100.0)
    client = desk.greeted()
    for _ in range(3):
        passed(desk, 30.0)
        client.say("NOOP")
    assert not client.closed
    passed(desk, 11.0)
    assert client.closed


def test_a_timeout_in_a_message_drops_it() -> None:
    desk = Desk(timeout=60.0)
    client = begun(desk)
    client.send(BIG)
    desk.work()
    passed(desk, 61.0)
    desk.work()
    assert client.closed
    assert desk.spooled() == []


def test_a_client_that_does_not_even_take_the_end_is_cut_off() -> None:
    desk = Desk(timeout=60.0)
    client = desk.greeted()
    client.say("QUIT")
    assert (client.closed, client.aborted) == (True, False)  # what is buffered may still go
    passed(desk, 61.0)
    assert client.aborted


def test_at_the_end_an_idle_client_hears_421_at_once_and_a_busy_one_after_its_reply() -> None:
    desk = Desk()
    idle, busy, waiting = desk.greeted(), begun(desk), begun(desk)
    waiting.say("x", ".")
    for connection in list(desk.reception.open):
        connection.drain()
    goodbye = "421 4.3.2 mx.example.com Service not available"
    assert idle.closed
    assert idle.heard()[0].startswith(goodbye)
    assert (busy.closed, busy.heard()) == (False, [])
    busy.say("x", ".")
    desk.queue.commit()
    for client in (busy, waiting):
        accepted, end = client.heard()
        assert accepted.startswith("250 ")
        assert end.startswith(goodbye)
        assert client.closed


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certified(authority, tmp_path) -> TlsContext:
    path = tmp_path / "servercert.pem"
    authority.issue_cert("mx.example.com").private_key_and_cert_chain_pem.write_to_path(path)
    return TlsContext.load(str(path))


class TlsClient:
    """A client's side of TLS over a connection of the desk."""

    def __init__(self, client: Client, authority: trustme.CA) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        self.client = client
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="mx.example.com")

    def shake_hands(self) -> None:
        for _ in range(3):
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._exchange()
        self._exchange()

    def ask(self, *commands: str) -> list[str]:
        self._tls.write("".join(f"{command}\r\n" for command in commands).encode())
        return self.heard()

    def heard(self) -> list[str]:
        self._exchange()
        try:
            return self._tls.read(65_536).decode().splitlines()
        except ssl.SSLWantReadError:
            return []

    def _exchange(self) -> None:
        if self._out.pending:
            self.client.send(self._out.read())
        told, self.client.told = self.client.told, b""
        self._in.write(told)


STARTTLS = SessionRules(("mx",), extra_greet=False, starttls=True)


def test_after_starttls_everything_is_said_in_tls_and_nothing_before_counts(
    certified, authority
) -> None:
    desk = Desk(tls=certified, session_rules=STARTTLS)
    client = desk.greeted()
    client.say("MAIL FROM:<before@example.net>", "STARTTLS", "RCPT TO:<injected@example.com>")
    assert client.heard() == ["250 2.1.0 ok", "220 2.0.0 ready for tls"]
    tls = TlsClient(client, authority)
    tls.shake_hands()
    assert tls.heard() == []
    assert tls.ask("RCPT TO:<a@example.com>")[0].startswith("503 5.5.1 MAIL first")
    assert "250-STARTTLS" not in tls.ask("EHLO inside.example.net")
    assert tls.ask(*MAIL, "DATA", "x", ".") == ["250 2.1.0 ok", "250 2.1.5 ok", "354 go ahead"]
    desk.queue.commit()
    assert tls.heard()[0].startswith("250 ")
    assert b" with ESMTPS (TLSv1.3 " in desk.queue.accepted[0][0].body
    assert desk.trace.told("recipient")[-1].facts["tls"] == "TLSv1.3"


def test_an_smtps_client_may_speak_first_also_while_the_configuration_is_read(
    certified, authority
) -> None:
    desk = Desk(tls=certified, smtps=True)
    desk.config.stale = True
    client = desk.connect()
    tls = TlsClient(client, authority)
    tls.shake_hands()
    desk.config.refresh(desk.config.current)
    tls.shake_hands()
    assert tls.heard() == ["220 mx.example.com"]


@pytest.mark.parametrize("end", ["silence", "shutdown"])
def test_a_handshake_that_never_comes_ends_without_a_word(certified, end) -> None:
    for smtps in (True, False):
        desk = Desk(tls=certified, smtps=smtps, timeout=60.0, session_rules=STARTTLS)
        client = desk.connect()
        if not smtps:
            client.say("STARTTLS")
        client.told = b""
        if end == "silence":
            passed(desk, 61.0)
        else:
            client.connection.drain()
        assert client.closed
        assert client.heard() == []


def test_what_is_no_handshake_closes_the_connection(certified) -> None:
    desk = Desk(tls=certified, session_rules=STARTTLS)
    client = desk.greeted()
    client.say("STARTTLS")
    client.send(b"EHLO in the clear\r\n")
    assert client.closed


def test_without_a_certificate_starttls_is_refused_and_the_conversation_goes_on() -> None:
    desk = Desk(session_rules=STARTTLS)
    client = desk.greeted()
    client.say("STARTTLS", "NOOP")
    assert [line[:9] for line in client.heard()] == ["454 4.3.0", "250 2.0.0"]


# -- pauses and log lines --------------------------------------------------------------------------


def test_an_absent_mailbox_is_refused_after_the_penalty_and_replies_keep_their_order() -> None:
    desk = Desk(penalty=5.0, check_recipient=True)
    desk.foresight.known.add("example.com-nobody@example.com")
    waiting = []
    desk.reception.later = lambda seconds, call: waiting.append((seconds, call))
    client = desk.greeted()
    client.say("MAIL FROM:<eve@example.net>", "RCPT TO:<nobody@example.com>", "NOOP")
    assert client.heard() == ["250 2.1.0 ok"]
    [(seconds, call)] = waiting
    assert seconds == 5.0
    call()
    refused, ok = client.heard()
    assert refused.startswith("550 5.1.1 sorry, eve@example.net mailbox nobody@example.com")
    assert ok == "250 2.0.0 ok"


def test_a_client_that_leaves_during_the_penalty_is_forgotten() -> None:
    desk = Desk(penalty=5.0, check_recipient=True)
    desk.foresight.known.add("example.com-nobody@example.com")
    waiting = []
    desk.reception.later = lambda seconds, call: waiting.append(call)
    client = desk.greeted()
    client.say("MAIL FROM:<eve@example.net>", "RCPT TO:<nobody@example.com>")
    client.heard()
    client.leave()
    waiting[0]()
    assert client.heard() == []


def test_our_own_address_in_brackets_is_localiphost() -> None:
    desk = Desk(localiphost="example.com")
    desk.foresight.knows(ALICE, DELIVERABLE)
    client = desk.greeted()
    client.say("MAIL FROM:<eve@example.net>", "RCPT TO:<alice@[192.0.2.1]>", "DATA", "x", ".")
    desk.queue.commit()
    assert client.heard()[1] == "250 2.1.5 ok"
    assert desk.queue.accepted[0][1][0].address == "alice@example.com"


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (b"DATA\r\na\nb\r\n.\r\n", " Bare LF received"),
        (b"NOOP " + b"x" * 3000 + b"\r\n", " command too long"),
        (
            b"DATA\r\n" + b"x" * 200 + b"\r\n.\r\n",
            " data size exceeded: MAIL from <eve@example.net> RCPT <alice@example.com> Size: ",
        ),
        (
            b"RCPT TO:<bob@example.com>\r\n",
            " Too many RECIPIENTS: MAIL from <eve@example.net> Last RCPT <bob@example.com>",
        ),
    ],
    ids=["bare LF", "long command", "too big", "too many recipients"],
)
def test_a_refusal_of_the_session_has_the_log_line_that_tools_know(sent: bytes, line: str) -> None:
    rules = SessionRules(("mx.example.com",), databytes=100, max_recipients=1)
    desk = Desk(session_rules=rules)
    desk.foresight.knows(ALICE, DELIVERABLE)
    client = desk.greeted()
    client.say("MAIL FROM:<eve@example.net>", "RCPT TO:<alice@example.com>")
    client.send(sent)
    assert [told for told in desk.log.lines if line in told], desk.log.lines


def test_a_mail_that_the_queue_does_not_take_has_the_log_line_that_tools_know() -> None:
    desk = Desk('192.0.2.7:allow,RELAYCLIENT=""')
    client = begun(desk)
    client.say("hello", ".")
    desk.queue.commit(QueueFull("/queue: 1 octet"))
    desk.choice = QueueUnwritable("no queue is open")
    client.say("MAIL FROM:<eve@example.net>", "RCPT TO:<x@example.org>", "DATA")
    one, two = (line.partition(" from 192.0.2.7 ")[2] for line in desk.log.lines if " qp " in line)
    assert re.fullmatch(
        r"Sorry, I have not enough space to store that message \(#4\.3\.1\) \(temporary\):"
        r" HELO <client\.example\.net> MAIL from <eve@example\.net> RCPT <alice@example\.com>"
        rf" AUTH <local-rcpt> Size: \d{{3}} TLS=No qp {client.connection_id}",
        one,
    )
    assert two.startswith("Sorry, I got a temporary queue failure (#4.3.0) (temporary): HELO <")
    assert two.endswith(f" RCPT <x@example.org> AUTH <auth-ip/pop> Size: 0 TLS=No qp {client.id}")


def test_only_recipients_that_are_refused_for_good_count_as_invalid() -> None:
    limits = RecipientLimits(2, Rule("indimail.toml", 3))
    desk = Desk(check_recipient=True, recipient_limits=limits)
    client = desk.greeted()
    desk.foresight.failure = AccountsUnavailable("the database is gone")
    client.say("MAIL FROM:<eve@example.net>", *["RCPT TO:<alice@example.com>"] * 3)
    desk.work()
    assert [line[:3] for line in client.heard()] == ["250", "451", "451", "451"]
    desk.foresight.failure = None
    client.say(*["RCPT TO:<nobody@example.com>"] * 3)
    desk.work()
    assert [line[:9] for line in client.heard()] == ["550 5.1.1", "550 5.1.1", "421 4.7.1"]
    assert client.closed
    text = "Too many Invalid RECIPIENTS (2): MAIL from <eve@example.net>"
    assert desk.log.lines[-1].endswith(text)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda client: client.say("QUIT"), "QUIT"),
        (lambda client: client.connection.eof_received(), "connection lost"),
        (lambda client: None, "connection lost"),
        (lambda client: client.say("NOOP " + "x" * 3000), "a line was too long"),
        (lambda client: client.connection.cut(), "the server stopped"),
    ],
    ids=["QUIT", "end", "reset", "a long command", "cut off"],
)
def test_the_end_of_a_conversation_says_why(end, told) -> None:
    desk = Desk()
    client = desk.greeted()
    end(client)
    client.leave()
    assert desk.trace[-1].text == told
    dropped = any("read error: client dropped connection" in line for line in desk.log.lines)
    assert dropped == (told == "connection lost")


def test_a_client_that_takes_no_replies_is_neither_read_nor_answered_until_it_does() -> None:
    desk = Desk()
    client = desk.greeted()
    client.connection.pause_writing()
    assert client.paused
    client.say(*["NOOP"] * 50)
    assert client.heard() == []
    client.connection.resume_writing()
    assert client.heard() == ["250 2.0.0 ok"] * 50
    assert not client.paused


def test_a_commit_for_a_client_that_takes_no_replies_is_told_and_nothing_more_is_read() -> None:
    desk = Desk()
    client = begun(desk)
    client.say("hello", ".", "NOOP")
    client.connection.pause_writing()
    desk.queue.commit()
    assert [line[:12] for line in client.heard()] == ["250 2.0.0 ok"]
    assert client.paused
    client.connection.resume_writing()
    assert client.heard() == ["250 2.0.0 ok"]


def test_a_client_that_never_takes_its_replies_is_cut_when_its_time_is_over() -> None:
    desk = Desk()
    client = desk.greeted()
    client.connection.pause_writing()
    desk.clock.advance(10_000)
    client.connection.tick(desk.clock.steady())
    assert client.aborted
