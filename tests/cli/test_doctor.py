"""indimail doctor: texts, exit codes, JSON, and that --fix mends what it says."""

import json
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal
from databases import database
from indimail.accounts.sql import SqlAccounts
from indimail.cli.progress import Progress

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`


@pytest.fixture
def domain(terminal: Terminal) -> Terminal:
    assert terminal("vadddomain", "example.com", "secret", "-h", "MD5").code == 0
    assert terminal("vadduser", "-q", "5M", "alice@example.com", "secret", "-h", "MD5").code == 0
    return terminal


def test_a_healthy_instance(domain: Terminal) -> None:
    assert domain("doctor") == (ran := domain("doctor"))
    assert (ran.code, ran.out, ran.err) == (0, "nothing found\n", "")
    told = json.loads(domain("doctor", "--json").out)
    assert told == {"findings": [], "mended": [], "not_mended": [], "not_looked_at": []}


def test_what_is_wrong_is_told_and_mended(domain: Terminal) -> None:
    root = Path(domain.root)
    (root / "db").chmod(0o755)
    (root / "users" / "cdb").unlink()
    maildir = root / "mail/A2E/example.com/alice/Maildir"
    (maildir / "cur").rmdir()
    (root / "control" / "locals").write_text("two words\n")
    found = [
        "control/locals:1: found 'two words', expected a domain",
        "db: found mode 0755, expected 0700 (--fix mends it)",
        "users/cdb: found no file, expected what is made of assign (--fix mends it)",
        "control/rcpthosts:1: found mx.example.org, which is neither, expected a virtual or local "
        "domain, or a line of control/smtproutes",
        "mail/A2E/example.com/alice/Maildir: found no cur, expected cur, new and tmp "
        "(--fix mends it)",
        "5 findings, 3 of them to be mended by --fix",
    ]
    ran = domain("doctor")
    assert (ran.code, ran.out.splitlines()) == (1, found)

    writes = [
        f"mode {root}/db: 0700",
        f"file {root}/users/cdb: compile",
        f"directory {root}/mail/A2E/example.com/alice/Maildir: make",
    ]
    ran = domain("doctor", "--fix", "--dry-run")
    assert (ran.code, ran.out.splitlines()[-3:]) == (1, writes)
    assert stat.S_IMODE((root / "db").stat().st_mode) == 0o755

    ran = domain("doctor", "--fix")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        *(f"mended: {write}" for write in writes),
        found[0],
        found[3],
        "2 findings, 0 of them to be mended by --fix",
    ]
    (root / "control" / "locals").write_text("mx.example.org\n")
    assert domain("doctor", "--fix").out == "nothing left\n"
    assert (maildir / "cur").is_dir()


def test_json_tells_the_parts_of_a_finding(domain: Terminal) -> None:
    (Path(domain.root) / "db").chmod(0o755)
    told = json.loads(domain("doctor", "--json").out)
    assert told["findings"] == [
        {
            "code": "mode",
            "subject": "db",
            "found": "mode 0755",
            "expected": "0700",
            "mends": [f"mode {domain.root}/db: 0700"],
            "needs_root": False,
        }
    ]
    told = json.loads(domain("doctor", "--fix", "--json").out)
    assert (told["findings"], told["mended"]) == ([], [f"mode {domain.root}/db: 0700"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_back_what_is_anothers(domain: Terminal) -> None:
    path, owner = Path(domain.root, "db", "indimail.db"), os.stat(domain.root)
    os.chown(path, 0, 0)
    ran = domain("doctor", "--fix")
    assert (ran.code, ran.err) == (0, "")
    assert f"mended: owner {path}: {owner.st_uid}:{owner.st_gid}\n" in ran.out
    assert path.stat().st_uid == owner.st_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_no_link_leads_root_out_of_the_instance(domain: Terminal, folder: str) -> None:
    """The service account may put links where root is to work."""
    root, treasure = Path(domain.root), Path(folder, "treasure")
    treasure.mkdir()
    (treasure / "file").write_text("root's\n")
    second = root / "control" / "second"
    os.link(treasure / "file", second)
    os.chown(second, 4321, 4321)
    (root / "log").rmdir()
    (root / "log").symlink_to(treasure)
    ran = domain("doctor", "--fix")
    assert ran.code == 1
    assert f"not mended: {second}: neither a directory nor a file with one name\n" in ran.out
    assert f"not mended: {root}/log: neither a directory nor a file with one name\n" in ran.out
    assert (treasure.stat().st_uid, second.stat().st_uid) == (0, 4321)


def test_an_interrupted_change_is_told_and_completed(domain: Terminal) -> None:
    journal, owner = Path(domain.root, "db", "change.json"), os.stat(domain.root)
    path = f"{domain.root}/control/chkrcptdomains"
    line = {"write": "AddLine", "path": path, "line": "example.com"}
    journal.write_text(json.dumps({"title": "vadddomain example.com", "writes": [line]}))
    os.chown(journal, owner.st_uid, owner.st_gid)
    journal.chmod(0o600)
    ran = domain("doctor")
    assert ran.code == 1
    assert "db/change.json: found a change: vadddomain example.com" in ran.out
    assert journal.exists()
    ran = domain("doctor", "--fix")
    assert (ran.code, ran.out) == (
        0,
        "mended: completed what was interrupted: vadddomain example.com\nnothing left\n",
    )
    assert Path(path).read_text() == "example.com\n"


def test_a_database_that_is_down_is_a_finding(domain: Terminal) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"mysql://indimail:secret@127.0.0.1:{closed.getsockname()[1]}/indimail"
        toml = Path(domain.root, "indimail.toml")
        toml.write_text(f'[database]\nurl = "{url}"\n')
        ran = domain("doctor")
    assert ran.code == 1
    assert "the user database: found mysql://indimail:***@127.0.0.1" in ran.out
    assert "not looked at: homes\n" in ran.out
    assert "secret" not in ran.out + ran.err


def test_a_database_file_that_is_gone_is_a_finding_and_stays_gone(domain: Terminal) -> None:
    path = Path(domain.root, "db", "indimail.db")
    path.unlink()
    ran = domain("doctor")
    assert (ran.code, "no such file, expected an answer\n" in ran.out) == (1, True)
    assert not path.exists()


def test_a_database_file_that_is_broken_is_a_finding(domain: Terminal) -> None:
    path = Path(domain.root, "db", "indimail.db")
    octets = bytearray(path.read_bytes())
    octets[4096:8192] = b"\xff" * 4096
    path.write_bytes(octets)
    ran = domain("doctor")
    assert ran.code == 1
    assert "the user database: found " in ran.out


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_schema_that_is_not_this_programs_is_told_and_left(domain: Terminal, kind: str) -> None:
    import sqlalchemy

    with database(kind) as url:
        accounts = SqlAccounts(url)
        accounts.make_tables()
        accounts.close()
        from indimail.accounts.engines import normal

        engine = sqlalchemy.create_engine(normal(url))
        Path(domain.root, "indimail.toml").write_text(f'[database]\nurl = "{url}"\n')
        for version, told in (("0999", "or a newer server"), ("0001", "--fix and the next start")):
            with engine.begin() as db:
                db.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
            ran = domain("doctor")
            assert ran.code == 1
            assert f"the user database: found schema version {version}" in ran.out
            assert told in ran.out
            with engine.connect() as db:
                found = db.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
                assert found == version
        engine.dispose()
        assert "schema" not in domain("doctor", "--fix").out


def test_a_broken_toml_file_is_a_finding_and_no_rows_are_judged_by_it(domain: Terminal) -> None:
    Path(domain.root, "indimail.toml").write_text("[database\nurl = 1\n")
    ran = domain("doctor")
    assert ran.code == 1
    assert "indimail.toml:1: found '[database'" in ran.out
    assert "not looked at: homes\n" in ran.out


def test_an_unknown_key_is_a_finding_and_the_rest_is_looked_at(domain: Terminal) -> None:
    Path(domain.root, "indimail.toml").write_text("[process]\nworker = 3\n")
    ran = domain("doctor")
    assert ran.code == 1
    assert "indimail.toml:2: found key 'worker', expected one of" in ran.out
    assert "not looked at" not in ran.out


def test_where_there_is_no_instance(terminal: Terminal, folder: str) -> None:
    terminal.root = f"{folder}/nothing"
    assert terminal("doctor").code == os.EX_NOINPUT


def test_progress_is_shown_on_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("indimail doctor") as progress:
        progress.tell("homes")
    assert capsys.readouterr().err == ""
    with pytest.MonkeyPatch.context() as patch, suppress(KeyError):
        patch.setattr("sys.stderr.isatty", lambda: True)
        with Progress("indimail doctor") as progress:
            progress.tell("homes")
            progress.tell("too soon")
    assert capsys.readouterr().err == "\r\x1b[Kindimail doctor: homes\r\x1b[K"
