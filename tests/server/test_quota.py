"""A mailbox that fills up, on a running server: bounces, a lock, and room again."""

import os

import pytest

from live import ALICE, BOB, DOMAIN, Instance, Server, until

pytestmark = pytest.mark.slow

LINE = "x" * 78 + "\r\n"
LIMIT = 1_048_576


def outcome(server: Server, octets: int, to: str = ALICE) -> tuple[str, str]:
    """Send a mail of about that size from Bob; return what became of it."""
    records = server.instance.ended(server.send(to, LINE * (octets // len(LINE)), BOB))
    [ended] = [record for record in records if record["event"] == "outcome"]
    return ended["verdict"], ended["text"]


def rcpt(server: Server, address: str) -> str:
    """Return what RCPT is told."""
    with server.connect() as talk:
        return talk.recipient(address)


def empty(instance: Instance, user: str) -> None:
    """Delete all mail of a user, as a reader does."""
    for part in ("new", "cur"):
        folder = f"{instance.maildir(user)}/{part}"
        for name in os.listdir(folder):
            os.unlink(f"{folder}/{name}")


def is_locked(instance: Instance, user: str) -> bool:
    return "mail will be bounced" in instance.run("vuserinfo", "-g", user).stdout


def test_a_full_mailbox_bounces_and_takes_mail_again_once_there_is_room(server: Server) -> None:
    instance = server.instance
    instance.run("vsetuserquota", ALICE, "1M")
    assert [outcome(server, 250_000)[0] for _ in range(4)] == ["delivered"] * 4
    verdict, text = outcome(server, 250_000)
    assert verdict == "failed"
    assert text.startswith(f"{ALICE} has insufficient quota. ")
    assert text.endswith(f":4/0:{LIMIT}. indimail (#5.1.4)")
    [bounce] = until(lambda: instance.mails("bob"))
    assert text.encode() in bounce.replace(b"\n", b" ")
    assert b"\nStatus: 5.2.2\n" in bounce
    assert len(instance.mails("alice")) == 4
    held = text.split("/")[1].split(":")[0]
    told = f"delivery failed (the mailbox held {held}S,4C of {LIMIT}S)"
    until(lambda: told in instance.run("explain", "--to", ALICE).stdout)
    assert not is_locked(instance, ALICE)  # a smaller mail may fit
    empty(instance, "alice")
    assert outcome(server, 250_000) == ("delivered", "did 0+0+1")


def test_the_quotas_lock_goes_with_room_and_the_administrators_does_not(server: Server) -> None:
    instance = server.instance
    assert outcome(server, 250_000)[0] == "delivered"
    instance.run("vsetuserquota", ALICE, "200000")
    assert outcome(server, 50_000)[0] == "failed"
    until(lambda: is_locked(instance, ALICE))
    refused = until(lambda: (said := rcpt(server, ALICE))[:1] == "5" and said)
    assert "is overquota on this domain (#5.2.2)" in refused
    empty(instance, "alice")
    assert until(lambda: rcpt(server, ALICE)[:1] == "2")
    assert not is_locked(instance, ALICE)
    assert outcome(server, 50_000)[0] == "delivered"
    instance.run("vmoduser", "-b", ALICE)
    empty(instance, "alice")
    assert rcpt(server, ALICE).startswith("550 5.2.2 ")
    assert is_locked(instance, ALICE)


def test_the_over_quota_command_hears_of_it(instance: Instance) -> None:
    script = instance.path("libexec/overquota.sh")
    os.mkdir(instance.path("libexec"), 0o755)
    instance.write("libexec/overquota.sh", f'#!/bin/sh\necho "$@" >>{instance.root}/queue/told\n')
    os.chmod(script, 0o755)
    with instance.serve() as server:
        instance.run("vsetuserquota", ALICE, "100000")
        assert outcome(server, 200_000)[0] == "failed"
        told = until(lambda: instance.read("queue/told")).split()
    assert told[0] == instance.maildir("alice")
    assert told[2:] == ["0", "0", "100000", "dummy"]


def test_a_sender_in_the_black_hole_is_discarded(server: Server) -> None:
    instance = server.instance
    instance.write("control/blackholedsender", "# noise\n@elsewhere.example\n")
    assert rcpt(server, f"nobody@{DOMAIN}").startswith("250 ")  # it would not bounce
    records = instance.ended(server.send(ALICE))
    [ended] = [record for record in records if record["event"] == "outcome"]
    assert ended["verdict"] == "delivered"
    assert ended["text"].startswith("vdelivermail: Discarding BlackHoled Address [stranger@")
    assert ended["rule"] == "control/blackholedsender:2"
    assert instance.mails("alice") == []
