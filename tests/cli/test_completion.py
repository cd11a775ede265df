"""`indimail completion`: what a real bash, zsh and fish complete, and for whom."""

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal
from indimail.cli.completion import SHELLS, parser_of
from indimail.cli.main import Parser
from indimail.manage.change import FAIL_AFTER
from support import needs

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


def environment(root: str) -> dict[str, str]:
    return {"PATH": f"{BIN}:/usr/bin:/bin", "INDIMAIL_ROOT": root, "HOME": "/"}


def script_of(shell: str) -> str:
    command = [f"{BIN}/indimail", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Bash:
    """A bash with our completions; an answer is what a line could go on with."""

    def __init__(self, root: str) -> None:
        self.root = root

    def __call__(self, *lines: str, user: int | None = None) -> list[list[str]]:
        ran = subprocess.run(
            ["bash", "--norc", "-c", TABS], input="".join(f"{line}\n" for line in lines),
            env=environment(self.root), capture_output=True, text=True, check=True, timeout=60, user=user,
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


# A line, and what it goes on with in fish.
LINES = {
    "indimail dom": ["domain"],
    "indimail domain ": ["add", "del", "list", "rename", "set", "show"],
    "indimail domain show example.o": ["example.org"],
    "indimail user show alic": ["alice@example.com"],
    "indimail user set --qu": ["--quota"],
    "vuserinfo al": ["al%ice@example.com", "alice@example.com"],
    "vdeluser --dr": ["--dry-run"],
}


@pytest.mark.slow
def test_fish_completes_from_the_file_that_it_reads_at_its_start(
    bash: Bash, tmp_path: Path
) -> None:
    place = tmp_path / "fish" / "conf.d" / "indimail.fish"
    place.parent.mkdir(parents=True)
    place.write_text(script_of("fish"))
    for line, expected in LINES.items():
        ran = subprocess.run(
            [needs("fish"), "-c", f"complete -C {shlex.quote(line)}"], timeout=60,
            env={**environment(bash.root), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        # Behind a tab is what the help says.
        assert [each.partition("\t")[0] for each in ran.stdout.splitlines()] == expected, line


@pytest.mark.slow
def test_zsh_completes_with_the_function_that_it_finds(bash: Bash, tmp_path: Path) -> None:
    """It completes at a terminal alone: Tab completes, ^X tells the line and empties it."""
    (tmp_path / "_indimail").write_text(script_of("zsh"))
    zsh, variables = needs("zsh"), {**environment(bash.root), "HOME": str(tmp_path), "TERM": "dumb"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(zsh, [zsh, "-f", "-i"], variables)
    try:
        os.write(terminal, ZSH.format(place=tmp_path).encode())
        for line, expected in LINES.items():
            if len(expected) == 1:
                command = line.rpartition(" ")[0]
                os.write(terminal, f"{line}\t\x18".encode())
                assert between(terminal, "\x1e") == f"{command} {expected[0]} "
    finally:
        os.write(terminal, b"exit\n")
        os.close(terminal)
        os.waitpid(pid, 0)


ZSH = r"""fpath=({place} $fpath)
autoload -U compinit; compinit -u -D
told() {{ print -rn -- $'\x1e'"$BUFFER"$'\x1e'; BUFFER= }}
zle -N told; bindkey '^X' told; bindkey '^I' complete-word
"""


def between(terminal: int, mark: str) -> str:
    """Return what is shown between the next two marks."""
    shown = ""
    while shown.count(mark) < 2:
        shown += os.read(terminal, 4096).decode()
    return shown.split(mark)[1]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_who_may_not_read_the_instance_gets_no_names_and_no_errors(bash: Bash) -> None:
    lines = ("indimail user show a", "indimail domain show e", "indimail domain sh")
    assert bash(*lines, user=65_534) == [[""], [""], ["show "]]


@pytest.mark.slow
def test_a_tab_completes_no_change_that_was_interrupted(bash: Bash) -> None:
    variables = {**os.environ, FAIL_AFTER: "1", "INDIMAIL_ROOT": bash.root}
    killed = subprocess.run(
        [f"{BIN}/vdeluser", "alice@example.com"], env=variables, capture_output=True, check=False
    )
    assert killed.returncode == -9
    assert bash("indimail user show alic") == [["alice@example.com "]]
    assert Path(bash.root, "db", "change.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_for_administrators_commands(shell: str) -> None:
    script = script_of(shell)
    assert "indimail" in script
    assert "vadduser" in script
    assert "sendmail" not in script
    assert "condredirect" not in script


def test_a_line_loads_its_own_command_alone() -> None:
    parser = parser_of("", "indimail user show al", Parser)
    (commands,) = (action for action in parser._actions if action.choices)
    assert commands.choices is not None
    loaded = [name for name, inner in dict(commands.choices).items() if len(inner._actions) > 1]
    assert loaded == ["user"]
