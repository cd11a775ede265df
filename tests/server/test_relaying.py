"""A running server and its relay: what would let everybody relay does not start, nor come in force."""

import pytest

from live import BOB, STRANGER, Instance

pytestmark = pytest.mark.slow

OPEN = ':allow,RELAYCLIENT=""\n'


def test_an_open_relay_does_not_start_unless_it_is_meant(instance: Instance) -> None:
    instance.write("tcp/tcp.smtp", OPEN)
    server = instance.start()
    assert server.process.wait(20) == 78
    server.says(
        "tcp/tcp.smtp:1: found ':allow,RELAYCLIENT=\"\"', expected a rule that does not let"
    )
    toml = instance.read("indimail.toml")
    accepted = "[relay]\naccept_open = ['tcp/tcp.smtp :allow,RELAYCLIENT=\"\"']\n"
    instance.write("indimail.toml", f"{toml}\n{accepted}")
    with instance.serve() as server, server.connect() as talk:
        server.says("tcp/tcp.smtp:1: open, as accept_open says: lets everybody relay")
        talk.say("EHLO x"), talk.say(f"MAIL FROM:<{STRANGER}>")
        assert talk.say("RCPT TO:<far@elsewhere.example>").startswith("250 ")


def test_a_reload_that_would_open_the_relay_keeps_the_rules_in_force(instance: Instance) -> None:
    with instance.serve() as server:
        instance.write("tcp/tcp.smtp", OPEN)
        with server.connect() as talk:
            talk.say("EHLO x"), talk.say(f"MAIL FROM:<{STRANGER}>")
            refused = talk.say("RCPT TO:<far@elsewhere.example>")
            assert refused.startswith("553 5.7.1 ")
            assert talk.say(f"RCPT TO:<{BOB}>").startswith("250 ")
        server.says("configuration not changed: tcp/tcp.smtp:1: found ':allow,RELAYCLIENT")
        records = instance.explain("--to", "far@elsewhere.example")
        rules = {record["rule"] for record in records if record["event"] == "recipient"}
        assert "control/rcpthosts" in rules


def test_what_anybody_can_claim_is_said_at_the_start_by_check_config_and_by_doctor(
    instance: Instance,
) -> None:
    instance.write("control/relaymailfrom", "@domain2.com\n")
    claim = "control/relaymailfrom:1: claimable: lets everybody relay who says anybody@domain2.com"
    assert claim in instance.run("check-config").stdout
    assert "a sender is whatever a client says" in instance.run("doctor", code=1).stdout
    with instance.serve(workers=1) as server:
        server.says(claim)
