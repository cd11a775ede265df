"""qmail-qread and qmail-qstat, beside an owner that has the databases open, and without one."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from indimail.cli import qmail_qread, qmail_qstat, sendmail
from indimail.cli.main import Parser
from indimail.mail.channel import Channel
from indimail.mail.events import Event
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Delivered, Failed
from indimail.mail.verdict import Rule
from indimail.manage.outcomes import Queues
from indimail.queue.port import Accepted, Finished, Postponed, QueuedMessage, QueuedRecipient
from indimail.queue.sqlite import SqliteQueue, database_of

BORN = 1_795_477_000.0
ONE, TWO, THREE = QueueId(1024), QueueId(2048), QueueId(3072)
LOCAL = QueuedRecipient(0, "al@example.com", Channel.LOCAL, "example.com-al@example.com", "r:1")
REMOTE = QueuedRecipient(1, "bob@x y.net", Channel.REMOTE, "x y.net")
LIST = """\
23 Nov 2026 23:36:40 GMT  queue1/#1024  612  <e__e@example.net>\x20
  done\tlocal\texample.com-al@example.com
\tremote\tbob@x_y.net
23 Nov 2026 23:36:40 GMT  queue10/#2048  5  <>\x20
\tlocal\texample.com-al@example.com
"""
TOTALS = """\
Messages in local  queue: 1
Messages in remote queue: 1
Messages in bounce queue: 0
Messages in todo   queue: 0
"""


@pytest.fixture(params=["running", "stopped"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    first, tenth = (_queue(tmp_path / "queue" / name) for name in ("queue1", "queue10"))
    (tmp_path / "queue" / "spool").mkdir()
    body = b"x"
    first.apply([
        Accepted(QueuedMessage(ONE, BORN, "eée@example.net", 612, body), (LOCAL, REMOTE)),
        Finished(ONE, 0, Delivered("did 0+0+1", Rule("d", 1)), BORN + 1),
        Postponed(ONE, 1, BORN + 400, "no route", "m:2"),
    ])  # fmt: skip
    tenth.apply([
        Accepted(QueuedMessage(TWO, BORN, "", 5, body), (LOCAL,)),
        Accepted(QueuedMessage(THREE, BORN, "", 5, body), (LOCAL,)),
        Finished(THREE, 0, Failed("no such user"), BORN + 2),
    ])  # fmt: skip
    if request.param == "stopped":
        first.close()
        tenth.close()
    yield tmp_path
    if request.param == "running":
        first.close()
        tenth.close()


def _queue(folder: Path) -> SqliteQueue:
    folder.mkdir(parents=True)
    return SqliteQueue.open(database_of(str(folder)))


Run = Callable[..., str]


@pytest.fixture
def run(root: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(name: str, *arguments: str) -> str:
        module = {"qread": qmail_qread, "qstat": qmail_qstat}[name]
        parser = Parser(name)
        module.add_arguments(parser)
        assert module.run(parser.parse_args(["--root", str(root), *arguments])) == 0
        return capsys.readouterr().out

    return command


def test_the_list_has_the_form_that_tools_read(run: Run) -> None:
    assert run("qread") == LIST


@pytest.mark.parametrize(
    ("arguments", "ids", "lines"),
    [
        (("-a",), {1024, 2048}, 3),
        (("-l",), {1024, 2048}, 2),
        (("-r",), {1024}, 1),
        (("-l", "-r"), {1024, 2048}, 3),
        (("-t",), set(), 0),
    ],
)
def test_channels_are_chosen(
    run: Run, arguments: tuple[str, ...], ids: set[int], lines: int
) -> None:
    found = run("qread", *arguments).splitlines()
    assert {int(line.split("#")[1].split()[0]) for line in found if "#" in line} == ids
    assert sum("\t" in line for line in found) == lines


def test_totals_follow_the_list_or_stand_alone(run: Run) -> None:
    assert run("qread", "-c") == run("qread") + TOTALS
    assert run("qread", "-s") == run("qread", "-s", "-c") == TOTALS


def test_json_tells_all_of_a_row(run: Run) -> None:
    first, second = json.loads(run("qread", "--json"))
    assert (first["id"], first["queue"], first["size"], first["time"]) == (
        "1024",
        "queue1",
        612,
        BORN,
    )
    assert first["recipients"][0]["state"] == "delivered"
    assert first["recipients"][1] == {
        "address": "bob@x y.net", "channel": "remote", "target": "x y.net", "state": "waiting",
        "attempts": 1, "next_try": BORN + 400, "text": "no route", "rule": "m:2",
    }  # fmt: skip
    assert second["sender"] == ""


def test_qstat_counts_messages_that_wait(run: Run) -> None:
    assert run("qstat") == ("messages in queue: 2\nmessages in queue but not yet preprocessed: 0\n")
    assert json.loads(run("qstat", "--json")) == {
        "messages": 2, "unprocessed": 0,
        "queues": {"queue1": {"messages": 1, "local": 0, "remote": 1},
                   "queue10": {"messages": 1, "local": 1, "remote": 0}},
    }  # fmt: skip


def test_sendmail_bp_is_the_list(root: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("sendmail")
    sendmail.add_arguments(parser)
    assert sendmail.run(parser.parse_args(["-bp", "--root", str(root)])) == 0
    assert capsys.readouterr().out == run("qread")


def test_an_instance_without_queues_has_no_mail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Parser("qstat")
    qmail_qstat.add_arguments(parser)
    assert qmail_qstat.run(parser.parse_args(["--root", str(tmp_path)])) == 0
    assert capsys.readouterr().out.startswith("messages in queue: 0\n")


@pytest.mark.parametrize("command", [qmail_qread, qmail_qstat])
def test_a_database_that_is_none_is_told(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "queue" / "queue3").mkdir(parents=True)
    (tmp_path / "queue" / "queue3" / "queue.db").write_bytes(b"no database" * 1000)
    parser = Parser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(["--root", str(tmp_path)])) == os.EX_IOERR
    assert ": queue3: queue database: " in capsys.readouterr().err


def test_the_rows_stand_for_records_that_the_trace_may_not_have(root: Path) -> None:
    queues = Queues.open(str(root / "queue"))
    records = queues.records_of(ONE)
    assert [(r.event, r.verdict, r.text, str(r.rule)) for r in records] == [
        (Event.MESSAGE, "accept", "queued in queue1", ""),
        (Event.ROUTE, "local", "local: example.com-al@example.com", "r:1"),
        (Event.OUTCOME, "delivered", "did 0+0+1", "d:1"),
        (Event.ROUTE, "remote", "remote: waits in the queue for x y.net", ""),
        (Event.DELIVERY, "deferred", "no route", "m:2"),
    ]
    assert [r.time for r in records] == [BORN, BORN, BORN + 1, BORN, BORN]
    assert records[4].facts["next_try"] == BORN + 400
    assert [r.verdict for r in queues.records_of(THREE)] == ["accept", "local", "failed"]
    assert queues.records_of(4096) == queues.records_of(-1) == queues.records_of(1 << 63) == []
    queues.close()
