"""`indimail relaycheck`: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal


@pytest.fixture
def terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    for name, text in {"me": "mx.example.com", "rcpthosts": "example.com"}.items():
        write(tmp_path, f"control/{name}", f"{text}\n")
    return Terminal(str(tmp_path), capsys, monkeypatch)


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)


def test_a_closed_relay_is_said_to_be_closed(terminal: Terminal) -> None:
    ran = terminal("relaycheck")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "closed: no client without a permission can send from outside to outside\n"
    assert json.loads(terminal("relaycheck", "--json").out) == {"grade": "closed", "findings": []}


def test_what_opens_it_is_named_with_a_witness_and_how_to_mean_it(
    terminal: Terminal, tmp_path: Path
) -> None:
    write(tmp_path, "control/relaydomains", "heaven.af.mil:\n.com:\n")
    ran = terminal("relaycheck")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "open       control/relaydomains:2  .com:",
        "           lets everybody whose name ends in .com relay",
        "           3.255.255.255 (relaycheck.com)"
        " from <anybody@sender.invalid> to <anybody@recipient.invalid>",
        "           to mean it: accept_open = ['control/relaydomains .com:'] in [relay] of indimail.toml",
    ]
    write(tmp_path, "indimail.toml", "[relay]\naccept_open = ['control/relaydomains .com:']\n")
    ran = terminal("relaycheck")
    assert ran.code == 0
    assert ran.out.startswith("accepted   control/relaydomains:2  .com:\n")


def test_what_anybody_can_claim_has_an_exit_code_of_its_own(
    terminal: Terminal, tmp_path: Path
) -> None:
    write(tmp_path, "control/relaymailfrom", "@domain2.com\n")
    ran = terminal("relaycheck", "--json")
    assert ran.code == 3
    told = json.loads(ran.out)
    assert told["grade"] == "claimable"
    assert told["findings"][0]["sender"] == "anybody@domain2.com"
    assert told["findings"][0]["line"] == "control/relaymailfrom @domain2.com"


def test_a_table_of_addresses_alone_is_a_claim_by_its_variable(
    terminal: Terminal, tmp_path: Path
) -> None:
    write(tmp_path, "indimail.toml", '[variables]\nCHECKRELAY = "ip"\n')
    ran = terminal("relaycheck")
    assert ran.code == 3
    assert ran.out.startswith("claimable  indimail.toml:2  CHECKRELAY\n")


def test_what_is_wide_is_told_and_closed_all_the_same(terminal: Terminal, tmp_path: Path) -> None:
    write(tmp_path, "tcp/tcp.smtp", '10.:allow,RELAYCLIENT=""\n')
    ran = terminal("relaycheck")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == 'wide       tcp/tcp.smtp:1  10.:allow,RELAYCLIENT=""'
    assert ran.out.splitlines()[-1].startswith("closed: ")


def test_a_configuration_with_mistakes_proves_nothing(terminal: Terminal, tmp_path: Path) -> None:
    write(tmp_path, "control/relayclients", "x:\n")
    ran = terminal("relaycheck")
    assert (ran.code, ran.out) == (78, "")
    assert ran.err.startswith("control/relayclients:1: found 'x', expected an address")
