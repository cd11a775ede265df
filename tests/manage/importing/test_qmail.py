"""qmail's files of another system: which domains there are, and what may be read of them."""

import os
from pathlib import Path

import pytest

from importing_trees import MD5, Tree, VpopmailTree
from indimail.mail.secret import Secret
from indimail.manage.importing.places import Places, find_places
from indimail.manage.importing.qmail import with_home
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundUser, Source
from indimail.manage.importing.tree import Tree as Found

LINE = f"postmaster:{MD5}:0:0:P:{{home}}/postmaster:NOQUOTA"


@pytest.fixture
def old(tmp_path: Path) -> VpopmailTree:
    return VpopmailTree(str(tmp_path / "old"))


def places(old: VpopmailTree) -> Places:
    found = find_places("vpopmail", old.home, old.qmail, [])
    assert isinstance(found, Places)
    return found


def read(old: VpopmailTree) -> tuple[Source, Report]:
    report = Report()
    return places(old).read(None, report), report


def told(report: Report) -> list[tuple[State, str, str]]:
    return [(note.state, note.what, note.why) for note in report.notes]


def domains(source: Source) -> dict[str, list[str]]:
    return {domain.name: sorted(domain.aliases) for domain in source.domains}


def test_an_alias_domain_leads_to_anothers_directory_or_to_a_link_to_it(old: VpopmailTree) -> None:
    old.domain("example.com", [LINE])
    home = "/home/vpopmail/domains"
    for line in (
        f"+a.example-:example.com:89:89:{home}/example.com:-::",  # vpopmail
        f"+b.example-:b.example:89:89:{home}/b.example:-::",  # IndiMail
        f"+c.example-:c.example:89:89:{home}/example.com:-::",
    ):
        old.entry(line, f"{line[1:10]}:{line[1:10]}")
    os.symlink("example.com", f"{old.home}/domains/b.example")
    source, report = read(old)
    assert domains(source) == {"example.com": ["a.example", "b.example", "c.example"]}
    assert told(report) == []
    assert source.named == {"example.com", "a.example", "b.example", "c.example"}


def test_a_domain_in_a_directory_of_another_name_has_its_alias_by_the_lines(
    old: VpopmailTree,
) -> None:
    old.write("vpopmail/domains/custom/vpasswd", f"postmaster:{MD5}:0:0:P:/x:NOQUOTA\n")
    for name in ("example.com", "a.example"):
        directory = "/home/vpopmail/domains/custom"
        old.entry(f"+{name}-:example.com:89:89:{directory}:-::", f"{name}:{name}")
    source, report = read(old)
    assert domains(source) == {"example.com": ["a.example"]}
    assert told(report) == []


def test_many_domains_lie_in_folders_of_one_letter(old: VpopmailTree) -> None:
    old.write("vpopmail/domains/0/A/deep.example/vpasswd", f"postmaster:{MD5}:0:0:P:/x:NOQUOTA\n")
    old.entry(
        "+deep.example-:deep.example:89:89:/home/vpopmail/domains/0/A/deep.example:-::",
        "deep.example:deep.example",
    )
    old.write("vpopmail/domains/1/lost.example/vpasswd", "")
    source, report = read(old)
    assert domains(source) == {"deep.example": []}
    assert [user.name for user in source.domains[0].users] == ["postmaster"]
    assert [(note.where, note.why) for note in report.notes] == [
        ("domains/1/lost.example", "no line of users/assign leads to it")
    ]


def test_without_any_line_every_directory_is_a_domain(old: VpopmailTree) -> None:
    old.domain("Example.com".lower(), [LINE])
    os.unlink(f"{old.qmail}/users/assign")
    source, _ = read(old)
    assert domains(source) == {"example.com": []}


def test_lines_of_the_system_are_no_domains(old: VpopmailTree) -> None:
    lines = [
        "=joe:joe:1001:1001:/home/joe:::", "+joe-:joe:1001:1001:/home/joe:-::",
        "+j.doe-:j.doe:1002:1002:/home/j.doe:-::", "+:alias:7790:2108:/var/qmail/alias:-::", "rubbish",
    ]  # fmt: skip
    for line in lines:
        old.entry(line)
    source, report = read(old)
    assert [line for _, line in source.entries] == lines
    assert source.domains == []
    assert told(report) == []


def test_what_a_line_leads_to_and_is_not_there_is_told(old: VpopmailTree) -> None:
    home = "/home/vpopmail/domains"
    old.entry(
        f"+gone.example-:gone.example:89:89:{home}/gone.example:-::", "gone.example:gone.example"
    )
    old.domain("example.com", [LINE])
    old.entry(f"+example.com-:example.com:89:89:{home}/example.com:-::")
    source, report = read(old)
    assert domains(source) == {"example.com": []}
    assert told(report) == [
        (State.LEFT, "example.com", "a second line; the first counts"),
        (State.LEFT, "gone.example", f"no directory {old.home}/domains/gone.example"),
    ]
    assert "gone.example" in source.named


def test_a_domain_that_got_no_mail_is_told(old: VpopmailTree) -> None:
    old.domain("example.com", [LINE])
    old.write("qmail/control/virtualdomains", "other.example:other.example\n")
    _, report = read(old)
    assert [(note.state, note.what) for note in report.notes] == [(State.CHANGED, "example.com")]


def test_a_copy_is_read_under_its_own_name_also_where_the_original_is(
    old: VpopmailTree, tmp_path: Path
) -> None:
    """The old name may be there too: as the new instance, or as somebody else's."""
    old.domain("example.com", [LINE])
    assign = Path(old.qmail, "users", "assign")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "domains" / "example.com").mkdir(parents=True)
    assign.write_text(assign.read_text().replace("/home/vpopmail", str(elsewhere)))
    source, _ = read(old)
    assert len(source.domains[0].users) == 1
    moved = places(old).tree.locate(f"{elsewhere}/domains/example.com/alice")
    assert moved == f"{old.home}/domains/example.com/alice"


def test_the_longest_old_path_counts(tmp_path: Path) -> None:
    tree = Found("/r", [("/home", "/a"), ("/home/mail", "/b"), ("/", "/c")])
    assert tree.locate("/home/mail/x") == "/b/x"
    assert tree.locate("/home/mailbox") == "/a/mailbox"
    assert tree.locate("/home") == "/a"
    assert tree.locate("/srv/x") == "/c/srv/x"
    assert Found("/r").locate("/home/x") == "/home/x"


# -- what a user of the old system could have put there --------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = Tree(str(tmp_path / "old"))
    found.write("home/alice/.qmail", "&bob@example.com\n")
    found.write("secret", "secret\n", 0o600)
    return found


def files(tree: Tree, *names: str) -> tuple[list[bytes], list[tuple[str, str]]]:
    report = Report()
    found = Found(tree.folder).files(f"{tree.folder}/home/alice", names, report)
    return [file.octets for file in found], [(n.where, n.why) for n in report.notes]


def test_a_link_that_leads_out_of_its_folder_is_not_read(tree: Tree) -> None:
    home = Path(tree.folder, "home", "alice")
    (home / ".qmail-a").symlink_to(".qmail")
    (home / ".qmail-b").symlink_to("../../secret")
    (home / ".qmail-c").symlink_to("nothing")
    assert files(tree, ".qmail", ".qmail-a", ".qmail-b", ".qmail-c", ".qmail-d") == (
        [b"&bob@example.com\n"] * 2,
        [
            ("home/alice/.qmail-b", "no plain file of its folder"),
            ("home/alice/.qmail-c", "a link that leads nowhere"),
        ],
    )


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_plain_file_is_not_read(tree: Tree, kind: str) -> None:
    path = f"{tree.folder}/home/alice/.qmail-x"
    os.mkdir(path) if kind == "folder" else os.mkfifo(path)
    assert files(tree, ".qmail-x") == ([], [("home/alice/.qmail-x", "no plain file of its folder")])


def test_a_home_without_a_whole_path_is_none(tree: Tree) -> None:
    user = FoundUser("x", "alice", Secret("*"), directory="home/alice")
    assert with_home(Found(tree.folder), user, Report()) == user
