"""How the server ends: told to, killed, or worker by worker; mail that got its 250 is never lost."""

import os
import signal
import socket
import time

import pytest

from live import BOB, HOST, PATIENCE, Instance, Server, Talk, alive, queue_id, until

pytestmark = pytest.mark.slow


def test_sigterm_says_421_to_idle_clients_at_once(server: Server) -> None:
    talks = [talk for _ in range(3) for talk in server.on_each_worker()]
    talks[0].say("EHLO client.example")
    talks[1].offer(BOB)
    begun = time.monotonic()
    server.signal(signal.SIGTERM)
    for talk in talks:
        assert talk.reply().startswith(f"421 4.3.2 {HOST} ")
        assert talk.reply() == ""
    assert server.process.wait(PATIENCE) == 0
    assert time.monotonic() - begun < 5


def test_a_message_under_way_at_sigterm_ends_with_its_250(server: Server) -> None:
    with server.connect() as talk, server.connect() as idle:
        talk.offer(BOB)
        assert talk.say("DATA").startswith("354 ")
        talk.send(b"Subject: half\r\n\r\nthe first line\r\n")
        server.signal(signal.SIGTERM)
        assert idle.reply().startswith("421 ")
        talk.send(b"the last line\r\n.\r\n")
        accepted = queue_id(talk.reply())
        assert talk.reply().startswith("421 ")
    assert server.process.wait(PATIENCE) == 0
    with server.instance.serve():
        server.instance.ended(accepted)
    (mail,) = server.instance.mails("bob")
    assert mail.endswith(b"\nthe first line\nthe last line\n")


def test_a_message_that_does_not_end_is_cut_off_when_the_grace_is_over(instance: Instance) -> None:
    toml = instance.read("indimail.toml").replace("[process]", "[process]\ndrain_seconds = 1")
    instance.write("indimail.toml", toml)
    with instance.serve() as server, server.connect() as talk:
        talk.offer(BOB)
        assert talk.say("DATA").startswith("354 ")
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        assert _ended(talk)
        assert 0.5 < time.monotonic() - begun < 5
        assert server.process.wait(PATIENCE) == 0
    assert instance.mails("bob") == []


def test_sigint_ends_it_as_well(server: Server) -> None:
    os.killpg(server.process.pid, signal.SIGINT)  # as Ctrl-C does: to the workers too
    assert server.process.wait(PATIENCE) == 0
    assert "Traceback" not in server.output


def test_workers_follow_a_killed_supervisor_within_a_second(server: Server) -> None:
    workers = server.workers
    with server.connect() as talk:
        talk.offer(BOB)
        server.signal(signal.SIGKILL)
        begun = time.monotonic()
        until(lambda: not any(map(alive, workers)), 5)
        assert time.monotonic() - begun < 1.5  # and half for a busy machine
        assert _ended(talk)
    server.process.wait()


def test_a_new_server_takes_over_from_a_killed_one_at_once(server: Server) -> None:
    """On the same port, while the old workers still end; and with their mail."""
    instance, (host, port) = server.instance, server.address
    ids = _accept_undelivered(server)
    server.signal(signal.SIGKILL)
    server.process.wait()
    with instance.serve(f"smtp={host}:{port}") as successor:
        ids.append(successor.send())
        outcomes = [_outcomes(instance, i) for i in ids]
    assert outcomes == [["delivered"]] * len(ids)
    assert len(instance.mails("bob")) == len(ids)


def test_mail_that_a_killed_worker_accepted_is_delivered_by_its_successor(server: Server) -> None:
    instance, before = server.instance, server.workers
    ids = _accept_undelivered(server)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not set(before) & set(server.workers), say=lambda: server.output)
    outcomes = [_outcomes(instance, i) for i in ids]
    assert outcomes == [["delivered"]] * len(ids)
    assert len(instance.mails("bob")) == len(ids)
    assert server.output.count("died; starting another") == 2


def test_connections_of_a_killed_worker_are_not_counted_any_more(instance: Instance) -> None:
    instance.write("tcp/tcp.smtp", '127.:allow,MAXPERIP="4"\n')
    with instance.serve() as server:
        talks = [server.connect() for _ in range(4)]
        numbers = [talk.worker for talk in talks]
        assert server.connect().greeting.startswith("421 ")
        os.kill(server.workers[numbers[0] - 1], signal.SIGKILL)
        left = sum(number != numbers[0] for number in numbers)
        until(lambda: server.status()["connections"] == left)
        greetings = [server.connect().greeting[:4] for _ in range(4 - left + 1)]
        assert greetings == ["220 "] * (4 - left) + ["421 "]


def test_the_other_worker_serves_while_one_is_started_again(server: Server) -> None:
    os.kill(server.workers[0], signal.SIGKILL)
    ids = [server.send() for _ in range(5)]
    assert all(_outcomes(server.instance, i) == ["delivered"] for i in ids)


def test_a_worker_that_dies_again_and_again_is_not_started_in_a_loop(server: Server) -> None:
    for _ in range(3):
        os.kill(until(lambda: len(server.workers) == 2 and server.workers)[0], signal.SIGKILL)
    assert server.output.count("died; starting another") <= 3
    server.instance.ended(server.send())


def _accept_undelivered(server: Server) -> list[str]:
    """Leave mails on both workers; some may be on their way already."""
    talks = server.on_each_worker() * 5
    return [talk.mail(BOB, f"Subject: {n}\r\n\r\nmail {n}\r\n") for n, talk in enumerate(talks)]


def _outcomes(instance: Instance, number: str) -> list[str]:
    return [r["verdict"] for r in instance.ended(number) if r["event"] == "outcome"]


def _ended(talk: Talk) -> bool:
    """Read to the end of the connection, with or without a reset."""
    try:
        while talk.reply():
            pass
    except ConnectionResetError:
        pass
    return True


def test_who_comes_while_it_ends_is_refused_and_not_kept_waiting(server: Server) -> None:
    """No longer told in listeners.json, and a local program leaves its mail in the spool."""
    instance, address = server.instance, server.address
    with server.connect() as talk:
        talk.offer(BOB)
        assert talk.say("DATA").startswith("354 ")
        server.signal(signal.SIGTERM)
        until(lambda: not os.path.exists(instance.path("run/listeners.json")))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 5)
        instance.run("sendmail", BOB, given="Subject: meanwhile\n\nHello")
        talk.send(b"the end\r\n.\r\n")
        assert talk.reply().startswith("250 ")
    assert server.process.wait(PATIENCE) == 0
    with instance.serve(f"smtp={address[0]}:{address[1]}"):
        until(lambda: len(instance.mails("bob")) == 2)


def test_signals_to_the_whole_group_cost_no_worker(server: Server) -> None:
    """A closed terminal sends HUP to all, and `pkill -USR1` reaches all as well."""
    workers = server.workers
    with server.connect() as talk:
        for kind in (signal.SIGHUP, signal.SIGUSR1):
            os.killpg(server.process.pid, kind)
        assert talk.say("NOOP").startswith("250 ")
        server.instance.ended(server.send())
    assert server.workers == workers


def test_a_signal_for_the_logs_ends_no_worker_that_is_just_starting(instance: Instance) -> None:
    server = instance.start()
    with server:
        until(lambda: instance.read("run/serve.pid") == f"{server.process.pid}\n")
        for _ in range(200):
            server.signal(signal.SIGUSR1)
            time.sleep(0.002)
        server.wait_until_ready()
    assert "died" not in server.output
