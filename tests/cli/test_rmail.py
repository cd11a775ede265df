"""rmail, as uux starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from indimail.durable.disk import SystemDisk
from indimail.queue.submission import Submission, read_spooled

LINES = (
    b"From uucp Mon Nov 23 23:15:00 2026 remote from relay\n"
    b">From ann Mon Nov 23 23:10:00 2026 remote from host.example.com\n"
)
MAIL = b"To: alice@example.com\nSubject: hello\n\n>From here on\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("control", "run", "queue/spool"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "control" / "me").write_text("mx.example.org\n")
    return tmp_path


def rmail(root: Path, *arguments: str, mail: bytes) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "indimail.cli.main", "rmail", *arguments],
        input=mail,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "INDIMAIL_ROOT": str(root), "USER": "uucp"},
        check=False,
    )


@pytest.mark.parametrize(
    ("lines", "sender"), [(LINES, "ann@host.example.com"), (b"", "uucp@mx.example.org")]
)
def test_a_mail_from_uucp_has_the_sender_of_its_lines(
    root: Path, lines: bytes, sender: str
) -> None:
    done = rmail(root, "alice@example.com", "bob", mail=lines + MAIL)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (file,) = (root / "queue" / "spool").iterdir()
    envelope, *body = read_spooled(SystemDisk(), str(file))
    assert Submission.from_bytes(envelope) == Submission(
        sender, ("alice@example.com", "bob@mx.example.org")
    )
    assert b"".join(body).startswith(b"To: alice@example.com\nSubject: hello\n")
    assert b"".join(body).endswith(b"\n\n>From here on\n")


@pytest.mark.parametrize(("arguments", "code"), [((), 64), (("a\n@b",), 65)])
def test_wrong_use_has_its_exit_code_and_a_reason(
    root: Path, arguments: tuple[str, ...], code: int
) -> None:
    done = rmail(root, *arguments, mail=MAIL)
    assert done.returncode == code
    assert b"rmail: " in done.stderr
