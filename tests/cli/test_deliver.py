"""`indimail deliver --dry-run`: told as it would be, and nothing is changed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cli.accounts_commands import Ran, Terminal
from support import needs_root, uid_of_nobody

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

ALICE, BOB = "alice@example.com", "bob@example.com"
MAIL = "Subject: x\r\n\r\nhello\r\n"
QMAIL = "domains/example.com/.qmail-default"


@pytest.fixture
def site(terminal: Terminal) -> Terminal:
    assert terminal("vadddomain", "example.com", "secret").code == 0
    assert terminal("vadduser", ALICE, "secret").code == 0
    return terminal


def dry(site: Terminal, address: str, *arguments: str, mail: str = MAIL) -> Ran:
    return site("deliver", "--dry-run", address, *arguments, stdin=mail)


def told(site: Terminal, address: str, *arguments: str, mail: str = MAIL) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dry(site, address, "--json", *arguments, mail=mail).out)
    return found


def steps(site: Terminal, address: str, *arguments: str) -> list[tuple[str, str, str]]:
    return [
        (step["step"], step["text"].replace(f"{site.root}/", ""), step["rule"])
        for step in told(site, address, *arguments)["steps"]
    ]


def write(site: Terminal, name: str, text: str) -> None:
    Path(site.root, name).write_text(text)
    owner = os.stat(site.root)
    if os.geteuid() == 0:
        os.chown(Path(site.root, name), owner.st_uid, owner.st_gid)


def everything(root: str) -> dict[str, tuple[bytes, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in Path(root).rglob("*")
        if path.is_file()
    }


def test_a_user_s_mail_is_a_copy(site: Terminal) -> None:
    ran = dry(site, ALICE, "--sender", "eve@example.net")
    assert ran.out.replace(site.root, "ROOT").splitlines() == [
        "to <alice@example.com> from <eve@example.net>, 18 octets",
        "  RCPT     accepted: the delivery would take it",
        f"           rule {QMAIL}:1",
        "  route    local, example.com-alice@example.com",
        "           rule control/virtualdomains:1",
        "  copy     into ROOT/mail/A2E/example.com/alice/Maildir",
        f"           rule {QMAIL}:1",
        "  end      delivered: did 0+0+1",
    ]
    assert ran.code == 0


@pytest.mark.parametrize(
    ("instruction", "code", "answer", "step"),
    [
        ("delete", 0, "accepted",
         ("discard", f"no account {BOB}, discarded (delete)", f"{QMAIL}:1")),
        ("bounce-no-mailbox", 100,
         f"550 5.1.1 sorry, eve@example.net mailbox {BOB} is absent on this domain (#5.1.1)",
         ("bounce", f"no account {BOB} here by that name. indimail (#5.1.5)", f"{QMAIL}:1")),
        ("ROOT/mail/A2E/example.com/alice", 0, "accepted",
         ("copy", "into mail/A2E/example.com/alice/Maildir"
          f" (no account {BOB} - delivering to mail/A2E/example.com/alice. indimail (#5.1.6))",
          f"{QMAIL}:1")),
        ("other@example.org", 0, "accepted",
         ("forward", "to <other@example.org> from <eve@example.net> (remote, example.org)",
          f"{QMAIL}:1")),
        ("example.com:192.0.2.9:25", 0, "accepted",
         ("forward", f"to <{BOB}> at example.com:192.0.2.9:25", f"{QMAIL}:1")),
        ("nonsense", 111, "accepted",
         ("defer", None, f"{QMAIL}:1")),
    ],
)  # fmt: skip
def test_each_instruction_is_told_with_what_rcpt_would_say(
    site: Terminal, instruction, code, answer, step
) -> None:
    for part in ("cur", "new", "tmp"):
        os.makedirs(f"{site.root}/mail/A2E/example.com/alice/Maildir/{part}", exist_ok=True)
    line = f"/usr/sbin/vdelivermail '' {instruction.replace('ROOT', site.root)}\n"
    write(site, QMAIL, line)
    found = told(site, BOB, "--sender", "eve@example.net")
    assert found["rcpt"]["answer"] == answer
    [only] = steps(site, BOB, "--sender", "eve@example.net")
    assert only == step or (step[1] is None and only[::2] == step[::2] and "nonsense" in only[1])
    assert dry(site, BOB, "--sender", "eve@example.net").code == code


def test_the_lines_of_a_file_are_told_in_order_and_nothing_is_run(site: Terminal) -> None:
    lines = ("|touch ran", "./box", "&bob@example.org", "?end sort", "./Maildir/", ":end", "")
    write(site, "alias/.qmail-list", "\n".join(lines))
    write(site, "alias/.qmail-list-owner", "&alice@example.com\n")
    before = everything(site.root)
    assert steps(site, "list@mx.example.org", "--sender", "eve@example.net") == [
        ("program", "touch ran (in alias, 99 leaves out the next 4)", "alias/.qmail-list:1"),
        ("mbox", "append to alias/box", "alias/.qmail-list:2"),
        ("forward",
         "to <bob@example.org> from <list-owner@mx.example.org> (remote, example.org)",
         "alias/.qmail-list:3"),
        ("program", "sort (in alias, 99 leaves out the next 1)", "alias/.qmail-list:4"),
        ("copy", "into alias/Maildir", "alias/.qmail-list:5"),
    ]  # fmt: skip
    assert everything(site.root) == before
    assert told(site, "list@mx.example.org")["text"] == "did 2+1+2"


@pytest.mark.parametrize(
    ("quota", "size", "code", "end"),
    [("1000", 100, 0, "delivered"), ("1500", 1200, 0, "delivered"), ("1000", 1200, 100, "failed")],
)
def test_the_figures_of_a_quota_are_told(site: Terminal, quota, size, code, end) -> None:
    assert site("vsetuserquota", ALICE, quota).code == 0
    mail = "x" * (size - 1) + "\n"
    before = everything(f"{site.root}/mail")
    found = told(site, ALICE, mail=mail)
    assert found["steps"][0]["quota"].startswith(f"{size}/")
    assert found["end"] == end
    assert dry(site, ALICE, mail=mail).code == code
    assert everything(f"{site.root}/mail") == before


def test_a_loop_is_told(site: Terminal) -> None:
    found = told(site, ALICE, mail="Delivered-To: example.com-alice@example.com\n\n")
    assert (found["end"], found["steps"]) == ("failed", [])
    assert "looping" in found["text"]


def test_a_home_that_takes_local_mail_alone_is_told(site: Terminal) -> None:
    write(site, "domains/example.com/.localdomains", "")
    write(site, "control/localdomains", "example.com\n")
    found = told(site, ALICE, "--sender", "eve@example.net")
    assert (found["end"], found["steps"]) == ("failed", [])
    assert "remote domains" in found["text"]
    assert found["rcpt"]["answer"] == "accepted"  # who wrote is asked with each mail
    assert told(site, ALICE, "--sender", BOB)["end"] == "delivered"


def test_who_has_the_mail_of_an_extension_is_told(
    site: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QMAIL_EXT", "")
    found = told(site, "alice-lists@example.com")
    assert found["rcpt"]["answer"] == "accepted"
    assert found["steps"][0]["text"].replace(f"{site.root}/", "") == (
        "into mail/A2E/example.com/alice/Maildir"
        f" (no account alice-lists@example.com - delivering to {ALICE} (QMAIL_EXT))"
    )


def test_what_is_discarded_instead_of_bounced_is_told(
    site: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCARD_BOUNCE", "")
    assert site("vsetuserquota", ALICE, "1000").code == 0
    found = told(site, ALICE, mail="x" * 1199 + "\n")
    assert [step["step"] for step in found["steps"]] == ["copy", "discard"]
    assert (found["end"], found["text"]) == ("delivered", "did 0+0+1")
    assert [step["step"] for step in told(site, BOB)["steps"]] == ["discard"]


def test_rows_behind_a_full_one_are_told(site: Terminal) -> None:
    full = f"{site.root}/mail/full"
    os.makedirs(full)
    Path(full, "maildirsize").write_text("1000S\n")
    for row in (full, "/else/where"):
        assert site("valias", "-i", row, ALICE).code == 0
    found = told(site, ALICE, mail="x" * 1199 + "\n")
    assert sorted(step["step"] for step in found["steps"]) == ["bounce", "copy", "copy"]
    assert (found["end"], "insufficient quota" in found["text"]) == ("failed", True)


def test_a_loop_may_have_so_many_rounds(site: Terminal) -> None:
    write(site, "control/maxdeliveredto", "1\n")
    line = "Delivered-To: example.com-alice@example.com\n"
    assert told(site, ALICE, mail=f"{line}\n")["end"] == "delivered"
    assert told(site, ALICE, mail=f"{line}{line}\n")["end"] == "failed"


def test_who_is_elsewhere_is_queued_for_there(site: Terminal) -> None:
    found = told(site, "bob@example.org")
    assert (found["end"], found["text"], found["steps"]) == ("queued", "for example.org", [])
    assert found["rcpt"]["answer"].startswith("553 5.7.1 ")
    assert dry(site, "bob@example.org").code == 0


def test_a_file_that_is_wrong_is_told_with_its_line(site: Terminal) -> None:
    write(site, QMAIL, "# first\n& \n")
    ran = dry(site, ALICE)
    assert ran.code == 111
    assert f"rule {QMAIL}:2" in ran.out


def test_wrong_use(site: Terminal) -> None:
    assert site("deliver", ALICE).code == 64
    assert dry(site, "").code == 64
    write(site, "control/rcpthosts", "exam ple.com\n")
    ran = dry(site, ALICE)
    assert (ran.code, "control/rcpthosts:1" in ran.err) == (78, True)
    site.root += "/nowhere"
    assert dry(site, ALICE).code == 66


# -- mailboxes of other users ----------------------------------------------------------------------

JOE = uid_of_nobody()


def give_to_joe(site: Terminal, quota: str) -> None:
    """Give the domain and alice's home to joe, and shut both."""
    site("vmoduser", "-q", quota, ALICE)
    owner = os.stat(site.root)
    for top in ("domains", "mail"):
        for folder, _, files in os.walk(Path(site.root, top)):
            if "/example.com" in folder:
                os.chmod(folder, 0o700)
                for path in (folder, *(f"{folder}/{name}" for name in files)):
                    os.chown(path, JOE, JOE)
    assign = Path(site.root, "users/assign").read_text()
    theirs = assign.replace(f":{owner.st_uid}:{owner.st_gid}:", f":{JOE}:{JOE}:")
    write(site, "users/assign", theirs)


def test_a_mailbox_of_another_user_is_looked_at_as_that_user(site: Terminal) -> None:
    needs_root()
    give_to_joe(site, "50")
    assert [step[0] for step in steps(site, ALICE)] == ["copy"]
    found = told(site, ALICE, mail=MAIL + "x" * 2000)
    assert [(step["step"], step["quota"]) for step in found["steps"]] == [
        ("copy", "2018/0:0/0:50"), ("bounce", ""),
    ]  # fmt: skip


def test_a_locked_account_of_another_user_is_told(site: Terminal) -> None:
    needs_root()
    site("vmoduser", "-b", ALICE)
    give_to_joe(site, "1M")
    assert "locked/overquota" in told(site, ALICE)["text"]


def test_what_another_user_may_not_read_either_is_told(site: Terminal) -> None:
    needs_root()
    give_to_joe(site, "50")
    os.chmod(Path(site.root, QMAIL), 0)
    found = told(site, ALICE)
    assert (found["end"], found["text"]) == (
        "deferred", f"Unable to open {QMAIL}: Permission denied. (#4.3.0)",
    )  # fmt: skip


def test_a_rewritten_sender_is_told(site: Terminal) -> None:
    write(site, "control/srs_domain", "srs.example.org\n")
    write(site, "control/srs_secrets", "x\n")
    assert site("valias", "-i", "bob@example.org", ALICE).code == 0
    [(step, text, _)] = steps(site, ALICE, "--sender", "eve@example.net")
    assert step == "forward"
    assert text.startswith("to <bob@example.org> from <SRS0=")
    assert text.endswith("=example.net=eve@srs.example.org> (remote, example.org)")
