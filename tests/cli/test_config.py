import json
import subprocess
import sys

import pytest

from indimail.app.settings import SETTINGS
from indimail.cli import main as cli


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("INDIMAIL_ROOT", str(tmp_path))
    for name in ("DATABYTES", "RELAYCLIENT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("mx.example.com\n")
    (tmp_path / "control" / "rcpthosts").write_text("example.com\n")
    return tmp_path


def test_config_tells_value_default_source_and_meaning(root, capsys):
    (root / "control" / "databytes").write_text("# ten\n10\n")
    assert cli.main(["config", "databytes", "HIDE_HOST"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "databytes  10 octets  (control/databytes:2)",
        "           default 0; largest message; 0 = no limit",
        "HIDE_HOST  not set  (default)",
        "           default not set; names and addresses are left out of the Received line",
    ]


def test_config_lists_every_setting_also_as_json(root, capsys):
    (root / "indimail.toml").write_text("[listener.submission.variables]\nDATABYTES = 7\n")
    (root / "control" / "batvkey").write_text("secret\n")
    assert cli.main(["config", "--json", "--listener", "submission"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == [setting.name for setting in SETTINGS]
    assert rows["databytes"]["source"] == "indimail.toml [listener.submission.variables]"
    assert rows["databytes"]["value"] == "7"
    assert rows["nodnscheck"]["status"] == "not yet: DNS checks"
    assert rows["batvkey"]["value"] == "***"
    assert all(row["meaning"] and row["default"] and row["source"] for row in rows.values())


def test_the_password_of_the_database_is_not_shown(root, capsys):
    (root / "indimail.toml").write_text('[database]\nurl = "mysql://u:geheim@db/indimail"\n')
    assert cli.main(["config"]) == 0
    shown = capsys.readouterr().out
    assert "geheim" not in shown


def test_a_password_of_the_database_is_in_no_mistake(root, capsys):
    for line in (
        'url = "mysql://u:geheim@db"',
        'url = "mysql://u:geheim@db/indimail',
        "url = mysql://u:geheim@db/indimail",
    ):
        (root / "indimail.toml").write_text(f"[database]\n{line}\n")
        assert cli.main(["check-config"]) == 78
        said = capsys.readouterr().err
        assert said.startswith("indimail.toml:2: found ")
        assert "geheim" not in said


def test_config_goes_on_where_something_is_wrong(root, capsys):
    (root / "control" / "databytes").write_text("much\n")
    assert cli.main(["config", "--works"]) == 78
    said = capsys.readouterr()
    assert "HIDE_HOST" in said.out
    assert said.err.startswith("control/databytes:1: found 'much', expected a whole number")


def test_check_config_tells_every_mistake_and_exits_78(root, capsys):
    (root / "control" / "databytes").write_text("much\n")
    (root / "control" / "rcpthosts").write_text("# ours\na b\n")
    assert cli.main(["check-config"]) == 78
    assert capsys.readouterr().err.splitlines() == [
        "control/databytes:1: found 'much',"
        " expected a whole number from 0 to 9007199254740992 (octets)",
        "control/rcpthosts:2: found 'a b', expected a domain, or .domain for its sub-domains",
    ]


def test_check_config_of_a_clean_instance_exits_0(root, capsys):
    assert cli.main(["check-config", "--listen", "smtp=127.0.0.1:0"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "command",
    ["config", "check-config", "serve", "qmail-qread", "qmail-qstat", "qmail-tcpto", "qmail-tcpok"],
)
def test_no_instance_is_told(command, tmp_path, capsys):
    assert cli.main([command, "--root", f"{tmp_path}/no"]) == 66
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith(
        f"{command}: {tmp_path}/no: no instance here; `indimail init` makes one\n"
    )


def test_check_config_loads_the_certificate(root, capsys):
    (root / "certs").mkdir()
    (root / "certs" / "servercert.pem").write_text("no certificate\n")
    assert cli.main(["check-config"]) == 78
    assert capsys.readouterr().err.startswith("certs/servercert.pem: found no certificate in it,")


def test_help_imports_nothing_slow():
    program = (
        "import sys; from indimail.cli.main import main\n"
        "try: main(['config', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(set(sys.modules) & {'sqlalchemy', 'apsw', 'uvloop', 'asyncio', 'tomllib',"
        " 'cryptography', 'indimail.app.settings'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
