"""`indimail completion`: what a real bash completes, and for whom."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal
from indimail.cli.completion import SHELLS, parser_of
from indimail.cli.main import Parser
from indimail.manage.change import FAIL_AFTER

BIN = os.path.dirname(sys.executable)
HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"
# What bash does at a Tab: the function gets the line, and leaves COMPREPLY.
TABS = r"""
source <(indimail completion bash)
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMPREPLY=()
    "$(complete -p "${COMP_LINE%% *}" | sed 's/.* -F \([^ ]*\) .*/\1/')" "${COMP_LINE%% *}"
    printf '%s|' "${COMPREPLY[@]}"
    echo
done
"""


class Bash:
    """A bash with our completions; an answer is what a line could go on with."""

    def __init__(self, root: str) -> None:
        self.root = root

    def __call__(self, *lines: str, user: int | None = None) -> list[list[str]]:
        environment = {"PATH": f"{BIN}:/usr/bin:/bin", "INDIMAIL_ROOT": self.root, "HOME": "/"}
        ran = subprocess.run(
            ["bash", "--norc", "-c", TABS], input="".join(f"{line}\n" for line in lines),
            env=environment, capture_output=True, text=True, check=True, timeout=60, user=user,
        )  # fmt: skip
        assert ran.stderr == ""
        return [line.rstrip("|").split("|") for line in ran.stdout.splitlines()]


@pytest.fixture
def bash(terminal: Terminal) -> Bash:
    for domain in ("example.com", "example.org"):
        assert terminal("vadddomain", "-e", domain, HASH).code == 0
    for name in ("alice", "al%ice", 'a"b'):
        assert terminal("vadduser", "-e", f"{name}@example.com", HASH).code == 0
    return Bash(terminal.root)


@pytest.mark.slow
def test_bash_completes_commands_options_and_names(bash: Bash) -> None:
    expected = {
        "indimail dom": ["domain "],
        "indimail domain ": ["add", "del", "list", "show", "set", "rename"],
        "indimail domain show ": ["example.com", "example.org"],
        "indimail domain show example.o": ["example.org "],
        "indimail domain rename example.o": ["example.org "],
        "indimail user show alic": ["alice@example.com "],
        "indimail user show alice@ex": ["example.com "],  # @ breaks words in bash
        "indimail user rename alic": ["alice@example.com "],
        "indimail user set --qu": ["--quota "],
        "indimail user set --flag no-po": ["no-pop "],
        "indimail user list --domain example.c": ["example.com "],
        "indimail user add --quota ": [""],
        "indimail user show '" + 'a"': ['a"b@example.com'],  # bash closes the quote
        'indimail user show a\\"': ['a\\"b@example.com '],
        "indimail alias list --to alice": ["alice@example.com "],
        "indimail completion f": ["fish "],
        "vuserinfo alice": ["alice@example.com "],
        "vdeldomain example.o": ["example.org "],
        "vdeluser --dr": ["--dry-run "],
        f"vdominfo --root {bash.root}x ": [""],
    }
    found = dict(zip(expected, bash(*expected), strict=True))
    assert found == expected


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_who_may_not_read_the_instance_gets_no_names_and_no_errors(bash: Bash) -> None:
    lines = ("indimail user show a", "indimail domain show e", "indimail domain sh")
    assert bash(*lines, user=65_534) == [[""], [""], ["show "]]


@pytest.mark.slow
def test_a_tab_completes_no_change_that_was_interrupted(bash: Bash) -> None:
    environment = {**os.environ, FAIL_AFTER: "1", "INDIMAIL_ROOT": bash.root}
    killed = subprocess.run(
        [f"{BIN}/vdeluser", "alice@example.com"], env=environment, capture_output=True, check=False
    )
    assert killed.returncode == -9
    assert bash("indimail user show alic") == [["alice@example.com "]]
    assert Path(bash.root, "db", "change.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_that_it_understands(shell: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [f"{BIN}/indimail", "completion", shell], capture_output=True, text=True, check=True
    )
    assert "indimail" in ran.stdout
    assert "vadduser" in ran.stdout
    assert "sendmail" not in ran.stdout
    assert "condredirect" not in ran.stdout
    if shutil.which(shell) is not None:
        (tmp_path / "script").write_text(ran.stdout)
        subprocess.run([shell, "-n", f"{tmp_path}/script"], check=True)


def test_a_line_loads_its_own_command_alone() -> None:
    parser = parser_of("", "indimail user show al", Parser)
    (commands,) = (action for action in parser._actions if action.choices)
    assert commands.choices is not None
    loaded = [name for name, inner in dict(commands.choices).items() if len(inner._actions) > 1]
    assert loaded == ["user"]
