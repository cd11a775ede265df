"""What holds for all of IndiMail's commands alike (spec/delivery.md 2, common rules).

`USES` is a use of each, in an order in which each finds what it needs.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.commands import HASH
from crash.stage import Stage, files_of, folder_in_memory

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

USES = [
    f"vadddomain -e -R -l 2 example.com {HASH}",
    f"vadduser -e -q 50M alice@example.com {HASH}",
    f"vpasswd -e alice@example.com {HASH}",
    "vuserinfo -n -d -q alice@example.com",
    "vmoduser -p alice@example.com",
    "vsetuserquota alice@example.com 50M,1000",
    "vmoddomain -h delete -f 0 -l 1 -H MD5 example.com",
    "vlimit -P 50 example.com",
    "valias -i &alice@example.com sales@example.com",
    "vaddaliasdomain example.net example.com",
    "vdominfo example.com",
    f"vgroup -a -e team@example.com {HASH}",
    "vbulletin -a -f {folder}/news example.com",
    "vacation alice@example.com {folder}/news",
    "vdeloldusers -f -i -a 60 -d example.com",
    "resetquota -q 50M {root}/mail/A2E/example.com/alice",
    "vcaliasrev example.com",
    "vcalias example.com",
    "vfstab -i {root}/mail",
    "printdir example.com",
    "vreorg -r -d example.com",
    "vpurge example.com 30 100",
    "vipmap -i 192.0.2.1 example.com",
    "vmoveuserdir alice@example.com {root}/elsewhere/alice",
    "vrenameuser alice@example.com zoe@example.com",
    "vdeluser zoe@example.com",
    "vrenamedomain example.com example.org",
    "vdeldomain example.org",
]
OF_A_DOMAIN = [use for use in USES if re.search("[ @]example", use)]
OF_ANY_NUMBER = {"vbulletin", "resetquota"}
# Wrong use ends with this exit code, that of others with 1.
OF_100 = {"vadddomain", "vdeldomain", "vuserinfo", "vmoduser", "vacation"}
# What -h is there: a hash, an instruction, links.
OF_H = {"vadddomain", "vadduser", "vpasswd", "vgroup", "vmoduser", "vmoddomain", "vbulletin"}


# -- an instance whose parts lie elsewhere ----------------------------------------------------------


class Laid(Stage):
    """An instance whose parts lie where `variables` say; paths are told as if they lay in its root."""

    def __init__(self, folder: str, **variables: str) -> None:
        super().__init__(folder)
        self.folder = folder
        self.variables = {name: value.format(folder=folder) for name, value in variables.items()}
        os.chmod(folder, 0o777)  # the service account makes the parts
        Path(folder, "news").write_text("Subject: news\n\nHello\n")

    def use(self, line: str) -> list[str]:
        """Run a command; return its exit code, what it said and what is there then."""
        words = line.format(root=self.root, folder=self.folder).split()
        code = self.run(*words, **self.variables)
        rows = [row for row in self.state() if not row.startswith(self.folder)]
        found = [self._plain(line) for line in (*files_of(self.folder), *rows)]
        own = re.compile(r"/([eav]|output\d) ")
        kept = sorted(line for line in found if not own.match(line))
        return [f"exit {code}", *self._plain(self.said).splitlines(), *kept]

    def _plain(self, text: str) -> str:
        for here, there in (("e/controls", "control"), ("a", "users"), ("v/domains", "domains")):
            text = re.sub(rf"{self.folder}/{here}(?=[/ \n])", f"{self.root}/{there}", text)
        text = text.replace(f"{self.folder}/e/", f"{self.root}/").replace(self.folder, "")
        return re.sub(r"\b[0-9]{10}\b", "TIME", text)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Laid, Laid]]:
    with folder_in_memory() as one, folder_in_memory() as two:
        # Of the same length, so that a cdb has the same octets at the same places.
        elsewhere = Laid(
            two, SYSCONFDIR="{folder}/e", CONTROLDIR="controls",
            ASSIGNDIR="{folder}/a", DOMAINDIR="{folder}/v",
        )  # fmt: skip
        yield Laid(one), elsewhere


@pytest.mark.parametrize("use", ["init --me mx.example.org", *USES, "doctor"])
def test_each_part_lies_where_its_variable_says_and_nowhere_else(
    both: tuple[Laid, Laid], use: str
) -> None:
    here, elsewhere = both
    expected = here.use(use)
    assert expected[0] == "exit 0"
    assert elsewhere.use(use) == expected
    assert not {"control", "tcp", "users", "certs", "domains"} & set(os.listdir(elsewhere.root))


# -- who may run them, and what they refuse ---------------------------------------------------------


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A domain with users, one of root's, and a file that can be posted."""
    with folder_in_memory() as folder:
        Path(folder, "news").write_text("Subject: news\n\nHello\n")
        made = Stage(folder)
        made.run("init", "--me", "mx.example.org")
        assert made.run("vadddomain", "-e", "example.com", HASH) == 0
        for name in ("alice", "team"):
            assert made.run("vadduser", "-e", f"{name}@example.com", HASH) == 0
        assign = Path(made.root, "users/assign")
        entry = "+root.example-:root.example:0:0:/nowhere:-::"
        assign.write_text(assign.read_text().replace("\n.\n", f"\n{entry}\n.\n"))
        yield made


def run(stage: Stage, use: str) -> tuple[int, str]:
    """Run a command that is refused; return its exit code and what it said."""
    before = stage.state()
    words = use.format(root=stage.root, folder=os.path.dirname(stage.root)).split()
    code = stage.run(*words)
    assert stage.state() == before
    return code, stage.said


@pytest.mark.parametrize("use", USES)
def test_others_than_root_and_the_service_account_are_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    owner = os.stat(stage.root)
    monkeypatch.setattr("os.geteuid", lambda: owner.st_uid + 1)
    who = f"you must be root or domain user (uid={owner.st_uid}/gid={owner.st_gid})"
    assert run(stage, use) == (100, f"{use.split()[0]}: {who} to run this program\n")


@pytest.mark.parametrize("use", OF_A_DOMAIN)
def test_an_upper_case_letter_in_a_name_is_refused(stage: Stage, use: str) -> None:
    code, said = run(stage, re.sub("(?<=[ @])example", "Example", use))
    what = r"(domain \[|email \[\w+@)Example[.]\w+\] has an uppercase character\n"
    assert code == 100
    assert re.fullmatch(f"{use.split()[0]}: warning: {what}", said)


@pytest.mark.parametrize("use", OF_A_DOMAIN)
def test_a_domain_of_root_is_refused(stage: Stage, use: str) -> None:
    typed = re.sub("example[.](com|org)(?= |$)", "root.example", use)
    assert run(stage, typed) == (100, f"{use.split()[0]}: domain root.example with uid 0\n")


@pytest.mark.parametrize("use", [use for use in USES if use.split()[0] not in OF_ANY_NUMBER])
def test_too_many_arguments_are_wrong_use(stage: Stage, use: str) -> None:
    name = use.split()[0]
    code, said = run(stage, f"{use} more and more")
    assert code == (100 if name in OF_100 else 1)
    assert said.startswith(f"usage: {name} [")


@pytest.mark.parametrize("name", [use.split()[0] for use in USES])
def test_help_is_shown(stage: Stage, name: str) -> None:
    """Also by -h, where that is not one of IndiMail's own options."""
    for option in ("--help", *([] if name in OF_H else ["-h"])):
        code, said = run(stage, f"{name} {option}")
        assert code == 0
        assert said.startswith(f"usage: {name} [")
