"""`tcprulescheck`: the rule that decides about a client (spec/smtp.md 1.3, 1.4)."""

from pathlib import Path

import pytest

from indimail.cli.main import run_command
from indimail.control.cdb import write_cdb
from indimail.durable.disk import SystemDisk
from indimail.mail.line import Line
from indimail.policy.tcprules import compile_rules, parse_tcp_rules

TEXT = """\
# who may
192.0.2.1:deny
192.0.2.:allow,RELAYCLIENT="",DATABYTES="1000",!CHECKRECIPIENT
10.1-3.:allow
=.example.com:allow,SMTPS="1"
bob@198.51.100.7:deny
::1:allow
"""
GIVEN = "set environment variable RELAYCLIENT=\nset environment variable DATABYTES=1000\n"
CASES = [
    (["192.0.2.1"], "rule 192.0.2.1: {file}:2\ndeny connection\n"),
    (["::ffff:192.0.2.1"], "rule 192.0.2.1: {file}:2\ndeny connection\n"),
    (["192.0.2.9"], f"rule 192.0.2.: {{file}}:3\n{GIVEN}"
                    "unset environment variable CHECKRECIPIENT\nallow connection\n"),
    (["10.2.0.1"], "rule 10.1-3.: {file}:4\nallow connection\n"),
    (["203.0.113.1", "", "mx.example.com"],
     "rule =.example.com: {file}:5\nset environment variable SMTPS=1\nallow connection\n"),
    (["198.51.100.7", "bob"], "rule bob@198.51.100.7: {file}:6\ndeny connection\n"),
    (["198.51.100.7"], "default:\nallow connection\n"),
    (["::1"], "rule ::1: {file}:7\nallow connection\n"),
]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("IP", "INFO", "HOST"):
        monkeypatch.delenv(f"TCPREMOTE{name}", raising=False)
    path = tmp_path / "tcp.smtp"
    path.write_text(TEXT)
    compile_into(f"{path}.cdb", TEXT)
    return path


def compile_into(path: str, text: str) -> None:
    lines = [Line("", number, line) for number, line in enumerate(text.splitlines(), 1)]
    rules, _ = parse_tcp_rules([line for line in lines if line.text[:1] not in ("", "#")])
    write_cdb(SystemDisk(), path, compile_rules(rules))


def check(*arguments: str) -> int:
    return run_command("tcprulescheck", arguments, "tcprulescheck")


@pytest.mark.parametrize("suffix", ["", ".cdb"])
@pytest.mark.parametrize(("client", "shown"), CASES, ids=lambda value: str(value)[:30])
def test_a_rule_is_shown_with_what_it_gives(
    file: Path, capsys: pytest.CaptureFixture[str], client: list[str], shown: str, suffix: str
) -> None:
    assert check(f"{file}{suffix}", *client) == 0
    assert capsys.readouterr().out == shown.format(file=file)


def test_the_client_may_be_in_the_environment(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCPREMOTEIP", "198.51.100.7")
    monkeypatch.setenv("TCPREMOTEINFO", "bob")
    assert check(f"{file}.cdb") == 0
    assert capsys.readouterr().out == f"rule bob@198.51.100.7: {file}:6\ndeny connection\n"


def test_a_data_base_that_says_something_else_than_its_text_counts_itself(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its rules are named by their keys; one for everyone has an empty one."""
    compile_into(f"{file}.cdb", '10.1-3.:allow\n:deny,!X,A="b"\n')
    for client, shown in (
        ("10.2.0.1", f"rule 10.2.: {file}.cdb[10.2.]\nallow connection\n"),
        ("192.0.2.1", f"rule : {file}.cdb\nset environment variable A=b\n"
                      "unset environment variable X\ndeny connection\n"),
    ):  # fmt: skip
        assert check(f"{file}.cdb", client) == 0
        assert capsys.readouterr().out == shown


def test_what_cannot_be_read_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("192.0.2.1:permit\n")
    Path(f"{file}.cdb").write_bytes(b"short")
    for arguments, code, said in (
        ([f"{file}"], 100, "expected an address, as argument or in TCPREMOTEIP"),
        ([f"{file}", "::1"], 100, f"{file}:1: found '192.0.2.1:permit', expected address:allow or"),
        ([f"{file}.cdb", "::1"], 111, f"{file}.cdb: found 5 octets, expected a whole constant"),
        ([f"{file}.none", "::1"], 111, f"{file}.none: No such file or directory"),
    ):
        assert check(*arguments) == code
        err = capsys.readouterr().err
        assert err.startswith(f"tcprulescheck: {said}")
