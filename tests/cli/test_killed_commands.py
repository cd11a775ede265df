"""A command that is killed between any two of its writes, and run again: as if it never was.

In the fast tests a kill in the middle; in the slow ones after each write.
"""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli.crashing import Scene

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"
OTHER_HASH = "$1$tlas$JSoV9KyWZPjFlhLkLRO.J1"

COMMANDS = [
    ["vadddomain", "-e", "-R", "new.example", HASH],
    ["vadduser", "-e", "carol@example.com", HASH],
    ["vdeldomain", "example.com"],
    ["vdeldomain", "example.net"],
    ["vaddaliasdomain", "alias.example", "example.com"],
    ["vrenamedomain", "example.com", "new.example"],
    ["vrenamedomain", "example.net", "new.example"],
    ["vdeluser", "alice@example.com"],
    ["vrenameuser", "alice@example.com", "zoe@example.com"],
    ["vrenameuser", "alice@example.com", "carol@example.com"],
    ["vmoveuserdir", "alice@example.com", "{root}/elsewhere/alice"],
    ["vgroup", "-a", "-e", "sales@example.com", HASH],
    ["vgroup", "-u", "&bob@example.com", "-o", "&alice@example.com", "team@example.com"],
    ["vbulletin", "-f", "{root}/../news", "example.com"],
    ["vbulletin", "-a", "-f", "{root}/../news", "example.com"],
    ["vdeloldusers", "-f", "-i", "-a", "60", "-d", "example.com"],
    ["vdeloldusers", "-f", "-p", "-a", "60", "-d", "example.com"],
    ["vcaliasrev", "example.com"],
    ["vipmap", "-i", "192.0.2.1", "example.com"],
    ["vmoduser", "-q", "+5M", "-c", "Bob B.", "-e", HASH, "-t", "-p", "-n", "bob@example.com"],
    ["vmoduser", "-x", "-b", "-D", "%Y-%m", "-l", "{root}/../away", "bob@example.com"],
    ["vmoduser", "-l", "-", "alice@example.com"],
    ["vsetuserquota", "alice@example.com", "1M,100"],
    ["vpasswd", "-e", "alice@example.com", OTHER_HASH],
    ["vmoddomain", "-h", "lost@example.org", "-l", "1", "-H", "MD5", "example.com"],
    ["valias", "-i", "| /bin/true", "sales@example.com"],
    ["valias", "-u", "&alice@example.com", "-i", "&bob@example.com", "sales@example.com"],
    ["valias", "-d", "&alice@example.com", "sales@example.com"],
    ["resetquota", "-q", "1M", "{root}/mail/A2E/example.com/bob"],
]  # fmt: skip


# The same said in another way: an action, and the command of IndiMail's whose work it does.
STORED = ["--hashed", "--password-file", "{root}/../hash"]
ACTIONS = [
    (["domain", "add", "new.example", "--check-recipients", "--hashed",
      "--postmaster-password-file", "{root}/../hash"], COMMANDS[0]),
    (["user", "add", "carol@example.com", *STORED], COMMANDS[1]),
    (["domain", "del", "example.com"], ["vdeldomain", "example.com"]),
    (["domain", "rename", "example.com", "new.example"],
     ["vrenamedomain", "example.com", "new.example"]),
    (["user", "del", "alice@example.com"], ["vdeluser", "alice@example.com"]),
    (["user", "rename", "alice@example.com", "zoe"],
     ["vrenameuser", "alice@example.com", "zoe@example.com"]),
    (["user", "set", "bob@example.com", "--quota", "+5M", "--name", "Bob B.", "--inactive",
      "--flag", "no-pop"], ["vmoduser", "-q", "+5M", "-c", "Bob B.", "-n", "-p", "bob@example.com"]),
    (["user", "set", "bob@example.com", "--date-folders", "%Y", "--reply", "{root}/../away"],
     ["vmoduser", "-D", "%Y", "-l", "{root}/../away", "bob@example.com"]),
    (["user", "set", "alice@example.com", "--no-reply"], ["vmoduser", "-l", "-", "alice@example.com"]),
    (["user", "passwd", "alice@example.com", *STORED], ["vpasswd", "-e", "alice@example.com", HASH]),
    (["domain", "set", "example.com", "--default", "lost@example.org", "--limits", "--hash-method",
      "md5"], ["vmoddomain", "-h", "lost@example.org", "-l", "1", "-H", "MD5", "example.com"]),
    (["alias", "add", "sales@example.com", "| /bin/true"],
     ["valias", "-i", "| /bin/true", "sales@example.com"]),
    (["alias", "del", "sales@example.com", "&alice@example.com"],
     ["valias", "-d", "&alice@example.com", "sales@example.com"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def kept() -> Iterator[Scene]:
    """Two domains with users, mail, aliases, an automatic reply, tables of IndiMail's own."""
    folder = tempfile.mkdtemp(prefix="indimail-test-")
    os.chmod(folder, 0o711)  # not a tmp_path: only root could pass it
    scene = Scene(folder)
    root = Path(scene.root)
    text = Path(folder, "away")
    text.write_text("I am away.\n")
    assert scene.run("init", "--me", "mx.example.org") == 0
    for domain in ("example.com", "other.example"):
        scene.run("vadddomain", "-e", domain, HASH)
        for name in ("alice", "bob"):
            scene.run("vadduser", "-e", "-q", "50M", f"{name}@{domain}", HASH)
            maildir = root / "mail" / "A2E" / domain / name / "Maildir"
            (maildir / "new" / "1.a,S=6").write_text("hello\n")
            (maildir / "cur" / "2.b,S=6:2,S").write_text("world\n")
            (maildir / "domain").write_text(f"{domain}\n")
        scene.run("vmoduser", "-l", str(text), f"alice@{domain}")
        scene.run("valias", "-i", f"&alice@{domain}", f"sales@{domain}")
        scene.run("valias", "-i", f"{root}/mail/A2E/{domain}/alice/Maildir/", f"copy@{domain}")
    for line in ("&alice@example.com", "bob@example.com"):
        scene.run("valias", "-i", line, "friends@other.example")
    scene.run("vgroup", "-a", "-e", "team@example.com", HASH)
    scene.run("vgroup", "-i", "&alice@example.com", "team@example.com")
    Path(folder, "news").write_text("Subject: news\n\nHello\n")
    Path(folder, "hash").write_text(f"{HASH}\n")
    scene.run("vaddaliasdomain", "example.net", "example.com")
    scene.run("vaddaliasdomain", "alias.other.example", "other.example")
    (root / "domains" / "example.com" / ".qmail-alice").write_text("&bob@example.com\n")
    with closing(sqlite3.connect(root / "db" / "indimail.db")) as db, db:
        db.execute("create table vfilter (emailid text, filter_no integer)")
        db.execute("create table vlimits (domain text)")
        db.execute("update lastauth set timestamp='2020-01-01 00:00:00' where user='alice'")
        for domain in ("example.com", "other.example"):
            db.execute("insert into vlimits values (?)", [domain])
            db.execute("insert into userquota (user, domain, quota) values ('bob', ?, 9)", [domain])
            for name in ("alice", "prefilt"):
                db.execute("insert into vfilter values (?, 1)", [f"{name}@{domain}"])
    if os.geteuid() == 0:
        owner = os.stat(root)
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", root], check=True)
    scene.keep()
    yield scene
    shutil.rmtree(folder)


@pytest.fixture
def scene(kept: Scene) -> Scene:
    kept.put_back()
    return kept


def filled(scene: Scene, command: list[str]) -> list[str]:
    return [word.format(root=scene.root) for word in command]


def kills(scene: Scene, command: list[str]) -> int:
    """Return how many there are: behind each write, the list's keeping and its removal."""
    before = scene.state()
    assert scene.run(*command, "--dry-run") == 0
    assert scene.state() == before
    return len(scene.said.splitlines()) + 2


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_killed_and_run_again_is_as_undisturbed_and_others_keep_what_they_had(
    scene: Scene, command: list[str]
) -> None:
    command = filled(scene, command)
    others = of_others(scene)
    assert len(others) > 40
    last = kills(scene, command)
    assert scene.run(*command) == 0
    assert of_others(scene) == others
    check(scene, command, scene.state(), last // 2, last)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_killed_after_any_write_and_run_again_is_as_undisturbed(
    scene: Scene, command: list[str]
) -> None:
    command = filled(scene, command)
    last = kills(scene, command)
    assert scene.run(*command) == 0
    undisturbed = scene.state()
    for number in range(1, last + 1):
        check(scene, command, undisturbed, number, last)
    scene.put_back()
    assert scene.run(*command, fail_after=last + 1) == 0  # there is no write beyond


@pytest.mark.parametrize(("action", "command"), ACTIONS, ids=" ".join)
def test_an_action_does_what_the_command_does_also_killed_and_run_again(
    scene: Scene, action: list[str], command: list[str]
) -> None:
    action, command = filled(scene, action), filled(scene, command)
    assert scene.run(*command) == 0
    undisturbed = scene.state()
    scene.put_back()
    last = kills(scene, action)
    check(scene, action, undisturbed, last // 2, last)


def check(scene: Scene, command: list[str], undisturbed: list[str], number: int, last: int) -> None:
    scene.put_back()
    assert scene.state() != undisturbed
    assert scene.run(*command, fail_after=number) == -9
    if number < last:
        assert scene.run(*command) == 0, scene.said
    # Else the list was done with, and only the exit code was missing.
    assert scene.state() == undisturbed, number


def of_others(scene: Scene) -> list[str]:
    """Return what is of the other domain, but for the lines that forward to this one."""
    mentioned = [line for line in scene.state() if "other.example" in line]
    shared = (f"{scene.root}/control/", f"{scene.root}/users/")
    lines = [line for line in mentioned if "friends" not in line and not line.startswith(shared)]
    for name in ("control/rcpthosts", "control/virtualdomains", "users/assign"):
        with open(f"{scene.root}/{name}") as file:
            lines += sorted(line for line in file if "other.example" in line)
    return lines


def test_whichever_command_comes_next_completes_it(scene: Scene) -> None:
    assert scene.run("vdeluser", "alice@example.com") == 0
    undisturbed = scene.state()
    scene.put_back()
    assert scene.run("vdeluser", "alice@example.com", fail_after=2) == -9
    assert scene.run("vdominfo", "-n", "example.com") == 0
    said = "vdominfo: completed what was interrupted: vdeluser alice@example.com"
    assert scene.said == f"{said}\n    domain: example.com\n"
    assert scene.state() == undisturbed


def test_a_password_given_to_the_command_that_completes_another_is_the_one_that_holds(
    scene: Scene,
) -> None:
    """Both have one name; vmoduser's is made again too, where nothing of it says "more"."""
    for command in (
        ["vpasswd", "-e", "alice@example.com"],
        ["vmoduser", "alice@example.com", "-e"],
    ):
        assert scene.run(*command, OTHER_HASH, fail_after=1) == -9
        assert scene.run(*command, HASH) == 0
        assert OTHER_HASH not in str(scene.state())
        assert scene.run(*command, OTHER_HASH) == 0
        assert OTHER_HASH in str(scene.state())
    relative = ["vmoduser", "-q", "+5M", "alice@example.com", "-e"]
    assert scene.run(*relative, HASH, fail_after=1) == -9
    assert scene.run(*relative, OTHER_HASH) == 0
    assert scene.said.endswith("vmoduser: its password is the one given then\n")
    assert OTHER_HASH not in str(scene.state())


def test_nothing_is_shown_of_a_half_made_change(scene: Scene) -> None:
    assert scene.run("vdeluser", "alice@example.com", fail_after=2) == -9
    left = scene.state()
    assert scene.run("vdeluser", "--dry-run", "bob@example.com") == 75
    said = "a change was interrupted; the next command completes it"
    assert scene.said == f"vdeluser: {said}\n"
    assert scene.state() == left
    assert os.stat(f"{scene.root}/db/change.json").st_mode & 0o777 == 0o600


def test_a_write_that_fails_is_told_and_made_when_it_can_be(scene: Scene) -> None:
    """A directory where a file is to go; who only reads is not kept from it."""
    command = ("vmoveuserdir", "alice@example.com", f"{scene.root}/elsewhere/alice")
    in_the_way = f"{scene.root}/mail/A2E/example.com/alice/.qmail"
    os.unlink(in_the_way)
    assert scene.run(*command) == 0
    undisturbed = scene.state()
    scene.put_back()
    os.unlink(in_the_way)
    assert scene.run(*command, fail_after=1) == -9
    control = f"{scene.root}/elsewhere"
    with open(control, "w"):
        pass
    assert scene.run("vdominfo", "-n", "example.com") == 0
    warning = "vdominfo: warning: a change was interrupted, and cannot be completed: "
    assert scene.said.startswith(warning)
    assert scene.run("vdeluser", "bob@example.com") == 75
    os.unlink(control)
    assert scene.run("vdominfo", "-n", "example.com") == 0
    assert scene.state() == undisturbed
