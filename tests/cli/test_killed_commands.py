"""A command that is killed between any two of its writes, and run again: as if it never was.

On SQLite each command after each write; on the servers some, which a seed chooses (SEED=n repeats).
`make crash` tries all of them on all three.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from crash.commands import (
    COMMANDS,
    HASH,
    OTHER_HASH,
    Trial,
    filled,
    furnished,
    kills,
    trial,
    trials,
)
from crash.stage import Stage
from databases import SERVERS, database

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

SEED = int(os.environ.get("SEED") or Random().randrange(1_000_000))
SOME = 4


# The same said in another way: an action, and the command of IndiMail's whose work it does.
STORED = ["--hashed", "--password-file", "{root}/../hash"]
ACTIONS = [
    (["domain", "add", "new.example", "--check-recipients", "--hashed",
      "--postmaster-password-file", "{root}/../hash"], ["vadddomain", "-e", "-R", "new.example", HASH]),
    (["user", "add", "carol@example.com", *STORED], ["vadduser", "-e", "carol@example.com", HASH]),
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
def kept() -> Iterator[Stage]:
    with furnished() as stage:
        yield stage


@pytest.fixture
def scene(kept: Stage) -> Stage:
    kept.put_back()
    return kept


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_others_keep_what_they_had(scene: Stage, command: list[str]) -> None:
    others = of_others(scene)
    assert len(others) > 40
    assert scene.run(*filled(scene, command)) == 0, scene.said
    assert of_others(scene) == others


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_killed_after_any_write_and_run_again_is_as_undisturbed(
    scene: Stage, command: list[str]
) -> None:
    assert wrong(trials(scene, command)) == []


@pytest.mark.parametrize("server", SERVERS)
def test_some_killed_on_a_server_and_run_again_are_as_undisturbed(server: str) -> None:
    seeded = Random(f"{SEED}/{server}")
    with database(server) as url, furnished() as stage:
        stage.move_to(url)
        for command in seeded.sample(COMMANDS, SOME):
            assert wrong([trial_of(stage, command, seeded)]) == [], f"again: SEED={SEED}"


@pytest.mark.parametrize(("action", "command"), ACTIONS, ids=" ".join)
def test_an_action_does_what_the_command_does_also_killed_and_run_again(
    scene: Stage, action: list[str], command: list[str]
) -> None:
    action, command = filled(scene, action), filled(scene, command)
    assert scene.run(*command) == 0
    undisturbed = scene.state()
    scene.put_back()
    last = kills(scene, action)
    assert trial(scene, action, undisturbed, last // 2, last).wrong == ""


def test_an_import_killed_after_any_write_and_run_again_is_as_undisturbed(scene: Stage) -> None:
    """Homes and rows of many are one write each; what is kept of them meanwhile has no password."""
    rows = ["carol@example.com,geheim,,,", f"dora@other.example,,{HASH},Dora,0",
            f"alice@example.com,,{OTHER_HASH},A.,0"]  # fmt: skip
    Path(scene.root, "..", "users").write_text(
        "\n".join(["email,password,hash,name,active", *rows])
    )
    command = filled(
        scene, ["user", "import", "--update", "--hash-method", "DES", "{root}/../users"]
    )
    assert scene.run(*command) == 0, scene.said
    assert scene.said == "added 2, changed 1, unchanged 0\n"
    undisturbed = without_hash(scene)
    for number in range(1, 20):
        scene.put_back()
        code = scene.run(*command, fail_after=number)
        journal = Path(scene.root, "db", "change.json")
        if journal.exists():
            assert "geheim" not in journal.read_text()
            assert str(scene.root) in journal.read_text()
        if code == 0:
            break
        assert code == -9
        assert scene.run(*command) == 0, scene.said
        assert scene.said.endswith("added 0, changed 0, unchanged 3\n")
        assert without_hash(scene) == undisturbed, number
    assert number == 14


def without_hash(scene: Stage) -> list[str]:
    """Return what is there without what a salt makes different each time."""
    return [line for line in scene.state() if "('pw_name', 'carol')" not in line]


def trial_of(stage: Stage, command: list[str], seeded: Random) -> Trial:
    command = filled(stage, command)
    stage.put_back()
    last = kills(stage, command)
    assert stage.run(*command) == 0, stage.said
    return trial(stage, command, stage.state(), seeded.randint(1, last), last)


def wrong(tried: Iterator[Trial] | list[Trial]) -> list[str]:
    return [str(trial) for trial in tried if trial.wrong]


def of_others(scene: Stage) -> list[str]:
    """Return what is of the other domain, but for the lines that forward to this one."""
    mentioned = [line for line in scene.state() if "other.example" in line]
    shared = (f"{scene.root}/control/", f"{scene.root}/users/")
    lines = [line for line in mentioned if "friends" not in line and not line.startswith(shared)]
    for name in ("control/rcpthosts", "control/virtualdomains", "users/assign"):
        with open(f"{scene.root}/{name}") as file:
            lines += sorted(line for line in file if "other.example" in line)
    return lines


def test_whichever_command_comes_next_completes_it(scene: Stage) -> None:
    assert scene.run("vdeluser", "alice@example.com") == 0
    undisturbed = scene.state()
    scene.put_back()
    assert scene.run("vdeluser", "alice@example.com", fail_after=2) == -9
    assert scene.run("vdominfo", "-n", "example.com") == 0
    said = "vdominfo: completed what was interrupted: vdeluser alice@example.com"
    assert scene.said == f"{said}\n    domain: example.com\n"
    assert scene.state() == undisturbed


def test_a_password_given_to_the_command_that_completes_another_is_the_one_that_holds(
    scene: Stage,
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


def test_nothing_is_shown_of_a_half_made_change(scene: Stage) -> None:
    assert scene.run("vdeluser", "alice@example.com", fail_after=2) == -9
    left = scene.state()
    assert scene.run("vdeluser", "--dry-run", "bob@example.com") == 75
    said = "a change was interrupted; the next command completes it"
    assert scene.said == f"vdeluser: {said}\n"
    assert scene.state() == left
    assert os.stat(f"{scene.root}/db/change.json").st_mode & 0o777 == 0o600


def test_a_write_that_fails_is_told_and_made_when_it_can_be(scene: Stage) -> None:
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
