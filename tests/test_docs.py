"""What the documents say is what the code does, as far as a program can tell.

    .venv/bin/python tests/test_docs.py      # print the settings into docs/operating.md again

A command of the README that is fenced as ``console`` is run here; one that takes long is fenced as
``sh``, and output alone as ``text``.
"""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from importing_trees import MD5, TABLES, IndimailTree, VpopmailTree, tables
from indimail.app.settings import SETTINGS
from indimail.app.settings_table import settings_table_markdown
from indimail.cli.main import COMMANDS, Parser, scripts
from indimail.mail.events import Event
from indimail.serve import maillog

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    ROOT / "bench" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
OPERATING = ROOT / "docs" / "operating.md"
COMPATIBILITY = ROOT / "docs" / "compatibility.md"
ROWS = ROOT / "tests" / "data" / "spec_rows.txt"
BEGIN = "<!-- settings: begin; printed by app.settings_table.settings_table_markdown() -->\n"
END = "<!-- settings: end -->"


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- settings and commands -----------------------------------------------------------------------


def with_settings(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{settings_table_markdown().strip()}\n{END}{after}"


def test_the_table_of_settings_is_printed_from_the_code():
    text = OPERATING.read_text()
    assert BEGIN in text
    assert text == with_settings(text), "to print it again: .venv/bin/python tests/test_docs.py"


def test_every_command_is_in_the_operating_guide():
    table = OPERATING.read_text().partition("## Commands")[2].partition("\n## ")[0]
    assert set(re.findall(r"(?m)^\| `(?:indimail )?([a-z-]+)", table)) == set(COMMANDS)


def test_the_scripts_are_installed_as_the_table_of_commands_says():
    toml = (ROOT / "pyproject.toml").read_text()
    section = toml.partition("[project.scripts]\n")[2].partition("\n[")[0]
    written = dict(re.findall(r'^([\w-]+) = "([^"]+)"$', section, re.MULTILINE))
    assert written == scripts()


# -- links ---------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```$|`[^`\n]*`", "", text)


def anchors(text: str) -> set[str]:
    heads = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", text))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links() -> Iterator[tuple[Path, str]]:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text())):
            if not target.startswith(("https://", "http://")):
                yield document, target


def test_links_between_documents_lead_somewhere():
    broken = []
    for document, target in links():
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        if not found.exists() or (anchor and anchor not in anchors(found.read_text())):
            broken.append(f"{relative(document)}: {target}")
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_files_that_documents_name_are_there(document: Path):
    """Paths in backquotes that begin with a folder of this repository, but for what is made."""
    made = (ROOT / ".gitignore").read_text().splitlines()
    named = re.findall(
        r"`((?:src|tests|docs|scripts|etc|bench|requirements)/[\w./-]+)`", document.read_text()
    )
    missing = [path for path in named if f"/{path}" not in made and not (ROOT / path).exists()]
    assert missing == []


def test_the_reading_list_names_files_that_are_there():
    table = (
        (ROOT / "README.md").read_text().partition("## Follow a message")[2].partition("\n## ")[0]
    )
    named = re.findall(r"`(\w+/\w+\.py)`", table)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "src" / "indimail" / name).is_file()] == []


# -- commands of the README ----------------------------------------------------------------------


def readme_commands() -> list[str]:
    blocks = re.findall(r"(?ms)^```console\n(.*?)^```$", (ROOT / "README.md").read_text())
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture
def instance() -> Iterator[Path]:
    # Not tmp_path: only root could pass it, and where root runs the tests the commands are not.
    path = tempfile.mkdtemp(prefix="indimail-docs-")
    os.chmod(path, 0o711)
    yield Path(path) / "instance"
    shutil.rmtree(path)


@pytest.mark.slow
def test_the_commands_of_the_readme_work_in_this_order(instance: Path):
    commands = readme_commands()
    assert commands[0].startswith("indimail init")
    bin_directory = os.path.dirname(sys.executable)
    environment = {
        **os.environ,
        "INDIMAIL_ROOT": str(instance),
        "PATH": os.pathsep.join([bin_directory, os.environ.get("PATH", os.defpath)]),
    }
    for command in commands:
        ran = subprocess.run(
            ["sh", "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, f"{command}: exit {ran.returncode}\n{ran.stderr}"


def administration() -> list[tuple[str, list[str]]]:
    """Return each command of the guide with the lines that it is said to print."""
    text = (ROOT / "docs" / "administration.md").read_text()
    session: list[tuple[str, list[str]]] = []
    for block in re.findall(r"(?ms)^```console\n(.*?)^```$", text):
        for line in block.splitlines():
            if line.startswith("$ "):
                session.append((line[2:], []))
            else:
                session[-1][1].append(line)
    return session


def prints(shown: list[str]) -> str:
    """Return the pattern of an output: ``...`` is anything in a line, any lines as a line."""
    lines = ("(.*\n)*" if line == "..." else f"{re.escape(line)}\n" for line in shown)
    return "".join(lines).replace(re.escape("..."), ".+")


def others(folder: Path) -> dict[str, str]:
    """Make the systems that the guide imports; return where its paths and its database are."""
    vpopmail = VpopmailTree(f"{folder}/vpopmail")
    here = vpopmail.domain("old.example", [
        f"{name}:{MD5}:0:0:{name}:{{home}}/{name}:NOQUOTA" for name in ("postmaster", "alice")
    ])  # fmt: skip
    home = f"{vpopmail.HOME}/domains/old.example"
    vpopmail.entry(f"+older.example-:old.example:89:89:{home}:-::", "older.example:older.example")
    for number in range(2):
        vpopmail.put_mail(f"{here}/alice", f"{number}.M1.old", "Subject: old\n\nHello\n")
    indimail = IndimailTree(f"{folder}/mnt")
    indimail.domain("founding.example")
    indimail.user("postmaster@founding.example", MD5)
    alice = indimail.user("alice@founding.example", MD5, pw_shell="52428800")
    indimail.put_mail(alice, "1.M1.old", "Subject: old\n\nHello\n")
    indimail.row("valias", alias="abuse", domain="founding.example",
                 valias_line="&postmaster@founding.example")  # fmt: skip
    for tree in (vpopmail, indimail):
        host = tree.write(f"{'qmail' if tree is vpopmail else 'indimail'}/control/me", "")
        host.write_text("mx.example.com\n")
    (folder / "mnt" / "var").mkdir()
    (folder / "mnt" / "indimail").rename(folder / "mnt" / "var" / "indimail")
    with contextlib.closing(sqlite3.connect(folder / "old.db")) as db, db:
        for statement in [*tables("sqlite", list(TABLES)), *indimail.rows]:
            db.execute(statement)
    return {
        "/home/vpopmail": vpopmail.home,
        "/var/qmail": vpopmail.qmail,
        "/mnt/old": indimail.folder,
        "mysql://reader:secret@db.example.com/indimail": f"sqlite:///{folder}/old.db",
    }


def placed(text: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        text = text.replace(name, place)
    return text


@pytest.mark.slow
def test_the_commands_of_the_administration_guide_print_what_it_says(instance: Path):
    session = administration()
    places = {"/var/indimail": str(instance), **others(instance.parent)}
    named = {place: name for name, place in places.items()}
    assert len(session) > 25
    bin_directory = os.path.dirname(sys.executable)
    environment = {
        **os.environ,
        "INDIMAIL_ROOT": str(instance),
        "PATH": os.pathsep.join([bin_directory, os.environ.get("PATH", os.defpath)]),
    }
    for command, shown in session:
        ran = subprocess.run(
            ["sh", "-c", placed(command, places)],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, f"{command}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}"
        if not command.startswith("indimail init"):
            said = placed(ran.stdout, named)
            assert re.fullmatch(prints(shown), said), f"{command}: prints\n{said}"


def shell_lines() -> Iterator[tuple[Path, list[str]]]:
    """Every line that a document shows for a shell, without its comment."""
    for document in DOCUMENTS:
        for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", document.read_text()):
            for line in block.splitlines():
                yield document, line.partition("  #")[0].partition(" # ")[0].split()


def is_understood(words: list[str]) -> bool:
    name, *arguments = words
    if name == "make":
        targets = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text())
        return {word for word in arguments if "=" not in word} <= set(targets)
    if name == "indimail":
        name, *arguments = arguments
    if name not in COMMANDS:
        return name in {"git", "useradd", "cp", "systemctl", ".venv/bin/python"}
    parser = Parser()
    import_module(f"indimail.cli.{COMMANDS[name].module}").add_arguments(parser)
    return bool(parser.parse_args(arguments))


def test_commands_that_are_shown_are_understood():
    shown = [(relative(document), words) for document, words in shell_lines() if words]
    assert len(shown) > 20
    assert [line for line in shown if not is_understood(line[1])] == []


# -- the words of trace and log ------------------------------------------------------------------


def test_every_trace_event_is_told_with_its_verdicts():
    told = dict(
        re.findall(
            r"(?m)^\| `([a-z]+)` \| [^|]+ \| ([a-z, ]+) \|$",
            (ROOT / "docs" / "architecture" / "message-path.md").read_text(),
        )
    )
    module = sys.modules[Event.__module__].__doc__ or ""
    documented = dict(re.findall(r"(?m)^\| ([a-z]+) +\| [^|]+ \| ([a-z, ]+?) +\|$", module))
    del documented["event"]  # the head of the table
    assert set(told) == {str(event) for event in Event}
    assert told == documented


class Heard:
    """A sink that keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)

    urgent = add


def log_words() -> dict[str, str]:
    """Return method -> the first words of its line, of every line that the server writes."""
    heard = Heard()
    delivery = maillog.DeliveryLog(heard, "QUEUE", 1)
    smtp = maillog.SmtpLog(heard, 1, "IP")
    tcpserver = maillog.TcpserverLog(heard)
    end = ("", "", 0)
    calls = {
        "new_msg": lambda: delivery.new_msg(1),
        "info_msg": lambda: delivery.info_msg(1, 1, "s", 1, 0),
        "envelope": lambda: delivery.envelope("local", "s", "r", 1, 1, "mode"),
        "starting_delivery": lambda: delivery.starting_delivery(1, "local", "r"),
        "status": lambda: delivery.status((0, 1), (0, 1)),
        "delivery": lambda: delivery.delivery(1, "success", "text"),
        "bounce_msg": lambda: delivery.bounce_msg(1, 2),
        "double_bounce": lambda: delivery.double_bounce_discarded(1),
        "triple_bounce": lambda: delivery.triple_bounce_discarded(1),
        "end_msg": lambda: delivery.end_msg(1),
        "alert": lambda: delivery.alert("text"),
        "warn": lambda: delivery.warn("text"),
        "info": lambda: delivery.info("text"),
        "accepted": lambda: smtp.accepted("h", "s", "r", "a", 1, "t"),
        "relay_refusal": lambda: smtp.relay_refusal("s", "r"),
        "bad_recipient": lambda: smtp.bad_recipient("s", "r"),
        "ok": lambda: tcpserver.judged("ok", 1, end, end, "", 1),
        "deny": lambda: tcpserver.judged("deny", 1, end, end, "", 1),
        "ended": lambda: tcpserver.ended(1, 0),
        "no_slot": lambda: tcpserver.no_slot("ip", 1, "text"),
    }
    words = {}
    for name, call in calls.items():
        call()
        line = heard.lines[-1].removeprefix("qmail-smtpd: pid 1 from IP ").strip()
        found = re.match(r"(?:tcpserver: )?[A-Za-z]+(?: [A-Za-z]+)?:?", line)
        assert found is not None, line
        words[name] = found[0]
    return words


def test_every_log_word_is_told():
    table = OPERATING.read_text().partition("## Logs")[2].partition("\n## ")[0]
    assert {name: word for name, word in log_words().items() if word not in table} == {}


# -- compatibility -------------------------------------------------------------------------------

Row = tuple[str, str, str, str]  # section, name, state, detail


def compatibility() -> list[Row]:
    found: list[Row] = []
    for line in COMPATIBILITY.read_text().splitlines():
        cells = [
            cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("| "))
        ]
        if len(cells) == 4 and cells[0] not in ("Section", "---"):
            found.append((cells[0], cells[1], cells[2], cells[3]))
    return found


def test_every_row_of_the_specification_is_in_the_table_once():
    listed = [
        tuple(line.split("\t"))
        for line in ROWS.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    written = [(section, name) for section, name, _, _ in compatibility()]
    assert len(listed) > 600
    assert sorted(written) == sorted(listed)


def test_every_row_that_works_names_its_test():
    missing = []
    for section, name, state, detail in compatibility():
        if state != "does":
            continue
        found = re.match(r"`(tests/[\w./-]+)(?:::(\w+))?`", detail)
        path = ROOT / found[1] if found else ROOT / "nowhere"
        is_there = path.is_file() and path.stat().st_size > 0
        if is_there and path.suffix == ".py":
            function = found[2] if found else None
            is_there = function is not None and f"def {function}(" in path.read_text()
        if not is_there:
            missing.append(f"{section} {name}: {detail}")
    assert missing == []


def test_tests_that_other_rows_name_are_there_too():
    text = COMPATIBILITY.read_text()
    named = re.findall(r"(tests/[\w/-]+\.(?:py|txt))(?:::(\w+))?", text)
    assert [path for path, _ in named if not (ROOT / path).is_file()] == []
    missing = [
        f"{path}::{function}"
        for path, function in named
        if function and f"def {function}(" not in (ROOT / path).read_text()
    ]
    assert missing == []


def features() -> set[str]:
    part = COMPATIBILITY.read_text().partition("## What is waited for")[2].partition("\n## ")[0]
    return {line[2:].split(":")[0] for line in part.splitlines() if line.startswith("- ")}


def test_every_row_that_waits_says_for_what():
    known = features()
    assert {
        f"{section} {name}: {detail}"
        for section, name, state, detail in compatibility()
        if state == "not yet" and detail.split("; ")[0] not in known
    } == set()


def test_every_row_has_a_state_and_a_detail():
    states = {"does", "differs", "not yet"}
    assert [row for row in compatibility() if row[2] not in states or not row[3]] == []


def test_each_feature_is_one_that_a_row_or_a_setting_waits_for():
    by_rows = {row[3].split("; ")[0] for row in compatibility() if row[2] == "not yet"}
    assert {setting.waits_for for setting in SETTINGS if setting.waits_for} | by_rows == features()


# -- decisions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")), ids=relative)
def test_a_decision_has_its_four_parts_and_stands_in_the_list(page: Path):
    heads = re.findall(r"(?m)^## (.+)$", page.read_text())
    assert heads == ["Context", "Decision", "What we give up", "How we would notice"]
    assert page.name in (page.parent / "README.md").read_text()


if __name__ == "__main__":
    OPERATING.write_text(with_settings(OPERATING.read_text()))
