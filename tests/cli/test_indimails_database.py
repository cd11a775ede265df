"""Commands on a database that IndiMail made: what its tables cannot hold is refused before."""

import os

import pytest

from cli.accounts_commands import Terminal
from databases import Database, database
from indimails import INDIMAILS

pytestmark = [pytest.mark.slow, pytest.mark.interop]

FOREIGN = "\u8c37\u6b4c"  # not in latin1


def test_a_change_that_its_tables_cannot_hold_is_refused_and_nothing_is_left(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(f"{folder}/i", capsys, monkeypatch)
    with database("mariadb") as url:
        Database("mariadb", url).ask(*INDIMAILS)
        assert terminal("init", "--me", "mx.example.org", "--database", url).code == 0
        assert terminal("vadddomain", "example.org", "secret").code == 0
        assert terminal("vadduser", "bob@example.org", "secret").code == 0
        for name, arguments, field in (
            ("vadduser", ["-c", FOREIGN, "zoe@example.org", "secret"], "gecos"),
            ("vmoduser", ["-c", FOREIGN, "bob@example.org"], "gecos"),
            ("vmoduser", ["-c", FOREIGN, "bob@example.org", "--dry-run"], "gecos"),
            ("valias", ["-i", f"&{FOREIGN}@example.org", "list@example.org"], "line"),
        ):
            ran = terminal(name, *arguments)
            said = f"{field}: has characters that the database's tables cannot hold\n"
            assert (ran.code, ran.err) == (100, f"{name}: {said}")
            assert not os.path.exists(f"{terminal.root}/db/change.json")
        assert terminal("vuserinfo", "zoe@example.org").code == 1
        assert terminal("vmoduser", "-c", "Caf\u00e9", "bob@example.org").code == 0
        assert "Caf\u00e9" in terminal("vuserinfo", "bob@example.org").out
