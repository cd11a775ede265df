"""Mail that leaves the house: a running server, and other hosts on this machine."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from indimail.control.cdb import build_cdb
from live import ALICE, BOB, DOMAIN, HOST, Instance, Server, place, until
from server.test_readme import shape
from sink import Sink

pytestmark = pytest.mark.slow

FAR = "somebody@far.example"
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "outgoing.md"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server from which everybody on this machine may send to other hosts."""
    with place() as folder:
        instance = Instance.make(f"{folder}/i")
        instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
        with instance.serve(workers=1) as running:
            yield running


@pytest.fixture
def sink(server: Server) -> Iterator[Sink]:
    """Another host, to which all mail for others goes."""
    with Sink() as running, written(server, "control/smtproutes", f":{running.place}\n"):
        yield running


@contextlib.contextmanager
def written(server: Server, name: str, content: str | bytes) -> Iterator[None]:
    """Have a file in the instance; it is taken away again."""
    path = server.instance.path(name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, 0o644)
    try:
        yield
    finally:
        os.unlink(path)


def delivered(server: Server, recipient: str = FAR, sender: str = ALICE) -> dict[str, str]:
    """Send a mail; return the record of its delivery."""
    return server.instance.delivery(server.send(recipient, sender=sender), "delivered")


def test_over_ipv6(server: Server) -> None:
    with Sink("::1") as sink, written(server, "control/smtproutes", f":{sink.place}\n"):
        assert "::1 accepted message - Protocol SMTP." in delivered(server)["text"]
        assert sink.clients == ["::1"]


def test_a_mail_goes_to_the_host_of_its_route(server: Server, sink: Sink) -> None:
    number = server.send(FAR, "Hello\r\n..dots", ALICE)
    told = server.instance.delivery(number, "delivered")
    assert told["rule"] == "control/smtproutes:1"
    assert (
        f"{sink.host} accepted message - Protocol SMTP.\nRemote host said: 250 ok" in told["text"]
    )
    (body,) = sink.mails
    assert body.startswith(b"Received: ")
    assert body.endswith(b"Subject: a test\r\n\r\nHello\r\n..dots\r\n")
    (heard,) = sink.heard
    assert heard[0] == f"EHLO {HOST}"
    assert heard[1].startswith(f"MAIL FROM:<{ALICE}>")
    assert heard[2:4] == [f"RCPT TO:<{FAR}>", "DATA"]
    assert "messages in queue: 0\n" in server.instance.run("qmail-qstat").stdout
    assert f": msg {number} to remote {FAR} " in server.says(": success: ")


def test_mail_is_held_until_it_is_let_go(server: Server, sink: Sink) -> None:
    with written(server, "control/holdremote", "1\n"):
        numbers = [server.send(FAR, sender=ALICE), server.send(ALICE)]
        server.instance.ended(numbers[1])
        assert sink.heard == []
    server.instance.delivery(numbers[0], "delivered")


# -- which host, and from where ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["smtproutes.cdb", "moresmtproutes.cdb"])
def test_routes_in_data_bases(server: Server, name: str) -> None:
    with Sink() as sink:
        base = build_cdb([(b"far.example", sink.place.encode())])
        with written(server, f"control/{name}", base):
            assert delivered(server)["rule"] == f"control/{name}[far.example]"
            assert len(sink.mails) == 1


@pytest.mark.parametrize(
    ("files", "client", "helo", "rule"),
    [
        ({}, "127.0.0.1", HOST, None),
        ({"helohost": "out.example"}, "127.0.0.1", "out.example", None),
        ({"outgoingip": "127.0.0.7"}, "127.0.0.7", HOST, "control/outgoingip:1"),
        ({"outgoingip.far.example": "127.0.0.6", "outgoingip": "127.0.0.7"}, "127.0.0.6", HOST,
         "control/outgoingip.far.example:1"),
        ({"domainbindings": f"{DOMAIN}:127.0.0.8"}, "127.0.0.8", DOMAIN,
         "control/domainbindings:1"),
        ({"domainbindings": "other.example:127.0.0.8"}, "127.0.0.1", HOST, None),
        ({"bindroutes": "127.:127.0.0.9", "helohostbyip": "127.0.0.9:nine.example"},
         "127.0.0.9", "nine.example", "control/bindroutes:1"),
    ],
)  # fmt: skip
def test_our_own_end_of_the_connection(
    server: Server, sink: Sink, files: dict[str, str], client: str, helo: str, rule: str | None
) -> None:
    with contextlib.ExitStack() as stack:
        for name, text in files.items():
            stack.enter_context(written(server, f"control/{name}", f"{text}\n"))
        facts = delivered(server)["facts"]
        assert sink.clients == [client]
        assert sink.heard[0][0] == f"EHLO {helo}"
        assert facts["helo"] == helo  # type: ignore[index]
        assert facts.get("source") == (f"{client} ({rule})" if rule else None)  # type: ignore[attr-defined]


def test_a_domain_s_instruction_names_a_host(server: Server, sink: Sink) -> None:
    """The mail of who is no user here goes to that host as it came."""
    name = f"domains/{DOMAIN}/.qmail-default"
    before = server.instance.read(name)
    instruction = before.replace("bounce-no-mailbox", f"far.example:{sink.host}:{sink.port}")
    with written(server, name, instruction):
        server.send(f"moved@{DOMAIN}")
        until(lambda: sink.mails)
    server.instance.write(name, before)
    assert sink.heard[0][2] == f"RCPT TO:<moved@{DOMAIN}>"
    assert sink.mails[0].count(b"Received: ") == 2


def test_mail_is_never_sent_to_ourselves(server: Server) -> None:
    """The port is not the configured one, but the one that was bound."""
    host, port = server.address
    with written(server, "control/smtproutes", f":[{host}]:{port}\n"):
        number = server.send(FAR, sender=ALICE)
        told = server.instance.delivery(number, "deferred")
    assert told["text"] == f"Sorry, the route to {host} port {port} leads back to me. (#4.4.6)"


# -- forwards and lists --------------------------------------------------------------------------


def test_a_forward_goes_out_with_the_sender_that_it_came_with(server: Server, sink: Sink) -> None:
    with written(server, "alias/.qmail-abroad", f"&{FAR}\n"):
        server.send(f"abroad@{HOST}")
        (mail,) = until(lambda: sink.mails)
    assert sink.heard[0][1].startswith("MAIL FROM:<stranger@elsewhere.example>")
    assert b"Delivered-To: abroad@mx.example.com\r\n" in mail


def test_a_list_goes_out_with_its_owner_and_costs_one_transaction(
    server: Server, sink: Sink
) -> None:
    members = [f"member{number}@far.example" for number in range(50)]
    with (
        written(server, "alias/.qmail-list", "".join(f"&{member}\n" for member in members)),
        written(server, "alias/.qmail-list-owner", f"&{BOB}\n"),
    ):
        server.send(f"list@{HOST}")
        until(lambda: sink.mails)
    (heard,) = sink.heard
    assert heard[1].startswith(f"MAIL FROM:<list-owner@{HOST}>")
    assert heard[2:52] == [f"RCPT TO:<{member}>" for member in members]
    assert len(sink.mails) == 1


def test_each_member_has_a_sender_of_its_own_where_the_list_wants_that(
    server: Server, sink: Sink
) -> None:
    with (
        written(server, "alias/.qmail-verp", "&ana@far.example\n&bo@far.example\n"),
        written(server, "alias/.qmail-verp-owner", f"&{BOB}\n"),
        written(server, "alias/.qmail-verp-owner-default", f"&{BOB}\n"),
    ):
        server.send(f"verp@{HOST}")
        until(lambda: len(sink.mails) == 2)
    said = [line.partition(" SIZE")[0] for one in sink.heard for line in one if ":<" in line]
    pairs = sorted(zip(said[::2], said[1::2], strict=True))
    assert pairs == [
        (f"MAIL FROM:<verp-owner-{name}=far.example@{HOST}>", f"RCPT TO:<{name}@far.example>")
        for name in ("ana", "bo")
    ]


# -- what other hosts say ------------------------------------------------------------------------


def test_many_mails_go_over_few_connections(server: Server, sink: Sink) -> None:
    with written(server, "control/holdremote", "1\n"), server.connect() as talk:
        for number in range(60):
            talk.mail(FAR, f"Subject: {number}\r\n\r\n", ALICE)
    until(lambda: len(sink.mails) == 60)
    assert len(sink.heard) <= 20


def test_each_recipient_has_an_outcome_of_its_own(server: Server) -> None:
    """Greylisting of one of them is not the end of the others, nor of itself."""
    replies = ["250 ok", "450 4.2.0 greylisted, come back", "550 5.1.1 nobody of that name"]
    with Sink(rcpt=replies) as sink, written(server, "control/smtproutes", f":{sink.place}\n"):
        with server.connect() as talk:
            talk.say(f"MAIL FROM:<{ALICE}>")
            for name in ("here", "later", "never"):
                talk.say(f"RCPT TO:<{name}@far.example>")
            talk.say("DATA")
            number = talk.say("Subject: three\r\n\r\n.").split()[-1]
        told = {verdict: server.instance.delivery(number, verdict)
                for verdict in ("delivered", "deferred", "failed")}  # fmt: skip
        assert told["deferred"]["text"].endswith("450 4.2.0 greylisted, come back")
        assert 390 < told["deferred"]["facts"]["age"] < 410  # type: ignore[index]
        assert "550 5.1.1 nobody of that name" in told["failed"]["text"]
        listed = server.instance.run("qmail-qread").stdout
    assert "remote\tlater@far.example\n" in listed
    assert "done\tremote\tnever@far.example\n" in listed


def test_explain_tells_what_the_guide_shows(server: Server) -> None:
    (shown,) = re.findall(r"(?ms)^```text\n\$ indimail explain \d+\n(.*?)^```$", GUIDE.read_text())
    with (
        Sink(rcpt=["450 4.2.0 greylisted, come back later"]) as sink,
        written(server, "control/smtproutes", f":{sink.place}\n"),
    ):
        with server.connect() as talk:
            number = talk.mail("ana@far.example", "Subject: a test\r\n\r\n", ALICE)
            talk.say("QUIT")
        server.instance.delivery(number, "deferred")
        told = until(lambda: _ended(server.instance.run("explain", number).stdout))
    assert sorted(shape(told).splitlines()) == sorted(shape(shown).splitlines())


def _ended(story: str) -> str:
    return story if "conversation ended" in story else ""


def test_a_server_that_wants_no_more_over_a_connection_gets_the_next_over_another(
    server: Server,
) -> None:
    with (
        Sink(mail=["250 ok", "421 4.3.2 enough"]) as sink,
        written(server, "control/smtproutes", f":{sink.place}\n"),
    ):
        delivered(server)
        delivered(server)
        assert len(sink.heard) == 2


def test_a_host_that_does_not_answer_is_left_alone_by_all_workers(instance: Instance) -> None:
    """Two failures, each seen by another worker: also one that starts later knows."""
    instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
    instance.variables(MAX_TOLERANCE=0)
    with Sink() as gone:
        instance.write("control/smtproutes", f":{gone.place}\n")
    with instance.serve(workers=2) as server:
        for talk in server.on_each_worker():
            instance.delivery(talk.mail(FAR, "Subject: x\r\n\r\n", ALICE), "deferred")
        line = f"{gone.host} port {gone.port} timed out "
        until(lambda: instance.run("qmail-tcpto").stdout.endswith("timeouts: 2\n"))
        assert instance.run("qmail-tcpto").stdout.startswith(line)
        for worker in server.workers:
            os.kill(worker, signal.SIGKILL)
            until(lambda gone=worker: gone not in server.workers)  # type: ignore[misc]
        assert skipped(instance, server) == [f"the route to {gone.host} port {gone.port}"]
        instance.run("qmail-tcpok")
        assert instance.run("qmail-tcpto").stdout == ""
        assert skipped(instance, server) == []


def skipped(instance: Instance, server: Server) -> list[str]:
    """Send a mail; return the hosts that were not even tried."""
    number = server.send(FAR, sender=ALICE)
    instance.delivery(number, "deferred")
    steps = [record for record in instance.explain(number) if record["event"] == "step"]
    return [r["text"].partition(": no answer")[0] for r in steps if r["verdict"] == "skipped"]
