"""The log lines, exactly as spec/queue.md 5.4, spec/smtp.md 13 and 1.5 have them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.serve.maillog import DeliveryLog, SmtpLog, TcpserverLog, safe

N = 1838568448000000001
BOB, ALICE = "bob@example.net", "alice@example.com"


class Lines:
    """A sink that remembers; urgent lines are marked."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)

    def urgent(self, line: str) -> None:
        self.lines.append("! " + line)


@pytest.mark.parametrize(
    ("say", "line"),
    [
        (lambda d: d.new_msg(N), f"new msg {N} queue2"),
        (
            lambda d: d.info_msg(N, 1024, BOB, N, 555),
            f"info msg {N}: bytes 1024 from <{BOB}> qp {N} uid 555 queue2",
        ),
        (
            lambda d: d.info_msg(N, 9, "", N, 0),
            f"info msg {N}: bytes 9 from <> qp {N} uid 0 queue2",
        ),
        (
            lambda d: d.envelope("local", BOB, ALICE, N, 1024, "compat mode"),
            f"local: {BOB} {ALICE} {N} 1024 bytes queue2 compat mode",
        ),
        (
            lambda d: d.envelope("remote", "", ALICE, N, 1024, "opendir mode"),
            f"remote: <> {ALICE} {N} 1024 bytes queue2 opendir mode",
        ),
        (
            lambda d: d.starting_delivery(N, "local", "example.com-" + ALICE),
            f"starting delivery 1.2: msg {N} to local example.com-{ALICE} queue2",
        ),
        (lambda d: d.status((1, 10), (0, 20)), "status: local 1/10 remote 0/20 queue2"),
        (
            lambda d: d.status(
                (1, 10), (0, 20), local_held=True, remote_held=True, delayed=3, exitasap=True
            ),
            "status: local 1/10 (held) remote 0/20 (held) delayed jobs=3 queue2 exitasap",
        ),
        (
            lambda d: d.delivery(7, "success", "did 1+0+0/\n"),
            "delivery 7.2: success: did_1+0+0// queue2",
        ),
        (
            lambda d: d.delivery(7, "deferral", "disk 100% full"),
            "delivery 7.2: deferral: disk_100__full queue2",
        ),
        (lambda d: d.delivery_mangled(7), "delivery 7.2: report mangled, will defer: queue2"),
        (lambda d: d.bounce_msg(N, N + 1024), f"bounce msg {N} qp {N + 1024} queue2"),
        (lambda d: d.double_bounce_discarded(N), f"double bounce: discarding bounce/{N} queue2"),
        (lambda d: d.triple_bounce_discarded(N), f"triple bounce: discarding bounce/{N} queue2"),
        (lambda d: d.end_msg(N), f"end msg {N} qmail-send: queue2"),
        (
            lambda d: d.bounce_processor(BOB, ALICE, "mess/1", "bounce/1", 0),
            f"bounce processor sender <{BOB}> recipient <{ALICE}>"
            " messfn <mess/1> bouncefn <bounce/1> exit=0 queue2",
        ),
        (lambda d: d.alert("out of disk\nnew msg 1"), "! alert: out of disk/new msg 1"),
        (lambda d: d.warn("trouble"), "! warn: trouble"),
        (lambda d: d.info("fine"), "info: fine"),
    ],
)
def test_a_scheduler_line(say: Callable[[DeliveryLog], object], line: str) -> None:
    sink = Lines()
    say(DeliveryLog(sink, "queue2", 2))
    assert sink.lines == [line]


def test_delivery_numbers_count_from_one() -> None:
    log = DeliveryLog(Lines(), "queue1", 1)
    assert [log.starting_delivery(N, "local", ALICE) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("say", "text"),
    [
        (
            lambda s: s.accepted("mx.example.net", BOB, ALICE, "local-rcpt", 1024, "No"),
            f" HELO <mx.example.net> MAIL from <{BOB}> RCPT <{ALICE}> AUTH <local-rcpt>"
            " Size: 1024 TLS=No",
        ),
        (
            lambda s: s.accepted("x", BOB, ALICE, "bob: AUTH PLAIN: local-rcpt", 1, "TLSv1.3"),
            f" HELO <x> MAIL from <{BOB}> RCPT <{ALICE}> AUTH <bob: AUTH PLAIN: local-rcpt>"
            " Size: 1 TLS=TLSv1.3",
        ),
        (
            lambda s: s.queue_refusal(
                "no space", "x", BOB, ALICE, "local-rcpt", 9, "No", N, permanent=False
            ),
            f"no space (temporary): HELO <x> MAIL from <{BOB}> RCPT <{ALICE}> AUTH <local-rcpt>"
            f" Size: 9 TLS=No qp {N}",
        ),
        (
            lambda s: s.relay_refusal(BOB, ALICE),
            f"Invalid RELAY client: MAIL from <{BOB}> RCPT <{ALICE}>",
        ),
        (lambda s: s.bad_sender(BOB), f"Invalid SENDER address: BAD MAIL from <{BOB}>"),
        (
            lambda s: s.bad_recipient(BOB, ALICE),
            f"Invalid RECIPIENT address: MAIL from <{BOB}> RCPT <{ALICE}>",
        ),
        (
            lambda s: s.bad_recipient(BOB, ALICE, "absent"),
            f"Invalid RECIPIENT address: MAIL from <{BOB}> RCPT <{ALICE}> state <absent>",
        ),
        (lambda s: s.no_mx(BOB), f"Non-existing DNS_MX: MAIL from <{BOB}>"),
        (
            lambda s: s.helo_not_the_client("a b", "mx"),
            "Invalid HELO greeting: HELO <a_b> FQDN <mx>",
        ),
        (lambda s: s.helo_not_qualified("pc"), "non-FQDN HELO: pc"),
        (
            lambda s: s.auth_failure("bob", 1, "LOGIN", "No"),
            " AUTH USER [bob] status=[1] AUTH LOGIN TLS=No auth failure",
        ),
        (lambda s: s.host_refused(BOB), f"Invalid SENDER host IP address: MAIL from <{BOB}>"),
        (lambda s: s.sender_blackholed(BOB), f"Blackholed SENDER address: MAIL {BOB}"),
        (
            lambda s: s.recipient_blackholed(BOB, ALICE),
            f"Blackholed RECIPIENT address: MAIL from <{BOB}> RCPT {ALICE}",
        ),
        (
            lambda s: s.too_many_recipients(BOB, ALICE),
            f"Too many RECIPIENTS: MAIL from <{BOB}> Last RCPT <{ALICE}>",
        ),
        (
            lambda s: s.too_many_invalid(BOB, 3),
            f"Too many Invalid RECIPIENTS (3): MAIL from <{BOB}>",
        ),
        (
            lambda s: s.too_large(BOB, ALICE, 99),
            f"data size exceeded: MAIL from <{BOB}> RCPT <{ALICE}> Size: 99",
        ),
        (
            lambda s: s.banned_content("eicar test", BOB, ALICE, 68),
            f"virus/banned content: eicar test: MAIL from <{BOB}> RCPT <{ALICE}> Size: 68",
        ),
        (lambda s: s.greylisted(BOB, ALICE), f"greylist  <{BOB}> to <{ALICE}>"),
        (lambda s: s.trouble("Bare LF received"), "Bare LF received"),
    ],
)
def test_a_reception_line(say: Callable[[SmtpLog], None], text: str) -> None:
    sink = Lines()
    say(SmtpLog(sink, N, "192.0.2.1"))
    assert sink.lines == [f"qmail-smtpd: pid {N} from 192.0.2.1 {text}"]


@pytest.mark.parametrize(
    ("say", "line"),
    [
        (
            lambda t: t.status(3, 40, "connections", 77),
            "tcpserver: status: 3/40 connections, pid=77",
        ),
        (lambda t: t.connected(N, "::1"), f"tcpserver: pid {N} from ::1"),
        (
            lambda t: t.judged(
                "ok", N, ("mx", "192.0.2.2", 25), ("a%b\n", "192.0.2.1", 4000), "", 10
            ),
            f"tcpserver: ok {N} mx[192.0.2.2]25 a?b?[192.0.2.1]:4000:maxperip=10",
        ),
        (
            lambda t: t.judged(
                "deny", N, ("mx", "192.0.2.2", 25), ("h" * 101, "192.0.2.1", 4000), "root", 0
            ),
            f"tcpserver: deny {N} mx[192.0.2.2]25 {'h' * 100}[192.0.2.1]root:4000:maxperip=0",
        ),
        (lambda t: t.ended(N, 256), f"tcpserver: end {N} status 256"),
        (lambda t: t.ended_per_ip("192.0.2.1", 10), "tcpserver: end 192.0.2.1 perIPlimit 10"),
        (
            lambda t: t.no_slot("192.0.2.1", 10, "all in use"),
            "! tcpserver: warning: dropping connection, no ip slots for 192.0.2.1,"
            " perIPlimit 10: all in use",
        ),
    ],
)
def test_a_tcpserver_line(say: Callable[[TcpserverLog], None], line: str) -> None:
    sink = Lines()
    say(TcpserverLog(sink))
    assert sink.lines == [line]


@given(st.binary())
def test_any_octets_become_one_printable_word_of_the_same_length(octets: bytes) -> None:
    found = safe(octets.decode("utf-8", "surrogateescape"))
    for octet, character in zip(octets, found, strict=True):
        if octet == 10:
            assert character == "/"
        elif octet < 33 or octet > 126 or octet == ord("%"):
            assert character == "_"
        else:
            assert character == chr(octet)


@given(st.text())
def test_no_text_forges_a_second_line(text: str) -> None:
    sink = Lines()
    DeliveryLog(sink, "queue1", 1).info_msg(N, 1, text, N, 0)
    SmtpLog(sink, N, text).relay_refusal(text, text)
    SmtpLog(sink, N, text).trouble(text)
    TcpserverLog(sink).judged("ok", N, (text, text, 1), (text, text, 2), text, 3)
    assert all(line.isascii() and line.isprintable() for line in sink.lines)
