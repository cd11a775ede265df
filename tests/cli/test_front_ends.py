"""qmail-inject and qmail-queue: real processes, without a server and with one that answers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cli.owner import Owner
from indimail.durable.disk import SystemDisk
from indimail.queue.submission import Receipt, Submission, read_spooled

TEXT = b"To: alice@example.com, joe\nFrom: Eve <eve@host>\nSubject: hello\n\nhello\n"


@dataclass(frozen=True)
class Site:
    """An instance's directory, and what its programs find in their environment."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def inject(self, *arguments: str, stdin: bytes = TEXT) -> "subprocess.CompletedProcess[bytes]":
        return self._run(["qmail-inject", *arguments], stdin, subprocess.PIPE)

    def queue(self, message: bytes, envelope: bytes) -> "subprocess.CompletedProcess[bytes]":
        reading, writing = os.pipe()
        os.write(writing, envelope)
        os.close(writing)
        try:
            return self._run(["qmail-queue"], message, reading)
        finally:
            os.close(reading)

    def _run(
        self, command: list[str], stdin: bytes, stdout: int
    ) -> "subprocess.CompletedProcess[bytes]":
        environ = {"PATH": os.environ["PATH"], "INDIMAIL_ROOT": str(self.root), "USER": "eve"}
        return subprocess.run(
            [sys.executable, "-m", "indimail.cli.main", *command],
            input=stdin, stdout=stdout, stderr=subprocess.PIPE, env=environ | self.environ,
            check=False,
        )  # fmt: skip

    def spooled(self) -> tuple[Submission, bytes]:
        (file,) = (self.root / "queue" / "spool").iterdir()
        envelope, *body = read_spooled(SystemDisk(), str(file))
        return Submission.from_bytes(envelope), b"".join(body)

    def is_empty(self) -> bool:
        return not any((self.root / "queue" / "spool").iterdir())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("mx.example.org\n")
    (tmp_path / "control" / "defaultdomain").write_text("example.org\n")
    (tmp_path / "queue" / "spool").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    return Site(tmp_path)


@pytest.fixture
def owner(site: Site) -> Iterator[Owner]:
    with Owner(str(site.root / "run" / "inject.sock")) as owner:
        yield owner


# -- qmail-inject ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "recipients"),
    [
        ((), ("alice@example.com", "joe@mx.example.org")),
        (("bob@host",), ("bob@host.example.org",)),
        (("-A", "bob@host"), ("bob@host.example.org",)),
        (("-a", "bob@host"), ("bob@host.example.org",)),
        (("-h", "bob@host"), ("alice@example.com", "joe@mx.example.org")),
        (("-H", "bob@host"), ("bob@host.example.org", "alice@example.com", "joe@mx.example.org")),
    ],
)
def test_letters_say_whose_recipients_count(
    site: Site, arguments: tuple[str, ...], recipients: tuple[str, ...]
) -> None:
    ran = site.inject(*arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    submission, body = site.spooled()
    assert submission == Submission("eve@mx.example.org", recipients)
    assert body.startswith(
        b"To: alice@example.com, joe@mx.example.org\nFrom: Eve <eve@host.example.org>\n"
    )
    assert body.endswith(b"\n\nhello\n")


@pytest.mark.parametrize(
    ("environ", "arguments", "sender"),
    [
        ({}, (), "ret@path.example"),
        ({"QMAILINJECT": "s"}, (), "eve@mx.example.org"),
        ({}, ("-f", ""), ""),
        ({}, ("-f", "<>"), ""),
        ({}, ("-f", "x@host"), "x@host.example.org"),
        ({"QMAILINJECT": "s", "QMAILUSER": "a", "QMAILHOST": "b.example"}, (), "a@b.example"),
        ({"QMAILINJECT": "s", "QMAILSUSER": "a", "QMAILSHOST": "b.example", "QMAILUSER": "c"}, (),
         "a@b.example"),
        ({"QMAILINJECT": "sr"}, (), "eve-@mx.example.org-@[]"),
        ({"QMAILINJECT": "s", "QMAILDEFAULTHOST": "other"}, (), "eve@other.example.org"),
    ],
)  # fmt: skip
def test_the_sender_is_the_option_s_the_message_s_or_the_environment_s(
    site: Site, environ: dict[str, str], arguments: tuple[str, ...], sender: str
) -> None:
    site.environ.update(environ)
    assert site.inject(*arguments, stdin=b"Return-Path: ret@path.example\n" + TEXT).returncode == 0
    assert site.spooled()[0].reverse_path == sender


@pytest.mark.parametrize(
    ("environ", "arguments", "forwarded"),
    [
        ({"EXT": "sales", "HOST": "example.com"}, (), True),
        ({"EXT": "sales", "HOST": "example.com"}, ("-f", ""), False),  # nobody to return it to
        ({"HOST": "laptop"}, (), False),
    ],
)
def test_what_a_dot_qmail_file_sends_is_sent_on(
    site: Site, environ: dict[str, str], arguments: tuple[str, ...], forwarded: bool
) -> None:
    site.environ.update(environ)
    assert site.inject(*arguments).returncode == 0
    assert site.spooled()[0].forwarded is forwarded


def test_a_sender_for_each_message_has_the_time_and_the_process(site: Site) -> None:
    site.environ["QMAILINJECT"] = "m"
    site.inject()
    local = site.spooled()[0].reverse_path.removesuffix("@mx.example.org")
    assert local.startswith("eve-")
    assert local.removeprefix("eve-").replace(".", "").isdigit()


@pytest.mark.parametrize(
    ("arguments", "letters"), [(("-n",), ""), ((), "n"), (("-n",), "fc")]
)  # fmt: skip
def test_n_shows_the_message_and_queues_nothing(
    site: Site, arguments: tuple[str, ...], letters: str
) -> None:
    site.environ.update(QMAILINJECT=letters, QMAILNAME="E V E", QMAILIDHOST="id.example")
    ran = site.inject(*arguments)
    assert ran.returncode == 0
    assert site.is_empty()
    assert ran.stdout.endswith(b"\n\nhello\n")
    assert b"@id.example>\n" in ran.stdout
    assert (b"From: eve@mx.example.org (E V E)\n" in ran.stdout) is (letters == "fc")


@pytest.mark.parametrize(
    ("environ", "stdin", "code", "text"),
    [
        ({}, b"Subject: x\n\n", 100, b"no recipients"),
        ({}, b"To: a\0@b\n\n", 100, b"not an address"),
        ({"USER": "eve\nBcc: x@y"}, TEXT, 100, b"not an address"),
        ({"INDIMAIL_ROOT": "/nowhere"}, TEXT, 111, b"/nowhere/control/me: no such file"),
    ],
)
def test_what_is_not_sent_has_qmail_s_code_and_a_reason(
    site: Site, environ: dict[str, str], stdin: bytes, code: int, text: bytes
) -> None:
    site.environ.update(environ)
    ran = site.inject(stdin=stdin)
    assert ran.returncode == code
    assert ran.stderr.startswith(b"qmail-inject: fatal: ")
    assert text in ran.stderr
    assert site.is_empty()


def test_wrong_use_is_code_100(site: Site) -> None:
    assert site.inject("--nonsense").returncode == 100


@pytest.mark.parametrize(
    ("receipt", "code"), [(Receipt(88, 1, "Dtoo large"), 100), (Receipt(53, 1, "disk full"), 111)]
)
def test_what_the_server_refuses_is_told(
    site: Site, owner: Owner, receipt: Receipt, code: int
) -> None:
    owner.receipt = receipt
    ran = site.inject()
    assert ran.returncode == code
    assert ran.stderr == f"qmail-inject: fatal: {receipt.reason}\n".encode()


# -- qmail-queue ----------------------------------------------------------------------------------

ENVELOPE = b"Feve@example.net\0Talice@example.com\0Tbob@host\0\0"


@pytest.mark.parametrize("size", [0, 5, 70_000, 2_000_000])
def test_the_message_is_taken_as_it_is(site: Site, size: int) -> None:
    message = b"x" * size
    ran = site.queue(message, ENVELOPE)
    assert (ran.returncode, ran.stderr) == (0, b"")
    submission, body = site.spooled()
    assert submission == Submission("eve@example.net", ("alice@example.com", "bob@host"))
    assert body == message


def test_the_message_is_read_before_the_envelope(site: Site, owner: Owner) -> None:
    """As qmail's clients write them: first all of the one, then the other, which stays open."""
    (message, to_message), (envelope, to_envelope) = os.pipe(), os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "indimail.cli.main", "qmail-queue"],
        stdin=message, stdout=envelope, env=os.environ | {"INDIMAIL_ROOT": str(site.root)},
    )  # fmt: skip
    os.close(message)
    os.close(envelope)
    with open(to_message, "wb") as file:
        file.write(b"x" * 3_000_000)
    os.write(to_envelope, ENVELOPE)
    assert process.wait(30) == 0
    os.close(to_envelope)
    assert b"".join(owner.frames[1:]) == b"x" * 3_000_000


@pytest.mark.parametrize(
    ("envelope", "code", "text"),
    [
        (b"", 54, b""),
        (b"Feve@example.net\0Talice@example.com\0", 54, b""),
        (b"Feve@example.net\0Talice@exam", 54, b""),
        (b"Talice@example.com\0\0", 91, b""),
        (b"Feve@example.net\0alice@example.com\0\0", 91, b""),
        (b"F\0T" + b"a" * 1003 + b"\0\0", 11, b""),
        (b"F\0Ta\nb@c\0\0", 88, b"D'a\\nb@c': not an address (#5.1.3)"),
        (b"F\0Ta\xff@c\0\0", 88, b"D'a\\udcff@c': not an address (#5.1.3)"),
        (b"F\0" + b"Ta@b\0" * 1_000_000 + b"\0", 88, b"Dsorry, too many recipients (#5.7.1)"),
    ],
)
def test_what_is_no_envelope_has_its_code(
    site: Site, tmp_path: Path, envelope: bytes, code: int, text: bytes
) -> None:
    (tmp_path / "envelope").write_bytes(envelope)
    with open(tmp_path / "envelope", "rb") as file:
        ran = site._run(["qmail-queue"], b"x\n", file.fileno())
    assert (ran.returncode, ran.stderr) == (code, text)
    assert site.is_empty()


def test_the_null_reverse_path_and_what_follows_the_end_are_fine(site: Site) -> None:
    assert site.queue(b"x\n", b"F\0Ta@b.c\0\0what else").returncode == 0
    assert site.spooled()[0] == Submission("", ("a@b.c",))


@pytest.mark.parametrize(
    ("receipt", "told"), [(Receipt(88, 1, "Zlater"), b"Zlater"), (Receipt(71, 1, "stops"), b"")]
)
def test_the_server_s_code_is_the_exit_code(
    site: Site, owner: Owner, receipt: Receipt, told: bytes
) -> None:
    owner.receipt = receipt
    ran = site.queue(b"x\n", ENVELOPE)
    assert (ran.returncode, ran.stderr) == (receipt.code, told)


def test_without_a_spool_directory_it_is_a_write_error(site: Site) -> None:
    (site.root / "queue" / "spool").rmdir()
    assert site.queue(b"x\n", ENVELOPE).returncode == 53
