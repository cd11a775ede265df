"""`indimail explain`: arguments, exit codes, both outputs."""

import argparse
import json
from pathlib import Path

import pytest

from indimail.cli import explain
from indimail.durable.disk import SystemDisk
from indimail.mail.events import Event, Record
from indimail.mail.verdict import Rule
from indimail.trace.write import TraceWriter

ID = 1838568448000000001
OTHER = ID + 1024
T = 1_795_477_000.5
REFUSED = Record(
    ID,
    T,
    Event.RECIPIENT,
    "refuse",
    "not ours",
    Rule("control/rcpthosts", 3),
    "553 5.7.1 sorry",
    {"sender": "bob@example.net", "recipient": "eve@elsewhere.example"},
)
CONNECT = Record(OTHER, T + 60, Event.CONNECT, "accept", "", facts={"ip": "192.0.2.1"})


@pytest.fixture
def root(tmp_path: Path) -> str:
    trace = TraceWriter(f"{tmp_path}/trace", 1, SystemDisk())
    trace.add(REFUSED)
    trace.add(CONNECT)
    trace.flush()
    return str(tmp_path)


def run(root: str, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    explain.add_arguments(parser)
    return explain.run(parser.parse_args([*arguments, "--root", root]))


@pytest.mark.parametrize(
    "words",
    [
        ["1838568448000000001"],
        ["[id", "1838568448000000001]"],
        ["553 5.7.1 sorry, that domain isn't allowed #5.7.1 [id 1838568448000000001]"],
        ["250", "2.0.0", "ok", "1795477000", "qp", "1838568448000000001"],
        ["--to", "<eve@elsewhere.example>"],
        ["--from", "Bob@Example.NET"],
        ["--until", "2026-11-23T23:37"],
        ["--since", "2026-11-23T23:36:00+00:00", "--until", "2026-11-24T00:37+01:00"],
    ],
    ids=" ".join,
)
def test_a_mail_is_found_by_what_people_have(
    root: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, *words) == 0
    assert capsys.readouterr().out == (
        "1838568448000000001  2026-11-23 23:36:40 UTC  from <bob@example.net>  1 refused\n"
        "  23:36:40.500  recipient <eve@elsewhere.example> refused: not ours\n"
        "                rule control/rcpthosts:3\n"
        "                reply 553 5.7.1 sorry\n"
    )


def test_json_is_a_list_of_records_with_all_keys(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "--since", "2026-01-01", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "id": str(OTHER),
            "time": T + 60,
            "event": "connect",
            "verdict": "accept",
            "rule": "",
            "file": "",
            "line": None,
            "reply": "",
            "text": "",
            "facts": {"ip": "192.0.2.1"},
        },
        {
            "id": str(ID),
            "time": T,
            "event": "recipient",
            "verdict": "refuse",
            "rule": "control/rcpthosts:3",
            "file": "control/rcpthosts",
            "line": 3,
            "reply": "553 5.7.1 sorry",
            "text": "not ours",
            "facts": {"sender": "bob@example.net", "recipient": "eve@elsewhere.example"},
        },
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["7"], 1, "7: nothing in the trace of ROOT"),
        (["--to", "nobody@example.com"], 1, "nobody@example.com: nothing in the trace of ROOT"),
        (["--since", "0s"], 1, "0s: nothing in the trace of ROOT"),
        ([], 64, "usage: give an ID, or some of --message-id --to --from --since --until"),
        (["7", "--to", "a@b"], 64, "usage: give an ID, or some of"),
        (["seven"], 64, "seven: is not an id"),
        (["--since", "yesterday"], 64, "--since: yesterday: expected 90s 30m 1h 2d 1w or a date"),
        (["--since", "1h", "--limit", "-1"], 64, "--limit: -1 is negative"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    root: str,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", lambda: T + 3600)
    assert run(root, *arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("indimail explain: " + message.replace("ROOT", root))
    assert err.count("\n") == 1


def test_an_age_counts_from_now(
    root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.time", lambda: T + 3600)
    assert run(root, "--since", "59.5m") == 0
    assert capsys.readouterr().out.startswith(str(OTHER))
    assert run(root, "--since", "1h", "--until", "3590s") == 0
    assert capsys.readouterr().out.startswith(str(ID))


def test_the_limit_says_that_there_is_more(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "--since", "2026-01-01", "--limit", "1") == 0
    out, err = capsys.readouterr()
    assert out.startswith(str(OTHER))
    assert err == "indimail explain: the newest 1; more with --limit\n"
    assert run(root, "--since", "2026-01-01", "--limit", "2") == 0
    assert capsys.readouterr().err == ""


def test_the_root_is_the_environments_where_none_is_given(
    root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INDIMAIL_ROOT", root)
    parser = argparse.ArgumentParser()
    explain.add_arguments(parser)
    assert explain.run(parser.parse_args([str(ID)])) == 0
    assert str(ID) in capsys.readouterr().out


def test_colours_only_on_a_terminal(
    root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(root, str(ID)) == 0
    assert "\x1b[31m  23:36:40.500  recipient" in capsys.readouterr().out


def test_a_queue_that_cannot_be_read_leaves_the_trace_to_tell(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken_queue(root)
    assert run(root, str(ID)) == 0
    told = capsys.readouterr()
    assert "recipient <eve@elsewhere.example> refused" in told.out
    assert told.err.startswith("indimail explain: without the queues: queue1: queue database: ")
    assert run(root, "9" * 16) == 1


def broken_queue(root: str) -> None:
    place = Path(root, "queue", "queue1")
    place.mkdir(parents=True)
    (place / "queue.db").write_bytes(b"no database" * 1000)
