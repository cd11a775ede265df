"""`indimail explain` on a running server: from any id, soon, with the rule's line as it is now."""

import json
import time

import pytest

from indimail.trace.find import Query, find
from live import ALICE, BOB, DOMAIN, STRANGER, Server, queue_id, until

pytestmark = pytest.mark.slow

KEYS = ["id", "time", "event", "verdict", "rule", "file", "line", "reply", "text"]


def test_the_id_of_a_250_tells_the_whole_story(shared: Server) -> None:
    with shared.connect() as talk:
        talk.say("EHLO client.example")
        number = talk.mail(BOB, "Subject: a story\r\nMessage-ID: <one@elsewhere.example>\r\n\r\n")
    shared.instance.ended(number)  # in the queue's row, a moment before the trace is written
    until(lambda: any(r["event"] == "connect" for r in shared.instance.explain(number)))
    records = shared.instance.explain(number)
    events = [(r["event"], r["verdict"], r["rule"]) for r in records if r["event"] != "disconnect"]
    qmail = f"domains/{DOMAIN}/.qmail-default:1"
    assert events == [
        ("connect", "accept", "tcp/tcp.smtp"),
        ("recipient", "accept", "control/rcpthosts:2"),
        ("message", "accept", ""),
        ("route", "local", "control/virtualdomains:1"),
        ("attempt", "start", ""),
        ("delivery", "delivered", qmail),
        ("outcome", "delivered", qmail),
    ]
    assert all(list(record)[: len(KEYS)] == KEYS for record in records)
    assert all(record["id"] == number for record in records)
    story = shared.instance.run("explain", number).stdout
    for words in ("HELO client.example", "Message-ID <one@elsewhere.example>", BOB, STRANGER):
        assert words in story


def test_the_id_of_a_refusal_tells_why(shared: Server) -> None:
    with shared.connect() as talk:
        absent = talk.recipient(f"nobody@{DOMAIN}")
        foreign = talk.recipient("somebody@far.example")
    told = [_record(shared, queue_id(reply), "recipient") for reply in (absent, foreign)]
    assert [(r["verdict"], r["rule"]) for r in told] == [
        ("refuse", f"domains/{DOMAIN}/.qmail-default:1"),
        ("refuse", "control/rcpthosts"),
    ]
    for reply, record in zip((absent, foreign), told, strict=True):
        assert reply.startswith(record["reply"])
        assert shared.instance.run("explain", *reply.split()).stdout  # pasted as it came


def test_a_comment_above_a_rule_changes_the_number_that_is_shown(shared: Server) -> None:
    before = shared.instance.read("control/rcpthosts")
    numbers = [shared.send()]
    shared.instance.write("control/rcpthosts", f"# our domains\n\n{before}")
    numbers.append(shared.send())
    shared.instance.write("control/rcpthosts", before)
    told = [_record(shared, number, "recipient") for number in numbers]
    assert [(r["rule"], r["file"], r["line"]) for r in told] == [
        ("control/rcpthosts:2", "control/rcpthosts", 2),
        ("control/rcpthosts:4", "control/rcpthosts", 4),
    ]


def test_an_event_shows_within_a_second(shared: Server) -> None:
    """Looked for here: the start of a command is not the server's."""
    trace = shared.instance.path("trace")
    with shared.connect() as talk:
        query = Query(id=int(queue_id(talk.recipient(f"nobody@{DOMAIN}"))))
        refused = time.monotonic()
        until(lambda: [r for s in find(trace, query) for r in s.records if r.event == "recipient"])
        assert time.monotonic() - refused < 1.0


def test_what_a_client_tried_is_told_though_no_mail_came(shared: Server) -> None:
    with shared.connect() as talk:
        assert talk.say("MAIL FROM:<a@b> BOGUS=1").startswith("555 ")
        assert talk.say("RCPT TO:<x@y>").startswith("503 ")
        number = queue_id(talk.say("OOPS"))
    records = until(lambda: _records(shared, number))
    assert {r["rule"] for r in records if r["event"] in ("sender", "recipient", "message")} == {
        "smtp"
    }
    assert "BOGUS" in shared.instance.run("explain", number).stdout


def test_mails_are_found_by_what_people_know_of_them(shared: Server) -> None:
    with shared.connect() as talk:
        number = talk.mail(
            f"Alice@{DOMAIN}", "Message-ID: <find.me@elsewhere.example>\r\n\r\n", "who@far.example"
        )
    shared.instance.ended(number)
    for criteria in (
        ("--message-id", "<find.me@elsewhere.example>"),
        ("--message-id", "find.me@elsewhere.example"),
        ("--from", "WHO@far.example"),
        ("--from", "@far.example", "--to", ALICE),
        ("--to", ALICE, "--since", "1h"),
        ("--to", f"@{DOMAIN}", "--from", "who@far.example", "--since", "10s"),
    ):
        found = {r["id"] for r in shared.instance.explain(*criteria)}
        assert found == {number}, criteria


def test_no_match_is_exit_1(shared: Server) -> None:
    for criteria in (
        ("1838571248406610945",), ("--to", "never@seen.example"), ("--message-id", "<no>"),
        ("--since", "0s"), ("--from", "who@far.example", "--until", "1h"),
    ):  # fmt: skip
        done = shared.instance.run("explain", *criteria, code=1)
        assert done.stdout == ""
    assert (
        json.loads(shared.instance.run("explain", "--since", "0s", "--json", code=1).stdout or "[]")
        == []
    )
    shared.instance.run("explain", code=64)
    shared.instance.run("explain", "not-an-id", code=64)


def test_every_recipient_of_a_mail_has_its_own_end(shared: Server) -> None:
    with shared.connect() as talk:
        talk.offer(BOB)
        talk.say(f"RCPT TO:<nobody@{DOMAIN}>")
        talk.say(f"RCPT TO:<{ALICE}>")
        assert talk.say("DATA").startswith("354 ")
        number = queue_id(talk.say("Subject: two\r\n\r\n."))
    until(lambda: len(_outcomes(shared, number)) == 2)
    story = shared.instance.run("explain", number).stdout
    assert f"to <{BOB}>" in story
    assert f"to <{ALICE}>" in story
    assert "2 delivered" in story
    assert "1 refused" in story


def test_the_log_lines_of_a_mail_are_the_ones_that_tools_read(shared: Server) -> None:
    with shared.connect() as talk:
        talk.say("EHLO client.example")
        talk.offer(BOB)
        assert talk.say(f"RCPT TO:<{ALICE}>").startswith("250 ")
        assert talk.say("DATA").startswith("354 ")
        number = queue_id(talk.say("Subject: two\r\n\r\n."))
        talk.say("QUIT")
    log = shared.says(f"end msg {number}").splitlines()
    (info,) = [line for line in log if line.startswith(f"info msg {number}: ")]
    size, uid, queue = info.split()[4], *info.split()[-2:]
    new = log.index(f"new msg {number} {queue}")
    smtpd = f"qmail-smtpd: pid {number} from 127.0.0.1 "
    assert [line.removeprefix(smtpd) for line in log if line.startswith(smtpd)] == [
        f" HELO <client.example> MAIL from <{STRANGER}> RCPT <{recipient}> AUTH <local-rcpt>"
        f" Size: {size} TLS=No"
        for recipient in (BOB, ALICE)
    ]
    assert info == (
        f"info msg {number}: bytes {size} from <{STRANGER}> qp {number} uid {uid} {queue}"
    )
    started = [line.split(": ", 1) for line in log[new:] if f": msg {number} to local " in line]
    targets = [f"msg {number} to local {DOMAIN}-{user} {queue}" for user in (BOB, ALICE)]
    assert [text for _, text in started] == targets
    for delivery, _ in started:
        assert delivery.startswith("starting delivery ")
        ended = delivery.removeprefix("starting ")
        assert f"{ended}: success: did_0+0+1 {queue}" in log[new:]
    assert log.index(f"end msg {number} qmail-send: {queue}") > new


def _records(server: Server, number: str) -> "list[dict[str, str]]":
    done = server.instance.run("explain", number, "--json", code=None)
    found: list[dict[str, str]] = json.loads(done.stdout or "[]")
    return found


def _record(server: Server, number: str, event: str) -> "dict[str, str]":
    """Return the one record of an event, once it shows."""
    (found,) = until(lambda: [r for r in _records(server, number) if r["event"] == event])
    return found


def _outcomes(server: Server, number: str) -> "list[dict[str, str]]":
    return [r for r in _records(server, number) if r["event"] == "outcome"]
