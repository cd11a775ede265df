"""Mail that leaves the house: a running server, and other hosts on this machine."""

import os

import pytest

from live import ALICE, Instance
from sink import Sink

pytestmark = pytest.mark.slow

FAR = "somebody@far.example"


@pytest.fixture
def outward(instance: Instance) -> Instance:
    """An instance where everybody on this machine may send to other hosts."""
    instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
    return instance


def test_a_mail_goes_to_the_host_of_its_route(outward: Instance) -> None:
    with Sink() as sink, outward.serve() as server:
        outward.write("control/smtproutes", f"far.example:{sink.place}\n")
        number = server.send(FAR, "Hello\r\n..dots", ALICE)
        told = outward.delivery(number, "delivered")
        assert told["rule"] == "control/smtproutes:1"
        assert (
            f"{sink.host} accepted message - Protocol SMTP.\nRemote host said: 250 ok"
            in told["text"]
        )
        (body,) = sink.mails
        assert body.startswith(b"Received: ")
        assert body.endswith(b"Subject: a test\r\n\r\nHello\r\n..dots\r\n")
        (heard,) = sink.heard
        assert heard[0] == "EHLO mx.example.com"
        assert heard[1].startswith(f"MAIL FROM:<{ALICE}>")
        assert heard[2:4] == [f"RCPT TO:<{FAR}>", "DATA"]
        assert "messages in queue: 0\n" in outward.run("qmail-qstat").stdout
        assert f": msg {number} to remote {FAR} " in server.says(": success: ")


def test_mail_is_held_until_it_is_let_go(outward: Instance) -> None:
    with Sink() as sink, outward.serve() as server:
        outward.write("control/smtproutes", f":{sink.place}\n")
        outward.write("control/holdremote", "1\n")
        numbers = [server.send(FAR, sender=ALICE), server.send(ALICE)]
        outward.ended(numbers[1])
        assert sink.heard == []
        os.unlink(outward.path("control/holdremote"))
        outward.delivery(numbers[0], "delivered")
