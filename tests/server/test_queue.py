"""The queues of a running server: what is kept, where, until when, and who owns it."""

import contextlib
import json
import os
import signal
import sqlite3
import time
from datetime import UTC, datetime

import pytest

from indimail.queue.sqlite import SCHEMA_VERSION
from live import ALICE, BOB, Instance, Server, Talk, queue_id, until

pytestmark = pytest.mark.slow

FAR = "somebody@far.example"


def test_mail_for_elsewhere_waits_while_no_name_server_answers_and_says_so(server: Server) -> None:
    server.instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
    number = server.send(FAR, sender=ALICE)
    listed = until(lambda: _listed(server.instance, number))
    assert "remote" in listed and FAR in listed
    assert "messages in queue: 1\n" in server.instance.run("qmail-qstat").stdout
    story = until(lambda: _told(server.instance, number, "route"))
    assert "route remote, as far.example" in story
    tried = until(lambda: _told(server.instance, number, "delivery"))
    assert "deferred, next try" in tried and "(#4.1.2)" in tried
    (record,) = [r for r in server.instance.explain(number) if r["event"] == "delivery"]
    assert record["rule"].startswith("DNS[MX far.example: 127.0.0.1:1: connection refused")
    assert server.stop() == 0
    assert FAR in _listed(server.instance, number)
    with server.instance.serve():
        assert FAR in _listed(server.instance, number)
    assert FAR in _listed(server.instance, number)


def test_no_id_is_given_that_is_not_above_those_in_the_queue(instance: Instance) -> None:
    """The clock may have been set back since."""
    instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
    with instance.serve(workers=1) as server:
        given = int(server.send(FAR, sender=ALICE))
    future = given + (86_400 * 1_000_000 << 10)
    with contextlib.closing(sqlite3.connect(instance.path("queue/queue1/queue.db"))) as db, db:
        for table in ("message", "recipient"):
            db.execute(f"update {table} set id = ?", (future,))
    with instance.serve(workers=1) as server:
        assert int(server.send()) > future


def test_mail_for_both_is_delivered_here_and_kept_for_there(server: Server) -> None:
    server.instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
    with server.connect() as talk:
        talk.offer(BOB)
        assert talk.say(f"RCPT TO:<{FAR}>").startswith("250 ")
        assert talk.say("DATA").startswith("354 ")
        number = queue_id(talk.say("Subject: both\r\n\r\n."))
    server.instance.ended(number)
    assert len(server.instance.mails("bob")) == 1
    listed = _listed(server.instance, number)
    assert FAR in listed
    done = [line for line in listed.splitlines() if "bob" in line]
    assert not done or "done" in done[0]


def test_a_suffix_of_relayclient_is_appended_to_each_recipient(server: Server) -> None:
    server.instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=".gateway.example"\n')
    number = server.send(FAR, sender=ALICE)
    assert f"{FAR}.gateway.example" in until(lambda: _listed(server.instance, number))


def test_a_delivery_that_is_put_off_says_why_and_when_next(server: Server) -> None:
    server.instance.write("tcp/tcp.smtp", "127.:allow,!CHECKRECIPIENT\n")
    server.instance.write("domains/example.com/.qmail-default", "&two words\n")
    number = server.send()
    delivery = until(lambda: _told(server.instance, number, "delivery"))
    assert "deferred" in delivery and "next try" in delivery
    (record,) = [r for r in server.instance.explain(number) if r["event"] == "delivery"]
    assert (record["file"], record["verdict"]) == (
        "domains/example.com/.qmail-default",
        "deferred",
    )
    assert number in _listed(server.instance, number)
    due = datetime.fromisoformat(delivery.split("next try ")[1][:19]).replace(tzinfo=UTC)
    assert 90 < due.timestamp() - time.time() < 110  # qmail's curve: (0 + 10) squared
    server.says("starting delivery")
    assert "deferral: " in server.output


def test_a_retry_that_is_due_when_the_server_starts_is_made(instance: Instance) -> None:
    right = instance.read("domains/example.com/.qmail-default")
    instance.write("tcp/tcp.smtp", "127.:allow,!CHECKRECIPIENT\n")
    instance.write("domains/example.com/.qmail-default", "&two words\n")
    with instance.serve() as server:
        number = server.send()
        until(lambda: _told(instance, number, "delivery"))
    instance.write("domains/example.com/.qmail-default", right)
    for name in ("queue1", "queue2"):
        with contextlib.closing(sqlite3.connect(instance.path(f"queue/{name}/queue.db"))) as db, db:
            db.execute("update recipient set due = 1000 where due > 1000")
    with instance.serve():
        assert instance.ended(number)[-1]["verdict"] == "delivered"
    assert len(instance.mails("bob")) == 1


def test_mail_after_a_kill_is_told_to_its_end(server: Server) -> None:
    """kill -9 of everything right after the 250: one outcome each, nothing lost or doubled."""
    instance = server.instance
    with server.connect() as one, server.connect() as other:
        numbers = [
            talk.mail(BOB, f"Subject: {n}\r\n\r\n{n}\r\n")
            for n in range(10)
            for talk in (one, other)
        ]
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    with instance.serve():
        stories = {number: instance.ended(number) for number in numbers}
    for number, records in stories.items():
        outcomes = [r["verdict"] for r in records if r["event"] == "outcome"]
        assert outcomes == ["delivered"], number
    assert len(instance.mails("bob")) == 20


def test_too_little_free_space_is_told_before_the_message_comes(instance: Instance) -> None:
    instance.variables(MIN_FREE=1 << 50)
    with instance.serve() as server:
        with server.connect() as talk:
            talk.offer(BOB)
            answer = talk.say("DATA")
            assert answer.startswith("452 4.3.1 ")
            number = queue_id(answer)
        assert "452 4.3.1" in until(lambda: _told(instance, number, "message"))


def test_a_held_channel_keeps_the_mail_until_it_is_let_go(server: Server) -> None:
    """No signal and no new connection: deliveries follow control/ too."""
    server.instance.write("control/concurrencylocal", "0\n")
    number = server.send()
    assert number in until(lambda: _listed(server.instance, number))
    assert server.instance.mails("bob") == []
    os.unlink(server.instance.path("control/concurrencylocal"))
    server.instance.ended(number)
    assert len(server.instance.mails("bob")) == 1


def test_one_queue_is_filled_by_all_workers(instance: Instance) -> None:
    """A worker without a queue of its own hands over, and says 250 on the owner's commit."""
    instance.variables(QUEUE_COUNT=1)
    large = "x" * 76 + "\r\n"
    with instance.serve() as server:
        talks = [server.connect() for _ in range(4)]
        numbers = [talk.mail(BOB, f"Subject: {n}\r\n\r\n") for n, talk in enumerate(talks)]
        numbers += [talk.mail(BOB, f"Subject: large\r\n\r\n{large * 3000}") for talk in talks]
        records = [instance.ended(number) for number in numbers]
    assert os.path.exists(instance.path("queue/queue1/queue.db"))
    assert not os.path.exists(instance.path("queue/queue2"))
    for told in records:
        assert [r["verdict"] for r in told if r["event"] == "outcome"] == ["delivered"]
        assert [r["text"] for r in told if r["event"] == "message"] == ["queued in queue1"]
    stored = instance.mails("bob")
    assert len(stored) == 8
    expected = (large * 3000).replace("\r\n", "\n").encode()
    assert sum(mail.endswith(b"\n\n" + expected) for mail in stored) == 4


def test_a_dead_owner_is_told_as_451_and_comes_back(instance: Instance) -> None:
    instance.variables(QUEUE_COUNT=1)
    with instance.serve() as server:
        talks = server.on_each_worker()
        for talk in talks:
            talk.offer(BOB)
        owner, other = _owner_first(server)
        os.kill(owner, signal.SIGKILL)
        for talk in talks:
            with contextlib.suppress(OSError):
                if talk.say("DATA").startswith("354 "):
                    assert talk.say("Subject: x\r\n\r\n.")[:4] in ("451 ", "250 ")
        until(lambda: owner not in server.workers and len(server.workers) == 2)
        assert other in server.workers
        with server.connect() as talk:
            number = until(lambda: _accepted(talk))
        instance.ended(number)


def test_queues_with_mail_beyond_the_count_are_worked_off(instance: Instance) -> None:
    instance.write("control/holdlocal", "1\n")
    with instance.serve(workers=3) as server, contextlib.ExitStack() as open_together:
        talks = [open_together.enter_context(server.connect()) for _ in range(9)]
        numbers = []
        for talk in talks:  # open together, so that every worker has some of them
            talk.say("EHLO client.example")
            numbers.append(talk.mail(BOB, "Subject: held\r\n\r\n"))
    held = [name for name in ("queue1", "queue2", "queue3") if _rows(instance, name)]
    assert held == ["queue1", "queue2", "queue3"]
    os.unlink(instance.path("control/holdlocal"))
    instance.variables(QUEUE_COUNT=1)
    with instance.serve(workers=2) as server:
        until(lambda: len(instance.mails("bob")) == 9, say=lambda: server.output)
        assert all(instance.ended(number) for number in numbers)
        new = server.send()
        (message,) = [r for r in instance.ended(new) if r["event"] == "message"]
        assert message["text"] == "queued in queue1"


def test_queues_lie_where_the_variables_say(instance: Instance) -> None:
    instance.variables(QUEUE_BASE="elsewhere", QUEUE_START=7, QUEUE_COUNT=2)
    with instance.serve() as server:
        instance.ended(server.send())
        instance.ended(server.send())
    found = sorted(n for n in os.listdir(instance.path("elsewhere")) if n.startswith("queue"))
    assert found == ["queue7", "queue8"]


def test_one_client_has_a_queue_of_its_own(instance: Instance) -> None:
    instance.write("tcp/tcp.smtp", '127.:allow,QUEUEDIR="queue/queue9"\n')
    with instance.serve() as server:
        told = [instance.ended(server.send()) for _ in range(3)]
    texts = {r["text"] for records in told for r in records if r["event"] == "message"}
    assert texts == {"queued in queue9"}


def test_a_queue_named_while_it_runs_is_opened(instance: Instance) -> None:
    with instance.serve() as server:
        server.send()
        instance.write("tcp/tcp.smtp", '127.:allow,QUEUEDIR="queue/special"\n')
        number = until(lambda: _sent(server))
        (message,) = [r for r in instance.ended(number) if r["event"] == "message"]
        assert message["text"] == "queued in special"


def test_a_queue_that_opens_late_takes_mail_from_everybody(instance: Instance) -> None:
    """Nobody waits for it: not the other worker, nor a local program."""
    instance.variables(QUEUE_COUNT=1)
    with instance.serve():
        pass
    _set_version(instance, "queue1", 99)
    with instance.serve() as server:
        talks = server.on_each_worker()
        for talk in talks:
            talk.offer(BOB)
            assert talk.say("DATA")[:4] in ("354 ", "451 ")
            talk.close()
        done = instance.run("sendmail", "-f", ALICE, BOB, given="Subject: x\n", code=None)
        assert done.returncode == os.EX_TEMPFAIL, done.stderr
        _set_version(instance, "queue1", SCHEMA_VERSION)
        until(lambda: _sent(server))
        for talk in server.on_each_worker():
            instance.ended(talk.mail(BOB, "Subject: x\r\n\r\n"))
        instance.run("sendmail", "-f", ALICE, BOB, given="Subject: y\n")


def test_mail_left_by_programs_is_adopted_beside_old_queues(instance: Instance) -> None:
    """Who adopts has a queue that takes new mail, whatever other queues there are."""
    instance.write("control/holdlocal", "1\n")
    with instance.serve(workers=1) as server:
        server.send()
    os.unlink(instance.path("control/holdlocal"))
    instance.variables(QUEUE_START=5, QUEUE_COUNT=1)
    instance.run("sendmail", "-f", ALICE, BOB, given="Subject: left behind\n")
    with instance.serve():
        until(lambda: any(b"left behind" in mail for mail in instance.mails("bob")))


def test_programs_of_this_machine_inject_while_it_runs_and_while_nobody_does(
    instance: Instance,
) -> None:
    text = f"From: {ALICE}\nTo: {BOB}\nSubject: injected\n\nHello"
    with instance.serve():
        instance.run("sendmail", "-t", "-f", ALICE, given=text)
        until(lambda: len(instance.mails("bob")) == 1)
    instance.run("sendmail", "-t", "-f", ALICE, given=text)
    assert len(instance.mails("bob")) == 1
    assert any(not name.startswith(".") for name in os.listdir(instance.path("queue/spool")))
    with instance.serve():
        until(lambda: len(instance.mails("bob")) == 2)
        until(lambda: os.listdir(instance.path("queue/spool")) == [])
    for mail in instance.mails("bob"):
        header, _, body = mail.partition(b"\n\n")
        assert body == b"Hello\n"
        assert f"From: {ALICE}\nTo: {BOB}\nSubject: injected\n".encode() in header


def _sent(server: Server) -> str:
    """Return the id of a mail, empty where there is no queue for it."""
    with server.connect() as talk:
        return _accepted(talk)


def _set_version(instance: Instance, queue: str, version: int) -> None:
    """Make a queue's database one of another version of this server."""
    with contextlib.closing(sqlite3.connect(instance.path(f"queue/{queue}/queue.db"))) as db:
        db.execute(f"PRAGMA user_version = {version}")


def _listed(instance: Instance, number: str) -> str:
    """Return what qmail-qread says of a message."""
    lines = instance.run("qmail-qread").stdout.splitlines(keepends=True)
    found = next((n for n, line in enumerate(lines) if number in line), None)
    if found is None:
        return ""
    rest = [n for n in range(found + 1, len(lines)) if not lines[n][:1].isspace()]
    return "".join(lines[found : rest[0] if rest else len(lines)])


def _told(instance: Instance, number: str, event: str) -> str:
    """Return what explain says of an event, in words; empty where there is no such record yet."""
    done = instance.run("explain", number, "--json", code=None)
    records = [r for r in json.loads(done.stdout or "[]") if r["event"] == event]
    if not records:
        return ""
    told = instance.run("explain", number).stdout
    start = told.index(f"  {event} ")
    return told[
        start : told.find("\n  ", told.find("reply ", start) if event == "message" else start)
    ]


def _rows(instance: Instance, name: str) -> int:
    count: int = _query(instance, name, "select count(*) from message")[0][0]
    return count


def _query(instance: Instance, name: str, sql: str, *values: object) -> "list[tuple[float, ...]]":
    path = instance.path(f"queue/{name}/queue.db")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(sql, values).fetchall()


def _accepted(talk: Talk) -> str:
    """Try a message; return its id once it is accepted."""
    talk.offer(BOB)
    answer = talk.say("DATA")
    if answer.startswith("354 "):
        answer = talk.say("Subject: again\r\n\r\n.")
    return queue_id(answer) if answer.startswith("250 ") else ""


def _owner_first(server: Server) -> list[int]:
    """Return the workers, the one with queue1 first: it has the database open."""

    def has_it(pid: int) -> bool:
        fds = f"/proc/{pid}/fd"
        links = [os.readlink(f"{fds}/{name}") for name in os.listdir(fds)]
        return any(link.endswith("queue1/queue.db") for link in links)

    return sorted(server.workers, key=has_it, reverse=True)
