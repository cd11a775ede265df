import argparse
import shlex
import subprocess
import sys
from importlib import import_module

import pytest

from indimail.cli import main as cli

WITHOUT_INSTANCE = {
    "bouncesaying", "condtomaildir", "except", "ifaddr", "iftocc", "iftoccfrom", "maildirdeliver",
    "preline", "completion", "tcprulescheck", "tcprules",
}  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        ([], 64, "usage: indimail COMMAND"),
        (["foo"], 64, "indimail: no command 'foo'; see indimail --help"),
        (["--nonsense"], 64, "indimail: unrecognized arguments: --nonsense"),
        (["config", "--nonsense"], 64, "indimail config: unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_use_exits_64_and_says_why_on_stderr(argv, code, text, capsys):
    try:
        found = cli.main(argv)
    except SystemExit as end:
        found = end.code
    said = capsys.readouterr()
    assert (found, said.out) == (code, "")
    assert text in said.err


@pytest.mark.parametrize(("argv", "text"), [
    (["vpasswd", "alice@example.com", "-Xhunter2"], "unrecognized arguments: ***"),
    (["vpasswd", "alice@example.com", "my", "hunter2"], "unrecognized arguments: ***"),
    (["vpasswd", "-rhunter2"], "argument -r: invalid int value: ***"),
    (["vpasswd", "--root"], "argument --root: expected one argument"),
])  # fmt: skip
def test_wrong_use_repeats_no_password(argv, text, capsys):
    with pytest.raises(SystemExit):
        cli.main(argv)
    said = capsys.readouterr().err
    assert said.endswith(f"indimail vpasswd: {text}\n")
    assert "hunter2" not in said


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for name, row in cli.COMMANDS.items():
        assert f"  {name} " in shown
        assert row.help in shown


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_its_module_and_takes_root(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert ("--root DIR" in shown) is (name not in WITHOUT_INSTANCE)
    assert f"\nexample: {cli.COMMANDS[name].example}\n" in shown


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_an_example_is_the_command_with_arguments_that_it_takes(name):
    example = cli.COMMANDS[name].example.rpartition("| ")[2].partition(" <")[0]
    words = shlex.split(example.removeprefix("|"))
    words = words[1:] if words[0] == "indimail" else words
    assert words[0] == name
    parser = argparse.ArgumentParser(exit_on_error=False, conflict_handler="resolve")
    import_module(f"indimail.cli.{cli.COMMANDS[name].module}").add_arguments(parser)
    parser.parse_args(words[1:])


@pytest.mark.slow
def test_help_of_every_command_loads_little():
    """What could take it more than a third of a second is modules."""
    for name in cli.COMMANDS:
        code = (
            "import sys, atexit; from indimail.cli.main import main;"
            "atexit.register(lambda: print(len(sys.modules), file=sys.stderr));"
            f"main([{name!r}, '--help'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert "usage" in done.stdout
        assert int(done.stderr) < 260, name


def test_scripts_have_an_entry_of_their_name(monkeypatch, capsys):
    assert cli.scripts()["except"] == "indimail.cli.main:except_"
    assert cli.scripts()["qmail-qread"] == "indimail.cli.main:qmail_qread"
    assert set(cli.scripts()) == {"indimail"} | {n for n, r in cli.COMMANDS.items() if r.is_script}
    for entry in cli.scripts().values():
        assert callable(getattr(cli, entry.partition(":")[2]))
    with pytest.raises(AttributeError):
        _ = cli.check_config
    monkeypatch.setattr("sys.argv", ["/usr/bin/vuserinfo", "--nonsense"])
    with pytest.raises(SystemExit):
        cli.vuserinfo()
    assert "vuserinfo" in capsys.readouterr().err
