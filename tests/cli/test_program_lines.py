"""The programs of dot-qmail files, as processes with the environment of a delivery."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.owner import Owner
from indimail.durable.disk import SystemDisk
from indimail.queue.submission import Receipt, Submission, read_spooled

MAIL = b"Subject: hello\n\nhello\n"
DELIVERED_TO = "Delivered-To: example.com-alice@example.com\n"
ENVIRON = {
    "SENDER": "eve@example.net",
    "NEWSENDER": "alice-owner@example.com",
    "DTLINE": DELIVERED_TO,
    "RPLINE": "Return-Path: <eve@example.net>\n",
    "UFLINE": "From eve@example.net Mon Nov 23 23:15:00 2026\n",
}
YES, NO = ("sh", "-c", "cat >/dev/null"), ("sh", "-c", "cat >/dev/null; exit 1")


def exits(code: int) -> tuple[str, ...]:
    return ("sh", "-c", f"exit {code}")


CRASHES = ("sh", "-c", "kill -9 $$")
NOBODY = ("/nowhere/program",)


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Delivery:
    """A delivery's directory, with an instance that nobody serves."""

    home: Path

    def run(
        self, *command: str, mail: bytes = MAIL, as_pipe: bool = False, **changed: str | None
    ) -> Ran:  # fmt: skip
        environ = {"PATH": os.environ["PATH"], "INDIMAIL_ROOT": str(self.home), **ENVIRON}
        environ |= {name: value for name, value in changed.items() if value is not None}
        for name in [name for name, value in changed.items() if value is None]:
            del environ[name]
        argv = [sys.executable, "-m", "indimail.cli.main", *command]
        with tempfile.TemporaryFile() as file:
            file.write(mail)
            file.flush()  # and the offset stays at the end: the program has to go back
            given = {"input": mail} if as_pipe else {"stdin": file}
            done = subprocess.run(  # type: ignore[call-overload]
                argv, capture_output=True, env=environ, cwd=self.home, check=False, **given
            )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def sent(self) -> tuple[Submission, bytes]:
        (file,) = (self.home / "queue" / "spool").iterdir()
        envelope, *body = read_spooled(SystemDisk(), str(file))
        return Submission.from_bytes(envelope), b"".join(body)

    def sent_nothing(self) -> bool:
        return not any((self.home / "queue" / "spool").iterdir())

    def stored(self) -> list[Path]:
        return list((self.home / "Maildir" / "new").iterdir())


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    (tmp_path / "queue" / "spool").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    for part in ("tmp", "new", "cur"):
        (tmp_path / "Maildir" / part).mkdir(parents=True)
    return Delivery(tmp_path)


@pytest.fixture
def owner(delivery: Delivery) -> Iterator[Owner]:
    with Owner(str(delivery.home / "run" / "inject.sock")) as owner:
        yield owner


# -- forward --------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_pipe", [False, True])
def test_forward_tells_who_it_was_for_and_where_it_goes(delivery: Delivery, as_pipe: bool) -> None:
    ran = delivery.run("forward", "a@b.c", "d@e.f", as_pipe=as_pipe, QQEH="X-Kept: 1\n")
    assert ran == Ran(0, "forward: qp 0\n", "")
    submission, body = delivery.sent()
    assert submission == Submission("alice-owner@example.com", ("a@b.c", "d@e.f"))
    assert body == (
        DELIVERED_TO.encode() + b"X-Forwarded-To: a@b.c\nX-Forwarded-To: d@e.f\n"
        b"X-Forwarded-For: alice-owner@example.com\nX-Kept: 1\n" + MAIL
    )


def test_forward_tells_the_number_that_the_server_gave(delivery: Delivery, owner: Owner) -> None:
    assert delivery.run("forward", "a@b.c") == Ran(0, "forward: qp 1024\n", "")
    assert Submission.from_bytes(owner.frames[0]).recipients == ("a@b.c",)


@pytest.mark.parametrize(
    ("receipt", "code"), [(Receipt(88, 1, "Dtoo large"), 100), (Receipt(53, 1, "disk full"), 111)]
)
def test_what_the_server_refuses_ends_a_forward(
    delivery: Delivery, owner: Owner, receipt: Receipt, code: int
) -> None:
    owner.receipt = receipt
    ran = delivery.run("forward", "a@b.c")
    assert ran == Ran(code, "", f"forward: unable to forward message: {receipt.reason}\n")


@pytest.mark.parametrize("address", ["a@b\nBcc: x@y", "a\udcff@b"])
def test_an_address_cannot_add_a_field(delivery: Delivery, address: str) -> None:
    assert delivery.run("forward", address).code == 100
    assert delivery.sent_nothing()


@pytest.mark.parametrize(
    ("command", "missing", "code"),
    [
        (("forward", "a@b"), "NEWSENDER", 100),
        (("forward", "a@b"), "DTLINE", 100),
        (("condredirect", "a@b", *YES), "SENDER", 100),
        (("condredirect", "a@b", *YES), "DTLINE", 100),
        (("filterto", "a@b", "cat"), "DTLINE", 100),
        (("preline", "cat"), "UFLINE", 111),
        (("preline", "cat"), "RPLINE", 111),
        (("preline", "cat"), "DTLINE", 111),
    ],
)
def test_what_the_delivery_did_not_say_is_told(
    delivery: Delivery, command: tuple[str, ...], missing: str, code: int
) -> None:
    ran = delivery.run(*command, **{missing: None})
    assert ran == Ran(code, "", f"{command[0]}: {missing} not set\n")
    assert delivery.sent_nothing()


@pytest.mark.parametrize(
    "command",
    [("forward",), ("condredirect", "a@b"), ("condtomaildir", "Maildir"), ("filterto", "a@b"),
     ("bouncesaying",), ("except",), ("preline",), ("maildirdeliver",), ("preline", "-x", "cat")],
)  # fmt: skip
def test_wrong_use_is_for_good(delivery: Delivery, command: tuple[str, ...]) -> None:
    assert delivery.run(*command).code == 100


# -- conditions -----------------------------------------------------------------------------------

ANSWERS = [  # program, -r, exit code, done
    (YES, False, 99),
    (YES, True, 0),
    (NO, False, 0),
    (NO, True, 99),
    (NOBODY, False, 0),
    (NOBODY, True, 99),
    (exits(100), False, 100),
    (exits(100), True, 100),
    (exits(111), False, 111),
    (exits(111), True, 111),
    (CRASHES, False, 111),
]


@pytest.mark.parametrize(("program", "reverse", "code"), ANSWERS)
@pytest.mark.parametrize("name", ["condredirect", "condtomaildir"])
def test_a_program_says_whether_it_is_done(
    delivery: Delivery, name: str, program: tuple[str, ...], reverse: bool, code: int
) -> None:
    where = "a@b.c" if name == "condredirect" else "./Maildir/"
    ran = delivery.run(name, *(["-r"] if reverse else []), where, *program)
    assert ran.code == code
    done = len(delivery.stored()), not delivery.sent_nothing()
    assert done == (
        (code == 99 and name == "condtomaildir"),
        (code == 99 and name != "condtomaildir"),
    )
    assert bool(ran.err) is (code in {100, 111})


@pytest.mark.parametrize("as_pipe", [False, True])
def test_condredirect_sends_the_whole_mail_though_the_program_read_it(
    delivery: Delivery, as_pipe: bool
) -> None:
    ran = delivery.run("condredirect", "a@b.c", "grep", "-q", "^Subject: hello", as_pipe=as_pipe)
    assert ran == Ran(99, "condredirect: qp 0\n", "")
    assert delivery.sent() == (
        Submission("eve@example.net", ("a@b.c",)), DELIVERED_TO.encode() + MAIL
    )  # fmt: skip


@pytest.mark.parametrize(
    ("program", "code", "out"),
    [
        ((), 100, "closed\n"),
        (YES, 100, "closed\n"),
        (NO, 0, ""),
        (NOBODY, 0, ""),
        (exits(111), 111, ""),
        (exits(100), 0, ""),
        (CRASHES, 111, ""),
    ],
)
def test_bouncesaying_bounces_if_the_program_says_so(
    delivery: Delivery, program: tuple[str, ...], code: int, out: str
) -> None:
    ran = delivery.run("bouncesaying", "closed", *program)
    assert (ran.code, ran.out) == (code, out)


@pytest.mark.parametrize(
    ("program", "code"),
    [(YES, 100), (NO, 0), (NOBODY, 0), (exits(111), 111), (exits(99), 0), (CRASHES, 111)],
)
def test_except_turns_the_answer_round(
    delivery: Delivery, program: tuple[str, ...], code: int
) -> None:
    assert delivery.run("except", *program).code == code


# -- programs that get, or make, the mail ---------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ("UFLINE", "RPLINE", "DTLINE", "QQEH")),
        (("-f",), ("RPLINE", "DTLINE", "QQEH")),
        (("-rd",), ("UFLINE", "QQEH")),
        (("-e", "-f"), ("RPLINE", "DTLINE")),
    ],
)
@pytest.mark.parametrize("as_pipe", [False, True])
def test_preline_puts_lines_in_front(
    delivery: Delivery, options: tuple[str, ...], names: tuple[str, ...], as_pipe: bool
) -> None:
    given = {**ENVIRON, "QQEH": "X-Kept: 1\n"}
    ran = delivery.run("preline", *options, "cat", as_pipe=as_pipe, QQEH=given["QQEH"])
    assert ran == Ran(0, "".join(given[name] for name in names) + MAIL.decode(), "")


@pytest.mark.parametrize(
    ("program", "code"), [(exits(7), 7), (exits(99), 99), (NOBODY, 111), (CRASHES, 111)]
)
def test_preline_ends_as_its_program(
    delivery: Delivery, program: tuple[str, ...], code: int
) -> None:
    assert delivery.run("preline", *program, mail=MAIL * 100_000).code == code


def test_programs_end_at_a_closed_pipe_as_they_do_elsewhere(delivery: Delivery) -> None:
    assert delivery.run("preline", "sh", "-c", "yes | head -1") == Ran(0, "y\n", "")


@pytest.mark.parametrize("as_pipe", [False, True])
def test_filterto_sends_what_the_program_makes(delivery: Delivery, as_pipe: bool) -> None:
    ran = delivery.run("filterto", "a@b.c", "tr", "h", "j", as_pipe=as_pipe)
    assert ran == Ran(99, "filterto: qp 0\n", "")
    assert delivery.sent() == (
        Submission("eve@example.net", ("a@b.c",)),
        DELIVERED_TO.encode() + MAIL.replace(b"h", b"j"),
    )


@pytest.mark.parametrize(
    ("program", "code"),
    [(NO, 0), (NOBODY, 0), (exits(111), 111), (exits(100), 0), (CRASHES, 111)],
)
def test_filterto_sends_nothing_of_a_program_that_fails(
    delivery: Delivery, program: tuple[str, ...], code: int
) -> None:
    assert delivery.run("filterto", "a@b.c", *program).code == code
    assert delivery.sent_nothing()


# -- maildirdeliver -------------------------------------------------------------------------------


@pytest.mark.parametrize("as_pipe", [False, True])
def test_maildirdeliver_stores_with_the_lines_in_front(delivery: Delivery, as_pipe: bool) -> None:
    ran = delivery.run("maildirdeliver", "./Maildir/", as_pipe=as_pipe, QQEH="X-Kept: 1\n")
    assert ran == Ran(0, "", "")
    (file,) = delivery.stored()
    octets = file.read_bytes()
    assert octets == (ENVIRON["RPLINE"] + DELIVERED_TO + "X-Kept: 1\n").encode() + MAIL
    assert file.name.endswith(f",S={len(octets)}")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not any((delivery.home / "Maildir" / "tmp").iterdir())


def test_copies_of_one_mail_have_names_of_their_own(delivery: Delivery) -> None:
    for _ in range(3):
        assert delivery.run("maildirdeliver", "Maildir", RPLINE=None, DTLINE=None).code == 0
    assert [file.read_bytes() for file in delivery.stored()] == [MAIL] * 3


def test_a_maildir_that_is_not_there_is_not_made(delivery: Delivery) -> None:
    ran = delivery.run("maildirdeliver", "./Maildri/")
    assert ran == Ran(111, "", "maildirdeliver: Unable to chdir to maildir. (#4.2.1)\n")
    assert not (delivery.home / "Maildri").exists()
