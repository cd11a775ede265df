"""A change of the configuration while the server runs."""

import os
import signal

import pytest

from live import BOB, HOST, Instance, Server, until

pytestmark = pytest.mark.slow

OTHER = "somebody@other.example"


def test_an_edited_rcpthosts_is_in_force_at_the_next_mail(server: Server) -> None:
    """No signal, no new connection; and on every worker."""
    talks = server.on_each_worker()
    assert all(talk.recipient(OTHER).startswith("553 5.7.1 ") for talk in talks)
    server.instance.write("control/rcpthosts", "example.com\nother.example\n")
    assert [talk.recipient(OTHER)[:4] for talk in talks] == ["250 ", "250 "]
    server.instance.write("control/rcpthosts", "example.com\n")
    assert [talk.recipient(OTHER)[:4] for talk in talks] == ["553 ", "553 "]


def test_a_mail_that_began_keeps_the_configuration_it_began_with(server: Server) -> None:
    with server.connect() as talk:
        assert talk.say("MAIL FROM:<>").startswith("250 ")
        server.instance.write("control/rcpthosts", "example.com\nother.example\n")
        assert talk.say(f"RCPT TO:<{OTHER}>").startswith("553 ")
        assert talk.recipient(OTHER).startswith("250 ")


def test_an_edited_tcp_smtp_is_in_force_at_the_next_connection(server: Server) -> None:
    with server.connect() as before:
        assert before.recipient(OTHER).startswith("553 ")
        server.instance.write("tcp/tcp.smtp", '127.0.0.1:allow,RELAYCLIENT=""\n')
        for talk in server.on_each_worker():
            assert talk.recipient(OTHER).startswith("250 ")
            talk.close()
    server.instance.write("tcp/tcp.smtp", "127.0.0.1:deny\n")
    with server.connect() as talk:
        assert talk.greeting == ""
    server.instance.write("tcp/tcp.smtp", "")
    with server.connect() as talk:
        assert talk.greeting.startswith("220 ")


def test_an_edit_that_is_broken_keeps_what_was_and_names_the_line(server: Server) -> None:
    server.instance.write("control/databytes", "1000\n")
    with server.connect() as talk:
        assert "SIZE 1000" in talk.say("EHLO client.example")
    server.instance.write("control/databytes", "# octets\nmany\n")
    server.instance.write("control/rcpthosts", "example.com\nother.example\n")
    with server.connect() as talk:
        assert "SIZE 1000" in talk.say("EHLO client.example")
        assert talk.recipient(OTHER).startswith("553 ")  # all of it, or nothing
    server.says("configuration not changed: control/databytes:2: ")
    server.instance.write("control/databytes", "2000\n")
    with server.connect() as talk:
        assert "SIZE 2000" in talk.say("EHLO client.example")
        assert talk.recipient(OTHER).startswith("250 ")


def test_sighup_reads_indimail_toml_again(server: Server) -> None:
    server.instance.variables(DATABYTES=1234)
    server.signal(signal.SIGHUP)
    server.says("configuration 1 is in force")
    for talk in server.on_each_worker():
        assert "SIZE 1234" in talk.say("EHLO client.example")
        talk.close()


def test_a_broken_file_at_sighup_keeps_the_old_configuration(server: Server) -> None:
    good = server.instance.read("indimail.toml")
    server.instance.write("indimail.toml", good.replace("[process]", "[proces]"))
    line = good.splitlines().index("[process]") + 1
    server.signal(signal.SIGHUP)
    server.says(f"configuration not changed: indimail.toml:{line}: ")
    server.instance.ended(server.send())


def test_logs_go_on_in_a_new_file_after_sigusr1(instance: Instance) -> None:
    toml = instance.read("indimail.toml").replace("[process]", '[process]\nlog = "files"')
    instance.write("indimail.toml", toml)
    with instance.serve() as server:
        first = server.send()
        until(lambda: f"new msg {first}" in instance.read("log/serve.log"))
        os.rename(instance.path("log/serve.log"), instance.path("log/serve.log.1"))
        server.signal(signal.SIGUSR1)
        until(lambda: os.path.exists(instance.path("log/serve.log")))
        ids = [server.send() for _ in range(4)]  # to both workers
        until(lambda: all(f"end msg {i}" in instance.read("log/serve.log") for i in ids))
        assert not any(i in instance.read("log/serve.log.1") for i in ids)
        assert server.output == ""
        owner = os.stat(instance.path("log/serve.log")).st_uid
        assert owner == os.stat(instance.root).st_uid
    line = next(line for line in instance.read("log/serve.log").splitlines() if "end msg" in line)
    assert line.startswith("@4000000")  # as multilog stamps


def test_a_variable_is_found_where_the_order_says(instance: Instance) -> None:
    """tcp.smtp, [listener.NAME.variables], [variables], the environment, the control file."""
    levels = [
        ("control", lambda: instance.write("control/databytes", "1\n")),
        ("environment", lambda: None),
        ("[variables]", lambda: instance.variables(DATABYTES=3)),
        ("listener", lambda: instance.write(
            "indimail.toml", instance.read("indimail.toml")
            + '\n[listener.smtp]\naddress = "127.0.0.1"\nport = 2500\n'
              '[listener.smtp.variables]\nDATABYTES = 4\n')),
        ("tcp.smtp", lambda: instance.write("tcp/tcp.smtp", '127.:allow,DATABYTES="5"\n')),
    ]  # fmt: skip
    for number, (name, give) in enumerate(levels, start=1):
        give()
        environ = {"DATABYTES": "2"} if number > 1 else {}
        with instance.serve(workers=1, environ=environ) as server, server.connect() as talk:
            assert f"SIZE {number}\n" in talk.say("EHLO client.example"), name


def test_a_user_may_be_absent_where_checkrecipient_is_taken_away(instance: Instance) -> None:
    instance.write("tcp/tcp.smtp", "127.:allow,!CHECKRECIPIENT\n")
    with instance.serve() as server, server.connect() as talk:
        assert talk.greeting.startswith(f"220 {HOST} ")
        assert talk.recipient("nobody@example.com").startswith("250 ")
        assert talk.recipient(BOB).startswith("250 ")
