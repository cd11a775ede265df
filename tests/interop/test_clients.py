"""Programs that send mail: each one's mail is in the Maildir byte for byte, over IPv4 and IPv6."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from interop.mails import arrived_as_sent, new_mail
from live import BOB, PATIENCE, STRANGER, Server, until
from support import needs, needs_perl

pytestmark = pytest.mark.interop

Sender = Callable[[str, int, Path], list[str]]


def swaks(host: str, port: int, mail: Path) -> list[str]:
    if ":" in host:
        needs_perl("IO::Socket::INET6")
    # -g: nothing is read from stdin; the mail as it is, but for line ends and dots
    return [needs("swaks"), "--protocol", "ESMTP", "--server", host, "--port", str(port),
            *(["-6"] if ":" in host else []), "--helo", "swaks.example",
            "--from", STRANGER, "--to", BOB, "--data", f"@{mail}"]  # fmt: skip


def curl(host: str, port: int, mail: Path) -> list[str]:
    shown = f"[{host}]" if ":" in host else host
    return [needs("curl"), "-sS", "--crlf", f"smtp://{shown}:{port}/curl.example",
            "--mail-from", STRANGER, "--mail-rcpt", BOB, "-T", str(mail)]  # fmt: skip


def msmtp(host: str, port: int, mail: Path) -> list[str]:
    return [needs("msmtp"), "--host", host, "--port", str(port), "--domain", "msmtp.example",
            "--from", STRANGER, "--set-from-header=off", "--set-date-header=off",
            "--set-msgid-header=off", "--", BOB]  # fmt: skip


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("sender", [swaks, curl, msmtp])
def test_a_mail_comes_byte_for_byte(
    server: Server, tmp_path: Path, sender: Sender, host: str
) -> None:
    mail = new_mail(f"{sender.__name__} over {host}")
    path = tmp_path / "mail"
    path.write_bytes(mail.removesuffix(b"\n") if sender is swaks else mail)  # it adds one
    with path.open("rb") as file:
        done = subprocess.run(
            sender(host, server.address[1], path),
            stdin=file, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    arrived_as_sent(server, mail)


@pytest.mark.parametrize("sender", [swaks, curl, msmtp])
def test_a_refused_recipient_is_the_clients_error(
    server: Server, tmp_path: Path, sender: Sender
) -> None:
    path = tmp_path / "mail"
    path.write_bytes(new_mail("nobody"))
    command = [
        "nobody@example.com" if word == BOB else word
        for word in sender("127.0.0.1", server.address[1], path)
    ]
    with path.open("rb") as file:
        done = subprocess.run(
            command, stdin=file, capture_output=True, timeout=PATIENCE, check=False
        )
    assert done.returncode != 0
    told = (done.stdout + done.stderr).decode()
    assert "550" in told, told


@pytest.mark.parametrize(
    ("where", "sessions", "mails", "octets", "options"),
    [
        ("inet:127.0.0.1:{}", 1, 5, 300, []),
        ("inet:[::1]:{}", 1, 5, 300, []),
        ("inet:127.0.0.1:{}", 20, 200, 1024, []),
        ("inet:[::1]:{}", 10, 40, 100_000, []),
        ("inet:127.0.0.1:{}", 10, 30, 1024, ["-d"]),
        ("inet:127.0.0.1:{}", 5, 20, 2048, ["-r", "10"]),
    ],
    ids=["one by one", "over IPv6", "many at once", "100 KB", "a connection each", "10 recipients"],
)
def test_all_mails_of_smtp_source_arrive(
    server: Server, where: str, sessions: int, mails: int, octets: int, options: list[str]
) -> None:
    before = len(server.instance.mails("bob"))
    recipients = 10 if "-r" in options else 1
    options = [option for option in options if option not in ("-r", "10")]
    if recipients > 1:  # smtp-source would put a number in front of each address
        options += ["-r", "1"]
        mails *= recipients
    command = [needs("smtp-source"), "-s", str(sessions), "-m", str(mails), "-l", str(octets),
               "-f", STRANGER, "-t", BOB, "-S", "by smtp-source", *options]  # fmt: skip
    done = subprocess.run(
        [*command, where.format(server.address[1])],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: len(server.instance.mails("bob")) == before + mails)
    new = server.instance.mails("bob")[before:]
    (body,) = {mail.partition(b"\n\n")[2] for mail in new}  # all have the same text
    assert re.fullmatch(rb"([ \dX]+\n)+", body), body
    assert len(body.replace(b"\n", b"\r\n")) == octets + len("\r\n")
    assert len({_message_id(mail) for mail in new}) == mails


def _message_id(mail: bytes) -> bytes:
    return mail.lower().partition(b"\nmessage-id:")[2].partition(b"\n")[0]
