"""The story in plain words, as golden text."""

from collections.abc import Mapping
from textwrap import dedent

from indimail.mail.events import Event, Record
from indimail.mail.verdict import NO_RULE, Rule
from indimail.trace.find import Story
from indimail.trace.story import Tone, render, tell

ID = 1838568448000000001
T = 1_795_477_000.0
CLIENT = {"ip": "192.0.2.1", "name": "mx.example.net", "listener": "smtp"}
ENVELOPE = CLIENT | {"helo": "mx.example.net", "tls": "TLSv1.3", "sender": "bob@example.net"}
RCPTHOSTS = Rule("control/rcpthosts", 3)
VIRTUAL = Rule("control/virtualdomains", 1)
ALICE, ZOE = {"recipient": "alice@example.com"}, {"recipient": "zoe@example.com"}


def record(
    seconds: float,
    event: Event,
    verdict: str,
    text: str = "",
    rule: Rule = NO_RULE,
    reply: str = "",
    facts: Mapping[str, str | int | float | bool] | None = None,
) -> Record:
    return Record(ID, T + seconds, event, verdict, text, rule, reply, facts or {})


def told(*records: Record) -> str:
    return "\n".join(map(render, tell(Story(ID, records)))) + "\n"


CONNECT = record(0, Event.CONNECT, "accept", "listed", Rule("tcp/tcp.smtp", 4), facts={**CLIENT})
RCPT_ALICE = record(
    0.01, Event.RECIPIENT, "accept", "example.com is ours", RCPTHOSTS, "250 2.1.5 ok",
    ENVELOPE | ALICE,
)  # fmt: skip
MESSAGE = record(
    0.02, Event.MESSAGE, "accept", reply=f"250 2.0.0 ok 1795477000 qp {ID}",
    facts=ENVELOPE | {"size": 1024, "message_id": "<a@example.net>"},
)  # fmt: skip


def test_a_mail_for_one_is_told_in_time_order() -> None:
    target = {"target": "example.com-alice@example.com"}
    assert told(
        CONNECT,
        RCPT_ALICE,
        MESSAGE,
        record(0.021, Event.ROUTE, "local", "", VIRTUAL, facts=ALICE | target),
        record(0.03, Event.ATTEMPT, "start", facts=ALICE | {"attempt": 1}),
        record(0.04, Event.DELIVERY, "delivered", "did 1+0+0/", facts={**ALICE}),
        record(0.041, Event.OUTCOME, "delivered", "did 1+0+0/", facts={**ALICE}),
        record(0.5, Event.DISCONNECT, "end"),
    ) == dedent("""\
        1838568448000000001  2026-11-23 23:36:40 UTC  from <bob@example.net>  1 delivered
          23:36:40.000  connection from 192.0.2.1 (mx.example.net) on smtp accepted: listed
                        rule tcp/tcp.smtp:4
          23:36:40.010  recipient <alice@example.com> accepted (HELO mx.example.net, TLS TLSv1.3): example.com is ours
                        rule control/rcpthosts:3
                        reply 250 2.1.5 ok
          23:36:40.020  message accepted, 1024 octets, Message-ID <a@example.net>
                        reply 250 2.0.0 ok 1795477000 qp 1838568448000000001
          23:36:40.021  route local, as example.com-alice@example.com
                        rule control/virtualdomains:1
          23:36:40.030  attempt 1 started
          23:36:40.040  delivery delivered: did 1+0+0/
          23:36:40.041  outcome delivered: did 1+0+0/
          23:36:40.500  conversation ended
        """)  # noqa: E501


def test_several_recipients_have_a_group_each() -> None:
    full: dict[str, str | float] = {"next_try": T + 400}
    assert told(
        CONNECT,
        MESSAGE,
        record(0.021, Event.ROUTE, "local", "", VIRTUAL, facts={**ALICE}),
        record(0.021, Event.ROUTE, "local", "", VIRTUAL, facts={**ZOE}),
        record(0.03, Event.DELIVERY, "deferred", "disk full", facts={**ALICE, **full}),
        record(0.04, Event.OUTCOME, "failed", "no such user", Rule("users"), facts={**ZOE}),
        record(0.5, Event.DISCONNECT, "end"),
    ) == dedent("""\
        1838568448000000001  2026-11-23 23:36:40 UTC  from <bob@example.net>  1 deferred, 1 failed
          23:36:40.000  connection from 192.0.2.1 (mx.example.net) on smtp accepted: listed
                        rule tcp/tcp.smtp:4
          23:36:40.020  message accepted, 1024 octets, Message-ID <a@example.net>
                        reply 250 2.0.0 ok 1795477000 qp 1838568448000000001
          23:36:40.500  conversation ended
          to <alice@example.com>
          23:36:40.021  route local
                        rule control/virtualdomains:1
          23:36:40.030  delivery deferred, next try 2026-11-23 23:43:20: disk full
          to <zoe@example.com>
          23:36:40.021  route local
                        rule control/virtualdomains:1
          23:36:40.040  outcome failed: no such user
                        rule users
        """)


def test_the_hosts_that_were_tried_are_told_with_what_they_said_and_when_again() -> None:
    rule = Rule("DNS", key="MX elsewhere.example")
    hop = {"hop": "MX 20 mx2.example [192.0.2.2] port 25", "tls": "TLSv1.3", "verified": True,
           "tls_rule": "certs/tlshosts/mx2.example.pem", "auth_user": "ana",
           "auth_rule": "control/remote_auth:1", "reused": 2,
           "source": "192.0.2.9 (control/outgoingip:1)"}  # fmt: skip
    later = {"next_try": T + 1640, "age": 1600, "lifetime": 604_800}
    assert told(
        record(0, Event.ATTEMPT, "start", "remote delivery", facts=ALICE | {"attempt": 2}),
        record(
            0.1,
            Event.STEP,
            "failed",
            "MX 10 mx1.example [192.0.2.1] port 25: timed out",
            rule,
            facts={**ALICE},
        ),
        record(
            0.2,
            Event.DELIVERY,
            "deferred",
            "192.0.2.2 failed.\nRemote host said: 450 no",
            rule,
            facts=ALICE | hop | later,
        ),
    ) == dedent("""\
        1838568448000000001  2026-11-23 23:36:40 UTC  1 deferred
          23:36:40.000  attempt 2 started: remote delivery
          23:36:40.100  step failed: MX 10 mx1.example [192.0.2.1] port 25: timed out
                        rule DNS[MX elsewhere.example]
          23:36:40.200  delivery deferred at MX 20 mx2.example [192.0.2.2] port 25 (TLSv1.3 by certs/tlshosts/mx2.example.pem, its certificate is right, AUTH ana by control/remote_auth:1, from 192.0.2.9 (control/outgoingip:1), after 2 other mails), next try 2026-11-24 00:04:00 (26 min 40 s after it came; given up after 7 d): 192.0.2.2 failed.
                        Remote host said: 450 no
                        rule DNS[MX elsewhere.example]
        """)  # noqa: E501


def test_a_refused_recipient_is_a_story_too() -> None:
    assert told(
        record(0, Event.CONNECT, "accept", facts={"ip": "198.51.100.7"}),
        record(
            1, Event.RECIPIENT, "refuse", "elsewhere.example is not ours",
            Rule("control/rcpthosts"), f"553 5.7.1 sorry [id {ID}]",
            {"sender": "", "recipient": "eve@elsewhere.example", "helo": "x"},
        ),
    ) == dedent("""\
        1838568448000000001  2026-11-23 23:36:40 UTC  from <>  1 refused
          23:36:40.000  connection from 198.51.100.7 accepted
          23:36:41.000  recipient <eve@elsewhere.example> refused (HELO x): elsewhere.example is not ours
                        rule control/rcpthosts
                        reply 553 5.7.1 sorry [id 1838568448000000001]
        """)  # fmt: skip


def test_a_command_that_was_refused_unread_shows_its_argument() -> None:
    facts = {"command": "RCPT", "argument": "TO:<a b>"}
    text = told(record(0, Event.RECIPIENT, "refuse", "syntax error", Rule("smtp"), "", facts))
    assert text.splitlines()[1:] == [
        "  23:36:40.000  recipient TO:<a b> refused: syntax error",
        "                rule smtp",
    ]


def test_what_a_peer_sent_cannot_move_the_cursor() -> None:
    facts = {"sender": "a\x1b[2Jb@example.net", "helo": "x\ny"}
    text = told(record(0, Event.SENDER, "later", "\x07", facts=facts))
    assert "a?[2Jb@example.net" in text
    assert text.isascii()
    assert "".join(text.split("\n")).isprintable()


def test_every_event_has_words() -> None:
    for event in Event:
        heading, sentence = tell(Story(ID, (record(0, event, "accept"),)))
        assert heading.tone is Tone.HEADING
        assert sentence.text


def test_what_a_sender_is_to_be_told_and_was() -> None:
    delayed = ALICE | {"next_try": T + 400, "owed": "delayed"}
    owed = ALICE | {"owed": "delivered"}
    one = {"told": "alice@example.com"}
    lines = told(
        record(0.1, Event.DELIVERY, "deferred", "later", facts=delayed),
        record(2.1, Event.BOUNCE, "queued", "to <b@x>, qp 7", facts=one | {"report": "delayed"}),
        record(400, Event.DELIVERY, "delivered", "did 1+0+0", facts=owed),
        record(400, Event.OUTCOME, "delivered", "did 1+0+0", facts=owed),
        record(402, Event.BOUNCE, "queued", "to <b@x>, qp 8", facts=one | {"report": "delivered"}),
        record(403, Event.BOUNCE, "queued", "to <b@x>, qp 9", facts=one | {"report": "failed"}),
        record(404, Event.BOUNCE, "queued", "to <b@x>, qp 9"),  # of the version before
    ).splitlines()
    assert [line.partition("  ")[2].partition("  ")[2] for line in lines[1:]] == [
        "delivery deferred, next try 2026-11-23 23:43:20, the sender is to be told: delayed: later",
        "report (delayed) of alice@example.com queued: to <b@x>, qp 7",
        "delivery delivered: did 1+0+0",
        "outcome delivered, the sender is to be told: delivered: did 1+0+0",
        "report (delivered) of alice@example.com queued: to <b@x>, qp 8",
        "bounce of alice@example.com queued: to <b@x>, qp 9",
        "bounce queued: to <b@x>, qp 9",
    ]
