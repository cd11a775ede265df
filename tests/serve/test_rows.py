"""spec/delivery.md 4, 5.3 and 5.4, row by row, by number: real files, real decisions, real steps.

A row is a home with its files, the mail and what its programs say; then the outcome, its text and
what was done.  ``R`` in a text is the directory of the test.  Numbers: 4.1 the checks, 4.2 the file
search, 4.3 the lines, 4.4 the exit codes, 4.5 -owner, 4.6 what is said, each in the order of the
specification; 5.3 and 5.4 have theirs.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, Flag
from indimail.delivery.assign import Assign, AssignEntry
from indimail.delivery.localdomains import REMOTE
from indimail.delivery.program import Ended
from indimail.durable.disk import SystemDisk
from indimail.mail.channel import Channel
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.queue.port import QueuedRecipient
from indimail.serve.foresight import Foresight, Place
from indimail.serve.home import look
from indimail.serve.locks import QuotaLocks
from indimail.serve.quota import OwnQuotas
from indimail.testing.disk import Operation
from serve.delivering import ONE, Delivering
from serve.test_foresight import Configured, Folders

BOB = "bob-a-b-c@mx.example.com"
ALICE, NOBODY = "alice@example.com", "nobody@example.com"
VDELIVERMAIL = "/var/indimail/sbin/vdelivermail ''"  # as the founding text writes it

Prepare = Callable[["World"], object]


class World(Delivering):
    """bob is a user of the system, alice one of example.com; copies go to the simulated disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.domain, self.alice = root / "bob", root / "domain", root / "alice"
        for folder in (self.home, self.domain, self.alice):
            folder.mkdir()
            folder.chmod(0o750)
        self.users = MemoryAccounts()
        self.users.add(Account("alice", "example.com", Secret("x"), directory=str(self.alice)))
        self.stored: list[str] = []
        super().__init__()

    def start(self) -> Any:
        send = super().start()
        bob = AssignEntry("bob", 89, 89, str(self.home), "-", "", Rule("users/assign", 1))
        domain = AssignEntry("indimail", 89, 89, str(self.domain), "-", "", Rule("users/assign", 2))
        exact = {"bob": replace(bob, dash="")}
        config = Configured(Assign(exact, {"bob-": bob, "example.com-": domain}))
        config.default_delivery = "./Default/"
        self.config = config
        sizes = MaildirSizes(SystemDisk(), self.clock)
        own = OwnQuotas(sizes, lambda: config.quota, SystemDisk(), self.clock, self.threads)
        locks = QuotaLocks(self.users, self.users, lambda uid, gid: own, lambda *_: None)
        known: Any = Foresight(
            self.users, lambda: config, self.clock.steady, SystemDisk(), Folders(most=1000),
            Place(str(self.root), str(self.root / "alias"), 89, 89), lambda _: look, locks,
        )  # fmt: skip
        object.__setattr__(self.delivery, "foresight", known)
        return send

    def _watch(self, operation: Operation) -> None:
        folder, new, _ = operation.path.rpartition(" -> ")[2].rpartition("/new/")
        if operation.kind == "rename" and new:
            self.stored.append(f"copy {folder}")

    def deliver(self, to: str, mail: bytes, sender: str) -> None:
        """Deliver one mail, as far as it goes today."""
        target = f"example.com-{to}" if to.endswith("@example.com") else to
        self.mail(mail, sender=sender, to=QueuedRecipient(0, to, Channel.LOCAL, target))
        self.rest()

    @property
    def did(self) -> list[str]:
        """What was done: programs, copies, mboxes, forwards."""
        ran = [step for step in self.steps if step.startswith("run ")]
        boxes = [f"mbox {p}" for p in self.root.rglob("*box*") if p.is_file()]
        sent = [
            f"forward {status.recipient.address} from {found.message.reverse_path}"
            for found in self.forwarded
            for status in found.recipients
            if not found.message.body or b"multipart/report" not in found.message.body
        ]
        return [text.replace(str(self.root), "R") for text in [*ran, *self.stored, *boxes, *sent]]


def file(text: str, mode: int = 0o600, name: str = ".qmail-a-b-c") -> Prepare:
    """Put a file into bob's home."""

    def prepare(world: World) -> None:
        path = world.home / name
        path.write_text(text.replace("R/", f"{world.root}/"))
        path.chmod(mode)

    return prepare


def rule(text: str) -> Prepare:
    """Put a .qmail-default into the domain."""
    return lambda world: (world.domain / ".qmail-default").write_text(
        text.replace("R/", f"{world.root}/")
    )


def instruction(text: str) -> Prepare:
    return rule(f"{VDELIVERMAIL} {text}\n")


def own(text: str) -> Prepare:
    """Put a .qmail into alice's home."""
    return lambda world: (world.alice / ".qmail").write_text(text)


def alias(*rows: str, of: str = "alice") -> Prepare:
    return lambda world: [world.users.add_alias(of, "example.com", row) for row in rows]


def full(maildir: str) -> Prepare:
    """Make a Maildir with a quota that is used up."""

    def prepare(world: World) -> None:
        for part in ("cur", "new", "tmp"):
            world.disk.make_directories(f"{maildir}/{part}")
        world.disk.write_new(f"{maildir}/maildirsize", (b"1000S\n",))

    return prepare


def changed(**values: Any) -> Prepare:
    """Change alice's account."""
    return lambda world: world.users.modify(
        "alice", "example.com", lambda account: replace(account, **values)
    )


def another(name: str) -> Prepare:
    """Add one more user."""
    return lambda world: world.users.add(
        Account(name, "example.com", Secret("x"), directory=str(world.root / name))
    )


def mode(value: int) -> Prepare:
    return lambda world: world.home.chmod(value)


def setting(**values: Any) -> Prepare:
    """Change what holds for all local deliveries."""

    def prepare(world: World) -> None:
        world.local_settings = world.config.local = replace(world.local_settings, **values)

    return prepare


def no_home(world: World) -> None:
    world.home.rmdir()


def maildir(name: str) -> Prepare:
    return lambda world: [os.makedirs(world.root / name / part) for part in ("cur", "new", "tmp")]


@dataclass
class Row:
    number: str
    prepare: tuple[Prepare, ...]
    verdict: str
    text: str = ""  # is in the outcome's
    did: tuple[str, ...] = ()
    to: str = BOB
    mail: bytes = b"Subject: x\n\nhello\n"
    sender: str = "eve@example.net"
    ends: dict[str, Ended] = field(default_factory=dict)


OK, LATER, FAILS = "delivered", "deferred", "failed"
TO = "forward x@example.org from eve@example.net"
BOUNCING = instruction("bounce-no-mailbox")
INACTIVE = changed(active=False)
NO_BOUNCE = setting(discard_bounce=True)
LONG = b"Subject: x\n\n" + b"0123456789\n" * 200
EXT, ALICE_EXT = setting(qmail_ext=True), "alice-a-b@example.com"
CLOSED = file("", name=".localdomains")
LOCAL = setting(local_domains={"example.com": Rule("control/localdomains", 1)})


def ends(number: str, code: int, verdict: str, *did: str) -> Row:
    lines = file("&x@example.org\n|one\n./two/\n")
    ended = Ended(code, "words")
    text = "did 0+1+1" if verdict == OK else "words"
    return Row(number, (lines,), verdict, text, ("run one", *did), ends={"one": ended})


ROWS = [
    # -- 4: order of the checks, and their texts
    Row("4.1 home: cannot chdir", (no_home,), LATER,
        "Unable to switch to bob: No such file or directory. (#4.3.0)"),
    Row("4.1 home: writable", (file("./m/\n"), mode(0o752)), LATER,
        "Uh-oh: home directory is writable. (#4.7.0)"),
    Row("4.1 home: sticky", (file("./m/\n"), mode(0o1750)), LATER,
        "Home directory is sticky: user is editing his .qmail file. (#4.2.1)"),
    Row("4.1 home: the group may write", (file("./m/\n"), mode(0o770)), OK, "", ("copy R/bob/m",)),
    Row("4.1 .localdomains: another domain", (file("./m/\n"), CLOSED), FAILS, REMOTE),
    Row("4.1 .localdomains: a domain of ours", (file("./m/\n"), CLOSED, LOCAL), OK, "",
        ("copy R/bob/m",), sender="carol@example.com"),
    Row("4.1 .localdomains: a report", (file("./m/\n"), CLOSED), OK, "", ("copy R/bob/m",),
        sender=""),
    Row("4.1 LOCALDOMAINS", (file("./m/\n"), setting(only_local=Rule("LOCALDOMAINS"))), FAILS, REMOTE),
    Row("4.1 LOCALDOMAINS of a virtual user", (BOUNCING, LOCAL, setting(only_local=Rule("x"))), FAILS,
        REMOTE, to=ALICE),
    Row("4.1 .localdomains comes before the search", (CLOSED,), FAILS, REMOTE),
    Row("4.1 .localdomains comes behind the home", (CLOSED, mode(0o752)), LATER, "writable"),
    Row("4.1 .localdomains comes before the loop", (file("./m/\n"), CLOSED), FAILS, REMOTE,
        mail=f"Delivered-To: {BOB}\n\n".encode()),
    Row("4.1 loop", (file("./m/\n"),), FAILS,
        "This message is looping: it already has my Delivered-To line. (#5.4.6)",
        mail=f"Delivered-To: {BOB}\n\n".encode()),
    Row("4.1 loop: so many lines are allowed", (file("./m/\n"), setting(max_delivered_to=1)), OK,
        "", ("copy R/bob/m",), mail=f"Delivered-To: {BOB}\n\n".encode()),
    Row("4.1 loop: and one more is not", (file("./m/\n"), setting(max_delivered_to=1)), FAILS,
        "This message is looping", mail=f"Delivered-To: {BOB}\n".encode() * 2 + b"\n"),
    Row("4.1 search: no file", (), FAILS, "Sorry, no mailbox here by that name. (#5.1.1)"),
    Row("4.1 .qmail: cannot open", (lambda w: (w.home / ".qmail-a-b-c").symlink_to("/proc/self/mem"),),
        LATER, "Unable to open bob/.qmail-a-b-c: "),
    Row("4.1 .qmail: writable", (file("./m/\n", 0o602),), LATER,
        "Uh-oh: .qmail file is writable. (#4.7.0)"),
    Row("4.1 .qmail: first line blank", (file(" \n./m/\n"),), LATER,
        "Uh-oh: first line of .qmail file is blank. (#4.2.1)"),
    Row("4.1 .qmail: x bit and a file", (file("&x@example.org\n./m/\n", 0o700),), LATER,
        "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)"),
    Row("4.1 .qmail: x bit and a program", (file("|one\n", 0o700),), LATER,
        "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)"),
    Row("4.1 .qmail: x bit and forwards", (file("&x@example.org\n", 0o700),), OK, "", (TO,)),
    # -- 4: file search
    Row("4.2 the exact name first", (file("./exact/\n"), file("./no/\n", name=".qmail-default")),
        OK, "", ("copy R/bob/exact",)),
    Row("4.2 then back to each dash", (file("./ab/\n", name=".qmail-a-b-default"),
        file("./a/\n", name=".qmail-a-default")), OK, "", ("copy R/bob/ab",)),
    Row("4.2 last the default", (file("./d/\n", name=".qmail-default"),), OK, "",
        ("copy R/bob/d",)),
    Row("4.2 lower case, dots are colons", (file("./m/\n", name=".qmail-x:y"),), OK, "",
        ("copy R/bob/m",), to="bob-X.y@mx.example.com"),
    Row("4.2 only regular files", (lambda w: (w.home / ".qmail-a-b-c").mkdir(),
        file("./d/\n", name=".qmail-default")), OK, "", ("copy R/bob/d",)),
    Row("4.2 no dash: a missing file is empty", (), OK, "did 1+0+0", ("copy R/bob/Default",),
        to="bob@mx.example.com"),
    Row("4.2 an empty file is the default delivery", (file(""),), OK, "did 1+0+0",
        ("copy R/bob/Default",)),
    Row("4.2 ... and its x bit is ignored", (file("", 0o700),), OK, "", ("copy R/bob/Default",)),
    # -- 4: lines
    Row("4.3 empty: ignored", (file("./m/\n\n\n"),), OK, "did 1+0+0", ("copy R/bob/m",)),
    Row("4.3 #: comment", (file("# nothing\n"),), OK, "did 0+0+0"),
    Row("4.3 |: a program", (file("|one two  \n"),), OK, "did 0+0+1", ("run one two",)),
    Row("4.3 &: forward", (file("&x@example.org\n"),), OK, "did 0+1+0\nqp ", (TO,)),
    Row("4.3 other text: forward", (file("x@example.org\n"),), OK, "did 0+1+0", (TO,)),
    Row("4.3 forwards are one injection", (file("&x@example.org\n|one\n&y@example.org\n"),), OK,
        "did 0+2+1", ("run one", TO, TO.replace("x@", "y@"))),
    Row("4.3 . or / to /: a maildir", (file("./m/\nR/n/\n"),), OK, "did 2+0+0",
        ("copy R/bob/m", "copy R/n")),
    Row("4.3 . or /: an mbox", (file("./mbox\n"),), OK, "did 1+0+0", ("mbox R/bob/mbox",)),
    Row("4.3 ?label cmd: 99 jumps", (file("?end one\n|two\n:end\n|three\n"),), OK, "did 0+0+2",
        ("run one", "run three"), ends={"one": Ended(99)}),
    Row("4.3 ?label cmd: 0 does not", (file("?end one\n|two\n:end\n|three\n"),), OK, "did 0+0+3",
        ("run one", "run two", "run three")),
    Row("4.3 ?label: always", (file("?end\n|two\n:end\n|three\n"),), OK, "", ("run three",)),
    Row("4.3 ?label: none, the rest is left out", (file("|one\n?end\n|two\n"),), OK, "did 0+0+1",
        ("run one",)),
    Row("4.3 ?label: forward only", (file(":end\n?end one\n|two\n"),), OK, "did 0+0+1",
        ("run one",), ends={"one": Ended(99)}),
    Row("4.3 +list: forwards alone", (file("|one\n+list\n&x@example.org\n"),), OK, "",
        ("run one", TO)),
    Row("4.3 +list: nothing else", (file("|one\n+list\n./m/\n"),), LATER,
        "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)"),
    Row("4.3 blanks at the end go", (file("./m/ \t\n"),), OK, "", ("copy R/bob/m",)),
    Row("4.3 a missing newline is added", (file("./m/"),), OK, "", ("copy R/bob/m",)),
    # -- 4: exit codes
    Row("4.4 exit 0", (file("&x@example.org\n|one\n./two/\n"),), OK, "did 1+1+1",
        ("run one", "copy R/bob/two", TO)),
    ends("4.4 exit 99: earlier forwards go", 99, OK, TO),
    *(ends(f"4.4 exit {code}: permanent", code, FAILS)
      for code in (100, 64, 65, 70, 76, 77, 78, 112)),
    *(ends(f"4.4 exit {code}: temporary", code, LATER) for code in (1, 71, 74, 75, 111, 255)),
    Row("4.4 a signal", (file("|one\n./two/\n"),), LATER,
        "Aack, child one crashed. (#4.3.0)", ("run one",), ends={"one": Ended(signal=6)}),
    # -- 4: -owner
    Row("4.5 -owner", (file("&x@example.org\n"), file("", name=".qmail-a-b-c-owner")), OK, "",
        ("forward x@example.org from bob-a-b-c-owner@mx.example.com",)),
    Row("4.5 -owner-default: VERP", (file("&x@example.org\n"), file("", name=".qmail-a-b-c-owner"),
        file("", name=".qmail-a-b-c-owner-default")), OK, "",
        ("forward x@example.org from bob-a-b-c-owner-@mx.example.com-@[]",)),
    Row("4.5 no owner of a bounce", (file("&x@example.org\n"), file("", name=".qmail-a-b-c-owner")),
        OK, "", ("forward x@example.org from ",), sender=""),
    Row("4.5 no owner of a double bounce", (file("&x@example.org\n"),
        file("", name=".qmail-a-b-c-owner")), OK, "", ("forward x@example.org from #@[]",),
        sender="#@[]"),
    # -- 5.2: QMAIL_EXT
    Row("5.2 QMAIL_EXT", (BOUNCING, EXT), OK,
        "no account alice-a-b@example.com - delivering to alice@example.com (QMAIL_EXT)",
        ("copy R/alice/Maildir",), to=ALICE_EXT),
    Row("5.2 QMAIL_EXT is not set", (BOUNCING,), FAILS,
        "no account alice-a-b@example.com here by that name. indimail (#5.1.5)", to=ALICE_EXT),
    Row("5.2 QMAIL_EXT: the user's .qmail", (BOUNCING, EXT, own("|one\n")), OK, "", ("run one",),
        to=ALICE_EXT),
    Row("5.2 QMAIL_EXT: the user's rows of valias", (BOUNCING, EXT, alias("&x@example.org")), OK, "",
        (TO,), to=ALICE_EXT),
    Row("5.2 QMAIL_EXT: first the rows of the full name", (BOUNCING, EXT,
        alias("&x@example.org", of="alice-a-b"), own("|one\n")), OK, "", (TO,), to=ALICE_EXT),
    Row("5.2 QMAIL_EXT: first the account of the full name", (BOUNCING, EXT, another("alice-a-b")), OK,
        "did 0+0+1", ("copy R/alice-a-b/Maildir",), to=ALICE_EXT),
    Row("5.2 QMAIL_EXT: an inactive user", (BOUNCING, EXT, INACTIVE), FAILS,
        "account alice@example.com is inactive. indimail(#5.1.3)", to=ALICE_EXT),
    Row("5.2 QMAIL_EXT: nobody stands in", (BOUNCING, EXT), FAILS,
        "no account bob-a@example.com here by that name. indimail (#5.1.5)", to="bob-a@example.com"),
    # -- 5.3: an existing user
    Row("5.3 a locked", (BOUNCING, changed(flags=Flag.BOUNCE_MAIL)), FAILS,
        "account alice@example.com locked/overquota 0/NOQUOTA. indimail (#5.1.1)", to=ALICE),
    Row("5.3 a the hold file", (BOUNCING, changed(flags=Flag.BOUNCE_MAIL),
        lambda w: os.makedirs(w.alice / "Maildir" / "holdoverquota")), LATER,
        "locked/overquota", to=ALICE),
    Row("5.3 b valias instead of the mailbox", (BOUNCING, alias("&x@example.org")), OK, "",
        (TO,), to=ALICE),
    Row("5.3 b valias wins over .qmail", (BOUNCING, alias("&x@example.org"), own("|one\n")), OK,
        "", (TO,), to=ALICE),
    Row("5.3 b a user's .qmail", (BOUNCING, own("|one\n")), OK, "did 0+0+1", ("run one",),
        to=ALICE),
    Row("5.3 b an empty .qmail discards", (BOUNCING, own("")), OK, "discarded by an empty .qmail",
        to=ALICE),
    Row("5.3 b /path: a maildir", (BOUNCING, alias("/all")), OK, "", ("copy /all",), to=ALICE),
    Row("5.3 b the whole dot-qmail set", (BOUNCING, own("# note\n./Maildir/\n./mbox\nx@example.org\n")),
        OK, "", ("copy R/alice/Maildir", "mbox R/alice/mbox", TO), to=ALICE),
    Row("5.3 b relative paths of an alias", (BOUNCING, alias("./box", of="nobody")), OK, "",
        ("mbox R/domain/box",), to=NOBODY),
    Row("5.3 b relative paths of a user's alias", (BOUNCING, alias("./box")), OK, "",
        ("mbox R/alice/box",), to=ALICE),
    Row("5.3 b the own address is skipped", (BOUNCING, own(f"{ALICE}\n|one\n")), OK, "",
        ("run one",), to=ALICE),
    Row("5.3 b ... and alone leaves the mailbox", (BOUNCING, own(f"{ALICE}\n")), OK, "",
        ("copy R/alice/Maildir",), to=ALICE),
    Row("5.3 b exit 99 in .qmail", (BOUNCING, own("|one\n./Maildir/\n")), OK, "", ("run one",),
        to=ALICE, ends={"one": Ended(99)}),
    Row("5.3 b exit 99 in valias", (BOUNCING, alias("|one", "|two")), OK, "", ("run one",),
        to=ALICE, ends={"one": Ended(99)}),
    Row("5.3 b a full row of valias: the others are made", (BOUNCING, alias("/all", "/full", "|one"),
        alias("&x@example.org"), full("/full")), FAILS, "/full has insufficient quota.",
        (TO, "copy /all", "run one"), to=ALICE, mail=LONG),
    Row("5.3 b full rows of valias", (BOUNCING, alias("/full", "/more"), full("/full"), full("/more")),
        FAILS, "(#5.1.4)\n/more has insufficient quota.", to=ALICE, mail=LONG),
    Row("5.3 b a full row and a program that fails", (BOUNCING, alias("/full", "|one", "|two"),
        full("/full")), FAILS, "one failed code(100)", ("run one",), to=ALICE, mail=LONG,
        ends={"one": Ended(100)}),
    Row("5.3 b a row that is held ends it", (BOUNCING, alias("/full", "|one"), full("/full"),
        lambda w: w.disk.make_directories("/full/holdoverquota")), LATER, "(#5.1.4)", to=ALICE,
        mail=LONG),
    Row("5.3 b a full mailbox of .qmail ends it", (BOUNCING, own("/full\n|one\n"), full("/full")),
        FAILS, "/full has insufficient quota.", to=ALICE, mail=LONG),
    Row("5.3 b a full row beside other lines of the file ends it", (alias("/full", "|one"),
        rule(f"{VDELIVERMAIL} delete\n|two\n"), full("/full")), FAILS,
        "/full has insufficient quota.", to=ALICE, mail=LONG),
    Row("5.3 b DISCARD_BOUNCE of a full row", (BOUNCING, NO_BOUNCE, alias("/full", "|one"),
        full("/full")), OK, "(#5.1.4), discarded (DISCARD_BOUNCE)", ("run one",), to=ALICE, mail=LONG),
    Row("5.3 b the first failure ends it", (BOUNCING, own("|one\n./Maildir/\n")), FAILS,
        "one failed code(100). Permanent error", ("run one",), to=ALICE, ends={"one": Ended(100)}),
    Row("5.3 c a group without aliases", (BOUNCING, changed(gecos="MailGroup staff")), OK,
        "Mail delivery to group is avoided", to=ALICE),
    Row("5.3 d the Maildir", (BOUNCING,), OK, "did 0+0+1", ("copy R/alice/Maildir",), to=ALICE),
    # -- 5.4: who does not exist, and who is inactive
    Row("5.4 aliases before the instruction", (BOUNCING, alias("&x@example.org", of="nobody")), OK,
        "", (TO,), to=NOBODY),
    Row("5.4 delete 1", (instruction("delete"),), OK, "discarded (delete)", to=NOBODY),
    Row("5.4 delete 0", (instruction("delete"), INACTIVE), OK, "discarded (delete)", to=ALICE),
    Row("5.4 bounce-no-mailbox 1", (BOUNCING,), FAILS,
        "no account nobody@example.com here by that name. indimail (#5.1.5)", to=NOBODY),
    Row("5.4 bounce-no-mailbox 0", (BOUNCING, INACTIVE), FAILS,
        "account alice@example.com is inactive. indimail(#5.1.3)", to=ALICE),
    Row("5.4 a path 1", (instruction("R/catch"), maildir("catch/Maildir")), OK,
        "no account nobody@example.com - delivering to R/catch. indimail (#5.1.6)",
        ("copy R/catch/Maildir",), to=NOBODY),
    Row("5.4 a path that is a Maildir itself", (instruction("R/catch/"), maildir("catch")), OK, "",
        ("copy R/catch",), to=NOBODY),
    Row("5.4 a path 0", (instruction("R/catch"), maildir("catch"), INACTIVE), OK,
        "account alice@example.com is inactive delivering to R/catch. indimail(#5.1.7)",
        ("copy R/catch",), to=ALICE),
    Row("5.4 a path that is not there", (instruction("R/catch"),), LATER,
        "address R/catch/Maildir: ", to=NOBODY),
    Row("5.4 an address 1", (instruction("x@example.org"),), OK,
        "no account nobody@example.com - delivering to x@example.org. indimail (#5.1.6)", (TO,),
        to=NOBODY),
    Row("5.4 an address 0", (instruction("x@example.org"), INACTIVE), OK,
        "account alice@example.com is inactive delivering to x@example.org. indimail(#5.1.7)",
        (TO,), to=ALICE),
    Row("5.4 domain:ip:port 1", (instruction("example.com:192.0.2.1:25"),), OK,
        "no account nobody@example.com - delivering to example.com:192.0.2.1:25. indimail (#5.1.6)",
        (f"forward {NOBODY} from eve@example.net",), to=NOBODY),
    Row("5.4 domain:ip:port 0: not tried", (instruction("example.com:192.0.2.1:25"), INACTIVE),
        FAILS, "account alice@example.com is inactive delivering to example.com:192.0.2.1:25."
        " indimail(#5.1.7)", to=ALICE),
    Row("5.4 otherwise", (instruction("nonsense"),), LATER,
        "Invalid SMTPROUTE Specification [nonsense]. indimail (#5.1.8)", to=NOBODY),
    Row("5.4 otherwise: who exists has his mail", (instruction("nonsense"),), OK, "",
        ("copy R/alice/Maildir",), to=ALICE),
    # -- 5: DISCARD_BOUNCE
    Row("5 DISCARD_BOUNCE: nobody", (BOUNCING, NO_BOUNCE), OK,
        "here by that name. indimail (#5.1.5), discarded (DISCARD_BOUNCE)\ndid 0+0+1", to=NOBODY),
    Row("5 DISCARD_BOUNCE: an inactive user", (BOUNCING, NO_BOUNCE, INACTIVE), OK,
        "is inactive. indimail(#5.1.3), discarded (DISCARD_BOUNCE)", to=ALICE),
    Row("5 DISCARD_BOUNCE: a locked user", (BOUNCING, NO_BOUNCE, changed(flags=Flag.BOUNCE_MAIL)), OK,
        "indimail (#5.1.1), discarded (DISCARD_BOUNCE)", to=ALICE),
    Row("5 DISCARD_BOUNCE: a full mailbox", (BOUNCING, NO_BOUNCE, changed(quota="1000")), OK,
        "indimail (#5.1.4), discarded (DISCARD_BOUNCE)", to=ALICE, mail=LONG),
    Row("5 DISCARD_BOUNCE: the lines behind it are made", (NO_BOUNCE,
        rule(f"{VDELIVERMAIL} bounce-no-mailbox\n|one\n")), OK, "did 0+0+1", ("run one",), to=NOBODY),
    Row("5 DISCARD_BOUNCE: not of a program", (BOUNCING, NO_BOUNCE, own("|one\n")), FAILS,
        "one failed code(100)", ("run one",), to=ALICE, ends={"one": Ended(100)}),
    Row("5 DISCARD_BOUNCE: what waits waits", (instruction("nonsense"), NO_BOUNCE), LATER,
        "Invalid SMTPROUTE", to=NOBODY),
    Row("5 DISCARD_BOUNCE: qmail-local's bounces", (NO_BOUNCE,), FAILS,
        "Sorry, no mailbox here by that name. (#5.1.1)"),
    Row("5 the line with a |", (rule(f"| {VDELIVERMAIL} delete\n"),), OK, "discarded (delete)",
        to=NOBODY),
    Row("5 a line that lacks an argument", (rule("/var/indimail/sbin/vdelivermail ''\n"),), LATER,
        "domain/.qmail-default:1: ", to=NOBODY),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.number for row in ROWS])
def test_a_row_of_the_specification(row: Row, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.ends.update(row.ends)
    for prepare in row.prepare:
        prepare(world)
    world.deliver(row.to, row.mail, row.sender)
    verdict, text = world.outcome
    assert verdict == row.verdict, text
    assert row.text in text.replace(str(tmp_path), "R")
    assert sorted(world.did) == sorted(row.did)
    assert world.trace.told("delivery")[-1].id == ONE
