"""The mail that every client sends, and what has to be in the Maildir afterwards.

A line of each kind that transports like to change: dots in front, blanks at the end, octets above
127, long lines, empty lines at the end.
"""

import re
import secrets
import socket

from live import BOB, PATIENCE, STRANGER, Server, Talk, our_lines, until

# What we put in front (spec/delivery.md 5.2), newest first.
OURS = ["Return-Path", "Delivered-To", "X-Filter", "Received", "Received"]


def new_mail(name: str) -> bytes:
    """Return a mail with LF line ends; no other one is equal."""
    return (
        f"From: <{STRANGER}>\nTo: <{BOB}>\nSubject: by {name} {secrets.token_hex(8)}\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 8bit\n\n"
        ".one dot\n..two dots\n.\n \nblanks at the end   \t\nGrüße aus Köln\n"
        f"{'long ' * 190}\n\n.\n\nlast line\n\n"
    ).encode()


def on_the_wire(mail: bytes) -> bytes:
    """Return a mail with the line ends that SMTP wants; smtplib leaves them to its caller."""
    return mail.replace(b"\n", b"\r\n")


def give(
    address: tuple[str, int], mail: bytes, sender: str, recipients: list[str],
    parameters: str = "", each: str = "",
) -> str:  # fmt: skip
    """Give a mail (LF) to the server at an address; return what it says to it.

    `parameters` are of MAIL, `each` those of every RCPT.
    """
    with Talk(socket.create_connection(address, PATIENCE)) as talk:
        talk.say("EHLO client.example")
        commands = [f"MAIL FROM:<{sender}> {parameters}".rstrip()]
        commands += [f"RCPT TO:<{recipient}> {each}".rstrip() for recipient in recipients]
        for command in commands:
            reply = talk.say(command)
            assert reply.startswith("250"), (command, reply)
        assert talk.say("DATA").startswith("354")
        talk.send(re.sub(rb"(?m)^\.", b"..", on_the_wire(mail)))
        reply = talk.say(".")
        assert reply.startswith("250"), reply
        return reply


def arrived(server: Server, sent: bytes) -> bytes:
    """Return what stands in front of the mail in bob's Maildir, once it is there."""

    def found() -> bytes | None:
        for mail in server.instance.mails("bob"):
            if mail.endswith(sent):
                return mail.removesuffix(sent)
        return None

    def shown() -> str:
        mails = server.instance.mails("bob")
        return f"{sent!r}\nis not the end of\n{mails[-1]!r}" if mails else server.output

    return until(found, 5, shown)


def arrived_as_sent(server: Server, sent: bytes) -> None:
    """Make sure that a mail came byte for byte, behind our own lines alone."""
    assert our_lines(arrived(server, sent) + sent, sent) == OURS
