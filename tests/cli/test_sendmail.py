"""sendmail, without a server and with one."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.owner import Owner
from indimail.cli import sendmail
from indimail.cli.main import Parser
from indimail.durable.disk import SystemDisk
from indimail.queue.submission import Receipt, Submission, read_spooled

TEXT = b"To: alice@example.com\nSubject: hello\n\nhello\n"


@dataclass(frozen=True)
class Ran:
    code: int
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("mx.example.org\n")
    (tmp_path / "queue" / "spool").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in ("QMAILUSER", "MAILUSER", "QMAILHOST", "MAILHOST", "QMAILNAME", "MAILNAME", "NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "eve")

    def command(*arguments: str, stdin: bytes = TEXT) -> Ran:
        parser = Parser("sendmail")
        sendmail.add_arguments(parser)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        code = sendmail.run(parser.parse_args(["--root", str(root), *arguments]))
        return Ran(code, capsys.readouterr().err)

    return command


def spooled(root: Path) -> tuple[Submission, bytes]:
    (file,) = (root / "queue" / "spool").iterdir()
    envelope, *body = read_spooled(SystemDisk(), str(file))
    return Submission.from_bytes(envelope), b"".join(body)


@pytest.fixture
def owner(root: Path) -> Iterator[Owner]:
    with Owner(str(root / "run" / "inject.sock")) as owner:
        yield owner


def test_the_running_server_takes_it(run: Run, root: Path, owner: Owner) -> None:
    assert run("-t").code == 0
    submission = Submission.from_bytes(owner.frames[0])
    assert submission == Submission("eve@mx.example.org", ("alice@example.com",))
    assert b"".join(owner.frames[1:]).endswith(b"\n\nhello\n")
    assert list((root / "queue" / "spool").iterdir()) == []


def test_where_nobody_runs_it_is_left_for_the_next_start(run: Run, root: Path) -> None:
    assert run("-t", "-f", "bob@example.net", "carol@example.net").code == 0
    submission, body = spooled(root)
    assert submission.reverse_path == "bob@example.net"
    assert submission.recipients == ("carol@example.net", "alice@example.com")
    head, _, rest = body.partition(b"\n\n")
    assert rest == b"hello\n"
    assert [line.partition(b":")[0] for line in head.split(b"\n")] == [
        b"To", b"Subject", b"Date", b"Message-ID", b"From",
    ]  # fmt: skip
    assert b"From: bob@example.net" in head
    (file,) = (root / "queue" / "spool").iterdir()
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("arguments", "sender", "recipients"),
    [
        (("a@b.example",), "eve@mx.example.org", ("a@b.example",)),
        (("-f", "", "a@b.example"), "", ("a@b.example",)),
        (("-f", "<>", "a@b.example"), "", ("a@b.example",)),
        (("-r", "<x@y.example>", "a@b.example"), "x@y.example", ("a@b.example",)),
        (("-fx", "joe"), "x@mx.example.org", ("joe@mx.example.org",)),
        (("-r", "x@host", "a@host"), "x@host.mx.example.org", ("a@host.mx.example.org",)),
        (("-oi", "-oem", "-i", "-v", "-bm", "-Am", "-B8BITMIME", "-N", "never", "--", "a@b.example"),
         "eve@mx.example.org", ("a@b.example",)),
        (("-ti", "a@b.example"), "eve@mx.example.org", ("a@b.example", "alice@example.com")),
    ],
)  # fmt: skip
def test_options_say_who_sends_and_who_gets_it(
    run: Run, root: Path, arguments: tuple[str, ...], sender: str, recipients: tuple[str, ...]
) -> None:
    assert run(*arguments) == Ran(0, "")
    submission, _ = spooled(root)
    assert (submission.reverse_path, submission.recipients) == (sender, recipients)


@pytest.mark.parametrize(
    ("sender", "author"),
    [("<x@y.example>", b"x@y.example"), ("x@y.example", b"x@y.example"), ("<>", b"eve@mx.example.org")],
)  # fmt: skip
def test_who_sends_is_the_author(run: Run, root: Path, sender: str, author: bytes) -> None:
    assert run("-f", sender, "a@b.example").code == 0
    assert b"\nFrom: " + author + b"\n" in spooled(root)[1]


@pytest.mark.parametrize(
    ("stdin", "body"),
    [
        (b"To: a@b\n\none\n.\ntwo\n", b"one\n.\ntwo\n"),
        (b"To: a@b\n\nno end", b"no end\n"),
        (b"To: a@b\r\n\r\none\r\ntwo\r\n", b"one\ntwo\n"),
        (b"From eve Mon\nTo: a@b\n\nx\n", b"x\n"),
        (b"only a body\n", b"only a body\n"),
        (b"", b""),
        (b"only a body\n" + b"x\n" * (3 << 20), b"only a body\n" + b"x\n" * (3 << 20)),
        (b"To: a@b\n\n" + b"x" * 600_000 + b"\n", b"x" * 600_000 + b"\n"),
        (b"To: a@b\r\n\r\n" + b"x" * 262_143 + b"\r\n", b"x" * 262_143 + b"\n"),
    ],
)
def test_the_body_goes_as_it_is_with_lines_of_lf(
    run: Run, root: Path, stdin: bytes, body: bytes
) -> None:
    assert run("a@b.example", stdin=stdin).code == 0
    assert spooled(root)[1].partition(b"\n\n")[2] == body


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        ((), TEXT, 64),
        (("-bt",), TEXT, 64),
        (("-t",), b"Subject: x\n\n", 65),
        (("a\n@b",), TEXT, 65),
        (("a\udcff@b",), TEXT, 65),
        (("-bi",), TEXT, 100),
        (("-I",), TEXT, 100),
    ],
)
def test_wrong_use_has_its_exit_code_and_a_reason(
    run: Run, root: Path, arguments: tuple[str, ...], stdin: bytes, code: int
) -> None:
    ran = run(*arguments, stdin=stdin)
    assert ran.code == code
    assert ran.err.startswith("sendmail: ")
    assert list((root / "queue" / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("receipt", "code", "reason"),
    [
        (Receipt(11, 1, "envelope address too long (#5.1.3)"), 65, "envelope address too long"),
        (Receipt(88, 1, "Dtoo large"), 69, "sendmail: too large"),
        (Receipt(53, 1, "disk full"), 75, "disk full"),
        (Receipt(91, 1, "format"), 75, "format"),
    ],
)
def test_a_refusal_has_its_exit_code_and_its_reason(
    run: Run, owner: Owner, receipt: Receipt, code: int, reason: str
) -> None:
    owner.receipt = receipt
    ran = run("-t")
    assert ran.code == code
    assert reason in ran.err


def test_without_an_instance_it_is_to_be_tried_again(run: Run, root: Path) -> None:
    (root / "control" / "me").unlink()
    assert run("-t").code == 75


def test_without_a_spool_directory_it_is_to_be_tried_again(run: Run, root: Path) -> None:
    (root / "queue" / "spool").rmdir()
    ran = run("-t")
    assert ran.code == 75
    assert "queue/spool: No such file" in ran.err


# -- sendmail -bs ---------------------------------------------------------------------------------

DIALOGUE = b"""\
EHLO me\r
MAIL FROM:<eve@example.net> RET=HDRS BODY=8BITMIME\r
RCPT TO:<alice@example.com> NOTIFY=NEVER\r
RCPT TO:<bob@elsewhere.example>\r
DATA\r
Subject: hello\r
\r
..one\r
\xc3\xbc\r
.\r
"""
QUEUED = Submission(
    "eve@example.net",
    ("alice@example.com", "bob@elsewhere.example"),
    eight_bit=True,
    ret="HDRS",
    notify=("NEVER", ""),
    orcpt=("", ""),
)


def converse(root: Path, given: bytes) -> tuple[int, list[str]]:
    """Return the exit code and the codes of the replies."""
    done = subprocess.run(
        [sys.executable, "-m", "indimail.cli.main", "sendmail", "-bs", "--root", str(root)],
        input=given,
        capture_output=True,
        check=False,
    )
    return done.returncode, [line for line in done.stdout.decode().splitlines() if line[3] == " "]


@pytest.mark.parametrize("ending", [b"QUIT\r\n", b""])
def test_bs_takes_mail_by_smtp(root: Path, ending: bytes) -> None:
    code, replies = converse(root, DIALOGUE + ending)
    assert code == 0
    assert replies[0].startswith("220 mx.example.org ")
    assert [reply[:3] for reply in replies[1:]] == ["250"] * 4 + ["354", "250"] + (
        ["221"] if ending else []
    )
    (file,) = (root / "queue" / "spool").iterdir()
    envelope, *body = read_spooled(SystemDisk(), str(file))
    assert replace(Submission.from_bytes(envelope), queue="") == QUEUED
    assert b"".join(body) == b"Subject: hello\n\n.one\n\xc3\xbc\n"


def test_bs_keeps_transactions_apart(root: Path) -> None:
    first = b"MAIL FROM:<>\r\nRCPT TO:<carol@example.com>\r\nRSET\r\n"
    assert converse(root, first + DIALOGUE)[0] == 0
    (file,) = (root / "queue" / "spool").iterdir()
    envelope, *_ = read_spooled(SystemDisk(), str(file))
    assert replace(Submission.from_bytes(envelope), queue="") == QUEUED


def test_bs_tells_the_number_that_the_server_gave(root: Path, owner: Owner) -> None:
    _, replies = converse(root, DIALOGUE)
    assert replies[-1].endswith(" qp 1024")


@pytest.mark.parametrize(
    ("receipt", "reply"),
    [
        (Receipt(88, 1, "Dtoo large (#5.3.4)"), "554 5.3.4 too large (#5.3.4)"),
        (Receipt(53, 1, "disk full"), "451 4.0.0 disk full"),
    ],
)
def test_bs_says_what_the_queue_refuses(
    root: Path, owner: Owner, receipt: Receipt, reply: str
) -> None:
    owner.receipt = receipt
    assert converse(root, DIALOGUE)[1][-1] == reply


@pytest.mark.parametrize("given", [b"", DIALOGUE.removesuffix(b".\r\n"), DIALOGUE + b"DATA\r\n"])
def test_bs_queues_whole_messages_alone(root: Path, given: bytes) -> None:
    code, replies = converse(root, given)
    assert code == 0
    assert len(list((root / "queue" / "spool").iterdir())) == sum(" qp " in r for r in replies)


def test_bs_without_an_instance_is_to_be_tried_again(root: Path) -> None:
    (root / "control" / "me").unlink()
    assert converse(root, DIALOGUE) == (75, [])
