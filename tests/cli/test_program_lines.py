"""The programs of dot-qmail files, as processes with the environment of a delivery."""

import email
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from cli.owner import Owner
from indimail.cli.program_line import attempt, says_yes
from indimail.control.cdb import build_cdb
from indimail.durable.disk import SystemDisk
from indimail.queue.submission import Receipt, Submission, read_spooled

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

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
            environ.pop(name, None)
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
    assert submission == Submission("alice-owner@example.com", ("a@b.c", "d@e.f"), forwarded=True)
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
        (("rrforward", ".qmailrr", "a@b"), "NEWSENDER", 100),
        (("rrforward", ".qmailrr", "a@b"), "DTLINE", 100),
        (("rrforward", ".qmailrr", "a@b"), "EXT", 100),
        (("ifaddr",), "RECIPIENT", 111),
        (("iftocc",), "RECIPIENT", 111),
        (("qreceipt", "a@b"), "SENDER", 111),
        (("vacation",), "RECIPIENT", 111),
        (("preline", "cat"), "UFLINE", 111),
        (("preline", "cat"), "RPLINE", 111),
        (("preline", "cat"), "DTLINE", 111),
    ],
)
def test_what_the_delivery_did_not_say_is_told(
    delivery: Delivery, command: tuple[str, ...], missing: str, code: int
) -> None:
    ran = delivery.run(*command, **{"RECIPIENT": "a@b", "EXT": "", missing: None})
    assert ran == Ran(code, "", f"{command[0]}: {missing} not set\n")
    assert delivery.sent_nothing()


@pytest.mark.parametrize(
    "command",
    [("forward",), ("condredirect", "a@b"), ("condtomaildir", "Maildir"), ("filterto", "a@b"),
     ("bouncesaying",), ("except",), ("preline",), ("maildirdeliver",), ("fastforward",),
     ("replier", "robot", "a@b"), ("dot-forward",), ("qreceipt",), ("vacation", "alice"),
     ("qnotify", "alice"), ("rrforward", ".qmailrr"), ("rrforward", ".qmail-sales", "a@b"),
     ("rrforward", ".qmailrr-", "a@b"),
     ("preline", "-x", "cat")],
)  # fmt: skip
def test_wrong_use_is_for_good(delivery: Delivery, command: tuple[str, ...]) -> None:
    assert delivery.run(*command).code == 100


# -- rrforward ------------------------------------------------------------------------------------

IN_TURN = ("rrforward", ".qmailrr-Sales.eu", "a@b.c", "d@e.f")


def test_rrforward_sends_to_one_after_the_other(delivery: Delivery) -> None:
    for recipient in ("a@b.c", "d@e.f", "a@b.c"):
        ran = delivery.run(*IN_TURN, EXT="sales.EU", QQEH="X-Kept: 1\n")
        assert ran == Ran(99, "rrforward: qp 0\n", "")
        assert delivery.sent() == (
            Submission("alice-owner@example.com", (recipient,), forwarded=True),
            DELIVERED_TO.encode() + f"X-Forwarded-To: {recipient}\n".encode()
            + b"X-Forwarded-For: alice-owner@example.com\nX-Kept: 1\n" + MAIL,
        )  # fmt: skip
        shutil.rmtree(delivery.home / "queue" / "spool")
        (delivery.home / "queue" / "spool").mkdir()


@pytest.mark.parametrize("extension", ["sales", "", "sales.eu-x"])
def test_rrforward_leaves_other_extensions_alone(delivery: Delivery, extension: str) -> None:
    assert delivery.run(*IN_TURN, EXT=extension) == Ran(0, "", "")
    assert delivery.run("rrforward", ".qmailrr", "a@b", EXT="sales") == Ran(0, "", "")
    assert not list(delivery.home.glob(".qmailrr*"))


@pytest.mark.parametrize(
    ("content", "code", "recipient"),
    [("", 99, "a@b.c"), ("7\n", 99, "d@e.f"), ("9" * 19, 99, "d@e.f"), ("two\n", 111, "")],
)
def test_rrforward_reads_whose_turn_it_is(
    delivery: Delivery, content: str, code: int, recipient: str
) -> None:
    (delivery.home / ".qmailrr").write_text(content)
    assert delivery.run("rrforward", "./.qmailrr", "a@b.c", "d@e.f", EXT="").code == code
    assert delivery.sent_nothing() is not bool(recipient)
    if recipient:
        assert delivery.sent()[0].recipients == (recipient,)


# -- fastforward ----------------------------------------------------------------------------------

BASE = [
    (b":alice@example.com", b"&bob@example.net\0&carol@example.org\0"),
    (b":@example.org", b"&all@example.net\0"),
    (b":nobody@", b""),
    (b"?list@example.com", b"owner@example.com"),
    (b":list@example.com", b"&bob@example.net\0"),
    (b":run@", b"|cat >seen\0&bob@example.net\0"),
    (b":lines@", b"!cat >seen\0"),
    (b":bad@", b"|exit 100\0&bob@example.net\0"),
    (b":later@", b"&bob@example.net\0!exit 1\0"),
    (b":file@", b"./list.bin\0&bob@example.net\0"),
    (b":loop@example.com", b"&loop@example.com\0"),
]
NO_MAILBOX = "Sorry, no mailbox here by that name. (#5.1.1)\n"


def test_a_program_that_finds_no_room_is_none_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spawn(*_: object, **__: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawnp", spawn)
    assert attempt("except", lambda: says_yes(["true"], reverse=True)) == 111


@pytest.fixture
def base(delivery: Delivery) -> Delivery:
    (delivery.home / "a.cdb").write_bytes(build_cdb(BASE))
    return delivery


def test_fastforward_sends_on_what_the_data_base_has(base: Delivery) -> None:
    ran = base.run("fastforward", "a.cdb", RECIPIENT="Alice@example.com", QQEH="X-Kept: 1\n")
    assert ran == Ran(0, "fastforward: qp 0\n", "")
    assert base.sent() == (
        Submission("eve@example.net", ("bob@example.net", "carol@example.org"), forwarded=True),
        DELIVERED_TO.encode() + b"X-Kept: 1\n" + MAIL,
    )


@pytest.mark.parametrize(
    ("options", "recipient", "code", "out"),
    [
        ((), "zoe@example.com", 100, NO_MAILBOX),
        (("-p",), "zoe@example.com", 0, ""),
        (("-p",), "zoe@example.org", 99, "fastforward: qp 0\n"),
        (("-p", "-P"), "zoe@example.com", 100, NO_MAILBOX),
        (("-d",), "zoe@example.org", 0, "fastforward: qp 0\n"),
        ((), "nobody@example.com", 0, ""),
        (("-n",), "list@example.com", 0, "from <owner@example.com>\nto <bob@example.net>\n"),
        (("-pn",), "lines@x", 99, "run !cat >seen\nfrom <eve@example.net>\n"),
    ],
)
def test_fastforward_knows_who_gets_it(
    base: Delivery, options: tuple[str, ...], recipient: str, code: int, out: str
) -> None:
    local, _, host = recipient.partition("@")
    given = {"DEFAULT": local, "HOST": host} if "-d" in options else {"RECIPIENT": recipient}
    ran = base.run("fastforward", *options, "a.cdb", **given)
    assert ran == Ran(code, out, "")
    assert base.sent_nothing() is ("qp" not in out)


@pytest.mark.parametrize("as_pipe", [False, True])
def test_fastforward_runs_programs_with_the_mail(base: Delivery, as_pipe: bool) -> None:
    seen = base.home / "seen"
    assert base.run("fastforward", "a.cdb", as_pipe=as_pipe, RECIPIENT="run@x").code == 0
    assert seen.read_bytes() == MAIL
    assert base.sent()[1] == DELIVERED_TO.encode() + MAIL
    assert base.run("fastforward", "a.cdb", as_pipe=as_pipe, RECIPIENT="lines@x").code == 0
    lines = ENVIRON["UFLINE"] + ENVIRON["RPLINE"] + DELIVERED_TO
    assert seen.read_bytes() == lines.encode() + MAIL


@pytest.mark.parametrize(
    ("file", "recipient", "code", "reason"),
    [
        ("a.cdb", "bad@x", 100, "permanent child error: '|exit 100'"),
        ("a.cdb", "later@x", 111, "temporary child error: '!exit 1'"),
        ("a.cdb", "file@x", 111, "'./list.bin': lists of setmaillist are not read"),
        ("a.cdb", "loop@example.com", 111, "the address leads to itself"),
        ("none.cdb", "a@x", 111, "No such file or directory"),
        ("broken.cdb", "a@x", 111, "broken.cdb: found 3 octets, expected a whole constant data "
         "base (make it again from its text)"),
        ("a.cdb", None, 100, "RECIPIENT not set"),
    ],
)  # fmt: skip
def test_fastforward_sends_nothing_where_something_is_wrong(
    base: Delivery, file: str, recipient: str | None, code: int, reason: str
) -> None:
    (base.home / "broken.cdb").write_bytes(b"abc")
    given = {} if recipient is None else {"RECIPIENT": recipient}
    ran = base.run("fastforward", file, **given)
    assert ran == Ran(code, "", f"fastforward: {reason}\n")
    assert base.sent_nothing()


# -- dot-forward ----------------------------------------------------------------------------------

OF_JOE = {"USER": "joe", "HOST": "example.com"}


@pytest.fixture
def home(delivery: Delivery) -> Delivery:
    (delivery.home / "control").mkdir()
    (delivery.home / "control" / "me").write_text("mx.example.org\n")
    return delivery


@pytest.mark.parametrize(
    ("text", "code", "recipients"),
    [
        ("bob\nCarol <carol@example.net>\n", 99, ("bob@mx.example.org", "carol@example.net")),
        ("\\Joe, bob@example.net\n", 0, ("bob@example.net",)),
        ("alice@example.com, bob@example.net", 0, ("bob@example.net",)),
        ("joe@example.com\n", 0, ()),
        ("# nobody\n", 0, ()),
        (None, 0, ()),
    ],
)
def test_dot_forward_sends_on_what_the_file_says(
    home: Delivery, text: str | None, code: int, recipients: tuple[str, ...]
) -> None:
    if text is not None:
        (home.home / ".forward").write_text(text)
    given = {**OF_JOE, "RECIPIENT": "example.com-alice@example.com", "QQEH": "X-Kept: 1\n"}
    ran = home.run("dot-forward", "nowhere", ".forward", **given)
    assert ran == Ran(code, "dot-forward: qp 0\n" if recipients else "", "")
    assert home.sent_nothing() is not bool(recipients)
    if recipients:
        assert home.sent() == (
            Submission("eve@example.net", recipients, forwarded=True),
            DELIVERED_TO.encode() + b"X-Kept: 1\n" + MAIL,
        )


@pytest.mark.parametrize("as_pipe", [False, True])
def test_dot_forward_runs_commands_with_the_mail(home: Delivery, as_pipe: bool) -> None:
    (home.home / ".forward").write_text('bob@example.net, "|cat >seen"\n')
    assert home.run("dot-forward", ".forward", as_pipe=as_pipe, **OF_JOE).code == 99
    lines = ENVIRON["UFLINE"] + ENVIRON["RPLINE"] + DELIVERED_TO
    assert (home.home / "seen").read_bytes() == lines.encode() + MAIL
    assert home.sent()[1] == DELIVERED_TO.encode() + MAIL


def test_dot_forward_tells_and_does_nothing(home: Delivery) -> None:
    (home.home / ".forward").write_text('joe, bob, "|cat >seen"\n')
    ran = home.run("dot-forward", "-n", ".forward", **OF_JOE)
    told = "forward bob@mx.example.org\npipe through cat >seen\ndirect delivery\n"
    assert ran == Ran(0, told, "")
    assert home.sent_nothing()
    assert not (home.home / "seen").exists()


@pytest.mark.parametrize(
    ("text", "changed", "code", "reason"),
    [
        ('bob@a.b, "|exit 100"', {}, 100, "permanent child error: 'exit 100'"),
        ('bob@a.b, "|exit 1"', {}, 111, "temporary child error: 'exit 1'"),
        ("bob@a.b, /var/mail/joe", {}, 111, "'/var/mail/joe': nothing is delivered to files"),
        (":include:/home/joe/list", {}, 111, "'/home/joe/list': nothing is delivered to files"),
        ("bob@a.b", {"USER": None}, 100, "USER not set"),
        ("bob@a.b", {"HOST": None}, 100, "HOST not set"),
        ("bob@a.b", {"DTLINE": None}, 100, "DTLINE not set"),
        ("bob@a.b", {"INDIMAIL_ROOT": "/nowhere"}, 111, None),
    ],
)
def test_dot_forward_sends_nothing_where_something_is_wrong(
    home: Delivery, text: str, changed: dict[str, str | None], code: int, reason: str | None
) -> None:
    (home.home / ".forward").write_text(text)
    ran = home.run("dot-forward", ".forward", **{**OF_JOE, **changed})
    assert (ran.code, ran.out) == (code, "")
    assert reason is None or ran.err == f"dot-forward: {reason}\n"
    assert home.sent_nothing()


# -- replier --------------------------------------------------------------------------------------

ROBOT = {"LOCAL": "joe-robot-get-a-b", "RECIPIENT": "joe-robot-get-a-b@example.com"}
ANSWERS_WITH = (
    "replier", "robot", "eve@example.net", "sh", "-c",
    'echo "Subject: $REQUEST $REQUEST2 $REQUEST3$REQUEST4"; echo "Return-Path: <x>"; echo; '
    "cat headeradd; cat",
)  # fmt: skip


@pytest.fixture
def robot(delivery: Delivery) -> Delivery:
    files = {
        "inlocal": "Joe-Robot\n",
        "mailinglist": "contact joe@example.com\n",
        "headeradd": "Precedence: bulk\n",
        "headerremove": "return-path\nContent-Length\n",
    }
    (delivery.home / "robot").mkdir()
    for name, text in files.items():
        (delivery.home / "robot" / name).write_text(text)
    return delivery


@pytest.mark.parametrize("as_pipe", [False, True])
def test_replier_sends_what_the_program_makes(robot: Delivery, as_pipe: bool) -> None:
    ran = robot.run(*ANSWERS_WITH, as_pipe=as_pipe, **ROBOT)
    assert ran == Ran(99, "replier: qp 0\n", "")
    assert robot.sent() == (
        Submission("", ("eve@example.net",)),
        b"Mailing-List: contact joe@example.com\nPrecedence: bulk\n"
        b"Delivered-To: replier joe-robot-get-a-b@example.com\nSubject: get-a-b a-b b\n\n"
        b"Precedence: bulk\n" + MAIL,
    )


@pytest.mark.parametrize(
    ("program", "code"),
    [(NO, 0), (NOBODY, 0), (exits(111), 111), (exits(100), 0), (CRASHES, 111)],
)
def test_replier_sends_nothing_of_a_program_that_fails(
    robot: Delivery, program: tuple[str, ...], code: int
) -> None:
    assert robot.run(*ANSWERS_WITH[:3], *program, **ROBOT).code == code
    assert robot.sent_nothing()


@pytest.mark.parametrize(
    ("mail", "changed", "text"),
    [
        (MAIL, {"SENDER": ""}, "I don't reply to bounce messages (#5.7.2)"),
        (MAIL, {"SENDER": "#@[]"}, "I don't reply to bounce messages (#5.7.2)"),
        (MAIL, {"LOCAL": "joe-robots-get"}, "I do not accept messages at this address (#5.1.1)"),
        (b"Mailing-list: x\n" + MAIL, {}, "I don't reply to mailing lists (#5.7.2)"),
        (MAIL, {"LOCAL": None}, "LOCAL not set"),
    ],
)
def test_replier_answers_no_bounce_no_list_and_no_other_address(
    robot: Delivery, mail: bytes, changed: dict[str, str | None], text: str
) -> None:
    ran = robot.run(*ANSWERS_WITH, mail=mail, **{**ROBOT, **changed})
    assert ran == Ran(100, "", f"replier: {text}\n")
    assert robot.sent_nothing()


def test_replier_tries_again_where_its_files_are_missing(robot: Delivery) -> None:
    os.unlink(robot.home / "robot" / "mailinglist")
    assert robot.run(*ANSWERS_WITH, **ROBOT).code == 111
    assert robot.sent_nothing()


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
        Submission("eve@example.net", ("a@b.c",), forwarded=True), DELIVERED_TO.encode() + MAIL
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
        Submission("eve@example.net", ("a@b.c",), forwarded=True),
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


# -- autoresponder --------------------------------------------------------------------------------

AWAY = b"I am away. You wrote about %S.\n"
TO_ALICE = (
    b"To: alice@example.com\nMessage-ID: <1@example.net>\nSubject: =?utf-8?q?caf=C3=A9?=\n\nhi\n"
)
OF_ALICE = {"RECIPIENT": "example.com-alice@example.com", "HOST": "example.com", "EXT": "alice"}
ANSWER = ("autoresponder", "away", "answered")


@pytest.fixture
def away(delivery: Delivery) -> Delivery:
    (delivery.home / "away").write_bytes(AWAY)
    (delivery.home / "answered").mkdir()
    return delivery


def answer(away: Delivery, *options: str, mail: bytes = TO_ALICE, **changed: str | None) -> Ran:
    name, *operands = ANSWER
    return away.run(name, *options, *operands, mail=mail, **{**OF_ALICE, **changed})


def last_sent(delivery: Delivery) -> tuple[Submission, EmailMessage]:
    submission, body = delivery.sent()
    mail = email.message_from_bytes(body, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return submission, mail


@pytest.mark.parametrize("as_pipe", [False, True])
def test_autoresponder_answers_once(away: Delivery, as_pipe: bool) -> None:
    ran = away.run(*ANSWER, mail=TO_ALICE, as_pipe=as_pipe, **OF_ALICE)
    assert ran == Ran(0, "autoresponder: qp 0\n", "")
    submission, reply = last_sent(away)
    assert submission == Submission("", ("eve@example.net",))
    assert [reply[name] for name in ("From", "To", "Subject", "In-Reply-To", "Auto-Submitted")] == [
        "alice@example.com", "eve@example.net", "Autoreply: Re: café", "<1@example.net>",
        "auto-replied",
    ]  # fmt: skip
    assert reply.get_content() == "I am away. You wrote about café.\n"
    again = answer(away, SENDER="EVE@example.net")
    assert again == Ran(0, "autoresponder: silent: EVE@example.net was answered\n", "")
    assert answer(away, "-q", SENDER="bob@example.net") == Ran(0, "", "")
    assert len(os.listdir(away.home / "queue" / "spool")) == 2


@pytest.mark.parametrize(
    ("options", "subject", "content_type", "sender"),
    [
        (("-S", "Away"), "Away", "text/plain", "alice@example.com"),
        (("-s", "Fort: für "), "Fort: für café", "text/plain", "alice@example.com"),
        (("-T", "text/html"), "Autoreply: Re: café", "text/html", "alice@example.com"),
        (("-T", "type"), "Autoreply: Re: café", "text/x-note", "alice@example.com"),
        (("-f", "Al <al@example.com>"), "Autoreply: Re: café", "text/plain", "Al <al@example.com>"),
        (("-b", "2000-01-01 00:00:00", "-e", "2999-12-31 23:59:59"),
         "Autoreply: Re: café", "text/plain", "alice@example.com"),
        (("-c",), "Autoreply: Re: café", "multipart/mixed", "alice@example.com"),
    ],
)  # fmt: skip
def test_autoresponder_writes_as_it_is_told(
    away: Delivery, options: tuple[str, ...], subject: str, content_type: str, sender: str
) -> None:
    (away.home / "type").write_text("text/x-note; charset=utf-8\n")
    assert answer(away, *options).code == 0
    _, reply = last_sent(away)
    found = reply["Subject"], reply.get_content_type(), reply["From"]
    assert found == (subject, content_type, sender)
    assert (TO_ALICE in away.sent()[1]) is (content_type == "multipart/mixed")


@pytest.mark.parametrize(
    ("options", "mail", "changed", "why"),
    [
        (("-b", "2999-01-01"), TO_ALICE, {}, "it is before -b"),
        (("-e", "2000-01-01 00:00:00"), TO_ALICE, {}, "it is after -e"),
        ((), TO_ALICE, {"SENDER": ""}, "a bounce"),
        ((), MAIL, {}, "the recipient is not in To, Cc or Bcc"),
        (("-l",), b"List-Id: <a.b>\n\n", {}, "mail of a list: list-id"),
        (("-l",), b"X: y\n" * 60_000 + TO_ALICE, {}, None),
        ((), TO_ALICE, {"SENDER": "Spam@example.org"}, "control/badrcptto:2 refuses Spam@example.org"),
        ((), TO_ALICE, {"SENDER": "a@bad.example"}, "control/badrcptto:1 refuses a@bad.example"),
    ],
)  # fmt: skip
def test_autoresponder_is_silent_and_the_file_goes_on(
    away: Delivery,
    options: tuple[str, ...],
    mail: bytes,
    changed: dict[str, str],
    why: str | None,
) -> None:
    (away.home / "control").mkdir()
    (away.home / "control" / "badrcptto").write_text("@bad.example\nspam@example.org\n")
    ran = answer(away, *options, mail=mail, **changed)
    assert ran.code == 0
    assert why is None or ran.out == f"autoresponder: silent: {why}\n"
    assert away.sent_nothing()
    assert not any((away.home / "answered").iterdir())


def test_autoresponder_shows_and_sends_nothing(away: Delivery) -> None:
    ran = answer(away, "-N", mail=MAIL.replace(b"\n\n", b"\nTo: alice@example.com\n\n"))
    assert ran.out.endswith("\n\nI am away. You wrote about hello.\n")
    assert ran.err == "autoresponder: shown, not sent\n"
    assert away.sent_nothing()
    assert not any((away.home / "answered").iterdir())


@pytest.mark.parametrize(
    ("receipt", "code", "told"),
    [
        (Receipt(88, 1, "Dtoo large"), 0, "autoresponder: silent: unable to forward"),
        (Receipt(53, 1, "disk full"), 111, "autoresponder: unable to forward"),
    ],
)
def test_a_reply_that_is_not_taken_counts_for_none(
    away: Delivery, owner: Owner, receipt: Receipt, code: int, told: str
) -> None:
    owner.receipt = receipt
    ran = answer(away)
    assert ran.code == code
    assert (ran.out + ran.err).startswith(told)
    assert not any((away.home / "answered").iterdir())


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        (("autoresponder",), {}),
        (("autoresponder", "away"), {}),
        (("autoresponder", "-b", "soon", "away", "answered"), {}),
        (("autoresponder", "nowhere", "answered"), {}),
        (("autoresponder", "away", "nowhere"), {}),
        (ANSWER, {"SENDER": None}),
        (ANSWER, {"DTLINE": None}),
        (ANSWER, {"RECIPIENT": None}),
        (ANSWER, {"HOST": None}),
    ],
)
def test_autoresponder_tries_again_where_it_is_set_up_wrong(
    away: Delivery, command: tuple[str, ...], changed: dict[str, str | None]
) -> None:
    ran = away.run(*command, mail=TO_ALICE, **{**OF_ALICE, **changed})
    assert (ran.code, ran.out, bool(ran.err)) == (111, "", True)
    assert away.sent_nothing()


# -- vacation -------------------------------------------------------------------------------------


@pytest.fixture
def vacation(delivery: Delivery) -> Delivery:
    (delivery.home / ".vacation.msg").write_bytes(b"Subject: Fort: \xc3\xbc\n\n" + AWAY)
    return delivery


def test_vacation_answers_each_sender_once_a_day(vacation: Delivery) -> None:
    # As below vdelivermail: without DTLINE
    ran = vacation.run("vacation", mail=TO_ALICE, DTLINE=None, **OF_ALICE)
    assert ran == Ran(0, "vacation: qp 0\n", "")
    submission, reply = last_sent(vacation)
    assert submission == Submission("", ("eve@example.net",))
    assert [reply[name] for name in ("From", "To", "Subject", "In-Reply-To", "Auto-Submitted")] == [
        "alice@example.com", "eve@example.net", "Fort: ü", "<1@example.net>", "auto-replied",
    ]  # fmt: skip
    assert reply.get_content() == "I am away. You wrote about café.\n"
    again = vacation.run("vacation", mail=TO_ALICE, **OF_ALICE)
    assert again == Ran(0, "vacation: silent: eve@example.net was answered\n", "")
    (stamp,) = (vacation.home / ".vacation.dir").iterdir()
    process, moment, sender = stamp.name.split(".", 2)
    stamp.rename(stamp.with_name(f"{process}.{int(moment) - 86_401}.{sender}"))
    assert vacation.run("vacation", mail=TO_ALICE, **OF_ALICE) == Ran(0, "vacation: qp 0\n", "")


def test_vacation_without_a_text_tries_again(delivery: Delivery) -> None:
    ran = delivery.run("vacation", mail=TO_ALICE, **OF_ALICE)
    assert ran == Ran(111, "", "vacation: No such file or directory\n")
    assert delivery.sent_nothing()


# -- receipts -------------------------------------------------------------------------------------

ASKS = (
    b"Notice-Requested-Upon-Delivery-To: bob@example.net, Alice@example.com\n"
    b"Disposition-Notification-To: Eve <eve@EXAMPLE.net>\n" + TO_ALICE
)
RECEIPTS = [("qreceipt", "alice@example.com"), ("qnotify",)]


@pytest.mark.parametrize("as_pipe", [False, True])
def test_qreceipt_tells_a_sender_who_asks(delivery: Delivery, as_pipe: bool) -> None:
    ran = delivery.run(*RECEIPTS[0], mail=ASKS, as_pipe=as_pipe, DTLINE=None, **OF_ALICE)
    assert ran == Ran(0, "qreceipt: qp 0\n", "")
    submission, notice = last_sent(delivery)
    assert submission == Submission("", ("eve@example.net",))
    assert [notice[name] for name in ("From", "To", "In-Reply-To", "Auto-Submitted")] == [
        "alice@example.com", "eve@example.net", "<1@example.net>", "auto-replied",
    ]  # fmt: skip
    assert "alice@example.com" in notice.get_content()


@pytest.mark.parametrize(
    ("options", "kind", "enclosed"),
    [((), "message/rfc822", True), (("-h",), "text/rfc822-headers", False)],
)
@pytest.mark.parametrize("as_pipe", [False, True])
def test_qnotify_sends_a_disposition_notification(
    delivery: Delivery, options: tuple[str, ...], kind: str, enclosed: bool, as_pipe: bool
) -> None:
    ran = delivery.run("qnotify", *options, mail=ASKS, as_pipe=as_pipe, **OF_ALICE)
    assert ran == Ran(0, "qnotify: qp 0\n", "")
    submission, mdn = last_sent(delivery)
    assert submission == Submission("", ("eve@example.net",))
    assert mdn.get_content_type() == "multipart/report"
    assert mdn.get_param("report-type") == "disposition-notification"
    _, report, original = mdn.iter_parts()
    assert report.get_content_type() == "message/disposition-notification"
    assert original.get_content_type() == kind
    body = delivery.sent()[1]
    assert (
        b"\n\nFinal-Recipient: rfc822;alice@example.com\nOriginal-Message-ID: <1@example.net>\n"
        b"Disposition: automatic-action/MDN-sent-automatically;processed\n\n--"
    ) in body
    assert (ASKS in body) is enclosed
    assert ASKS.partition(b"\n\n")[0] in body


def test_qnotify_shows_and_sends_nothing(delivery: Delivery) -> None:
    ran = delivery.run("qnotify", "-n", mail=ASKS, **OF_ALICE)
    assert (ran.code, ran.err) == (0, "qnotify: shown, not sent\n")
    assert "\nDisposition: automatic-action/" in ran.out
    assert delivery.sent_nothing()


def test_qnotify_looks_at_another_field_if_it_is_told(delivery: Delivery) -> None:
    mail = b"Return-Receipt-To: eve@example.net\n" + TO_ALICE
    given = {**OF_ALICE, "DISPOSITION_HEADER": "Return-Receipt-To"}
    assert delivery.run("qnotify", mail=mail, **given).out == "qnotify: qp 0\n"


@pytest.mark.parametrize("command", RECEIPTS)
@pytest.mark.parametrize(
    ("field", "sender", "told"),
    [
        (b"", "", "a bounce"),
        (b"", "eve-request@example.net", "the sender is a program"),
        (b"List-Id: <a.b>\n", "eve@example.net", "mail of a list: list-id"),
        (b"Auto-Submitted: auto-replied\n", "eve@example.net", "an automatic mail: auto-submitted"),
        (DELIVERED_TO.encode(), "eve@example.net",
         "a loop: it has the recipient's Delivered-To"),
    ],
)  # fmt: skip
def test_no_receipt_goes_to_automatic_mail(
    delivery: Delivery, command: tuple[str, ...], field: bytes, sender: str, told: str
) -> None:
    asks = ASKS.replace(b"eve@EXAMPLE.net", sender.encode() or b"eve@EXAMPLE.net")
    ran = delivery.run(*command, mail=field + asks, SENDER=sender, **OF_ALICE)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out in {f"{command[0]}: silent: {told}\n", ""}
    assert bool(ran.out) or (command == ("qnotify",) and not sender)
    assert delivery.sent_nothing()


@pytest.mark.parametrize(
    ("command", "mail", "changed"),
    [
        (RECEIPTS[0], TO_ALICE, {}),
        (("qreceipt", "carol@example.com"), ASKS, {}),
        (RECEIPTS[1], TO_ALICE, {}),
        (RECEIPTS[1], ASKS, {"SENDER": "mallory@example.net"}),
        (RECEIPTS[1], ASKS, {"SENDER": None}),
        (RECEIPTS[1], ASKS, {"RECIPIENT": None}),
    ],
)
def test_no_receipt_goes_to_who_does_not_ask(
    delivery: Delivery, command: tuple[str, ...], mail: bytes, changed: dict[str, str | None]
) -> None:
    assert delivery.run(*command, mail=mail, **{**OF_ALICE, **changed}) == Ran(0, "", "")
    assert delivery.sent_nothing()


# -- addresses of the header ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("iftocc",), 0),
        (("iftocc", "x@y", "ALICE@example.com"), 0),
        (("iftocc", "bob@example.net"), 100),
        (("iftoccfrom", "bob@example.net"), 0),
        (("iftoccfrom",), 0),
        (("ifaddr",), 0),
        (("ifaddr", ":", "@example.com"), 0),
        (("ifaddr", "@example.net"), 100),
        (("ifaddr", "From", "Cc", ":", "@example.net"), 0),
        (("ifaddr", "from", ":"), 100),
    ],
)
@pytest.mark.parametrize("as_pipe", [False, True])
def test_what_the_header_names_is_an_exit_code(
    delivery: Delivery, command: tuple[str, ...], code: int, as_pipe: bool
) -> None:
    mail = b"From: Bob <bob@example.net>\n" + TO_ALICE
    assert delivery.run(*command, mail=mail, as_pipe=as_pipe, **OF_ALICE) == Ran(code, "", "")


@pytest.mark.parametrize(
    ("local", "user", "code"),
    [("other-alice", "indimail", 0), ("alice", "alias", 0), ("joe-alice", "joe", 100)],
)
def test_an_extension_is_a_name_unless_it_is_a_user_s_own(
    delivery: Delivery, local: str, user: str, code: int
) -> None:
    given = {"LOCAL": local, "USER": user, "HOST": "example.com", "EXT": "alice"}
    ran = delivery.run("iftocc", mail=TO_ALICE, RECIPIENT=f"{local}@example.com", **given)
    assert ran.code == code


@pytest.mark.parametrize(
    ("to", "code", "out"), [(b"", 0, ""), (b"x", 100, "I take no blind copies.\n")]
)
def test_blind_copies_can_be_bounced(
    delivery: Delivery, tmp_path: Path, to: bytes, code: int, out: str
) -> None:
    for name in ("except", "iftocc"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m indimail.cli.main {name} "$@"\n')
        program.chmod(0o755)
    given = {**OF_ALICE, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    line = ("bouncesaying", "I take no blind copies.", "except", "iftocc")
    assert delivery.run(*line, mail=TO_ALICE.replace(b"To: ", b"To: " + to), **given) == Ran(
        code, out, ""
    )
