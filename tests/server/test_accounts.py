"""Accounts that change while the server runs: in force on every worker when the command returns."""

import contextlib
import os
import sqlite3
import time

import pytest

from live import BOB, DOMAIN, Instance, Server, until

pytestmark = pytest.mark.slow


def test_a_new_user_is_taken_when_vadduser_returns(server: Server) -> None:
    """Also by workers that said a moment ago that there is no such user."""
    carol = f"carol@{DOMAIN}"
    talks = server.on_each_worker()
    assert [talk.recipient(carol)[:9] for talk in talks] == ["550 5.1.1", "550 5.1.1"]
    server.instance.run("vadduser", carol, given="secret-1")
    assert [talk.recipient(carol)[:4] for talk in talks] == ["250 ", "250 "]
    server.instance.ended(server.send(carol))
    assert len(server.instance.mails("carol")) == 1


def test_a_new_domain_is_ours_when_vadddomain_returns(server: Server) -> None:
    talks = server.on_each_worker()
    assert [talk.recipient("dora@new.example")[:4] for talk in talks] == ["553 ", "553 "]
    server.instance.run("vadddomain", "new.example", given="secret-1")
    server.instance.run("vadduser", "dora@new.example", given="secret-1")
    assert [talk.recipient("dora@new.example")[:4] for talk in talks] == ["250 ", "250 "]
    assert [talk.recipient("nobody@new.example")[:4] for talk in talks] == ["550 ", "550 "]
    outcome = server.instance.ended(server.send("dora@new.example"))[-1]
    assert (outcome["verdict"], outcome["rule"]) == (
        "delivered",
        "domains/new.example/.qmail-default:1",
    )


def test_what_the_other_commands_change_is_in_force_when_they_return(server: Server) -> None:
    """Each worker was asked a moment ago, so that it remembers the answer before."""
    run, talks = server.instance.run, server.on_each_worker()
    lost, sales = f"lost@{DOMAIN}", f"sales@{DOMAIN}"
    for command, address, before, after in (
        (["vmoddomain", "-h", "delete", DOMAIN], lost, "550 5.1.1", "250 2.1.5"),
        (["vmoddomain", "-h", "bounce-no-mailbox", DOMAIN], lost, "250 2.1.5", "550 5.1.1"),
        (["valias", "-i", f"&{BOB}", sales], sales, "550 5.1.1", "250 2.1.5"),
        (["valias", "-d", f"&{BOB}", sales], sales, "250 2.1.5", "550 5.1.1"),
        (["vmoduser", "-b", BOB], BOB, "250 2.1.5", "550 5.2.2"),
        (["vmoduser", "-x", BOB], BOB, "550 5.2.2", "250 2.1.5"),
        (["vmoduser", "-n", BOB], BOB, "250 2.1.5", "550 5.2.1"),
        (["vmoduser", "-n", BOB], BOB, "550 5.2.1", "250 2.1.5"),
    ):
        assert {talk.recipient(address)[:9] for talk in talks} == {before}, command
        run(*command)
        assert {talk.recipient(address)[:9] for talk in talks} == {after}, command


def test_users_and_domains_come_go_and_change_names_while_mail_comes(server: Server) -> None:
    """Each worker was asked a moment ago, so that it remembers the answer before."""
    run, talks = server.instance.run, server.on_each_worker()
    run("vadduser", f"carol@{DOMAIN}", given="secret-1")
    ours, gone, unknown = "250 2.1.5", "550 5.1.1", "553 5.7.1"
    for command, address, before, after in (
        (["vaddaliasdomain", "alias.example", DOMAIN], "bob@alias.example", unknown, ours),
        (["vrenameuser", f"carol@{DOMAIN}", "zoe"], f"zoe@{DOMAIN}", gone, ours),
        (["vrenameuser", f"zoe@{DOMAIN}", "carol"], f"zoe@{DOMAIN}", ours, gone),
        (["vdeluser", f"carol@{DOMAIN}"], f"carol@{DOMAIN}", ours, gone),
        (["vdeldomain", "alias.example"], "bob@alias.example", ours, unknown),
        (["vrenamedomain", DOMAIN, "new.example"], "bob@new.example", unknown, ours),
        (["vrenamedomain", "new.example", DOMAIN], "bob@new.example", ours, unknown),
        (["vdeldomain", DOMAIN], BOB, ours, unknown),
    ):
        assert {talk.recipient(address)[:9] for talk in talks} == {before}, command
        run(*command)
        assert {talk.recipient(address)[:9] for talk in talks} == {after}, command


def test_mail_that_comes_while_a_home_moves_is_in_it(server: Server) -> None:
    home = server.instance.path("elsewhere/bob")
    sent = []
    for turn in range(3):
        sent.append(server.send())
        server.instance.run("vmoveuserdir", BOB, f"{home}{turn}")
    for queue_id in sent:
        server.instance.ended(queue_id)
    mails = os.listdir(f"{home}2/Maildir/new")
    assert len(mails) == len(sent)


def test_a_changed_password_shows_in_vuserinfo(server: Server) -> None:
    server.instance.run("vpasswd", BOB, given="another-1")
    assert BOB.partition("@")[0] in server.instance.run("vuserinfo", BOB).stdout
    server.instance.ended(server.send())


def test_a_change_made_in_the_database_by_others_is_seen_within_5_seconds(server: Server) -> None:
    """Each worker is asked all the time, so that what it remembers never ages by disuse."""
    talks = server.on_each_worker()
    assert all(talk.recipient(BOB).startswith("250 ") for talk in talks)
    path = server.instance.path("db/indimail.db")
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        changed = other.execute("delete from indimail where pw_name='bob'").rowcount
    assert changed == 1
    changed_at = time.monotonic()
    for talk in talks:
        until(lambda talk=talk: talk.recipient(BOB).startswith("550 5.1.1"), 6)  # type: ignore[misc]
    assert time.monotonic() - changed_at < 5.5


def test_mail_of_a_user_who_went_after_the_250_fails_for_good_and_is_told(
    instance: Instance,
) -> None:
    instance.write("control/holdlocal", "1\n")
    with instance.serve() as server:
        queue_id = server.send()
    with contextlib.closing(sqlite3.connect(instance.path("db/indimail.db"))) as db, db:
        db.execute("delete from indimail where pw_name='bob'")
    instance.write("control/holdlocal", "0\n")
    with instance.serve():
        [outcome] = [r for r in instance.ended(queue_id) if r["event"] == "outcome"]
    assert outcome["verdict"] == "failed"
    assert outcome["rule"] == "domains/example.com/.qmail-default:1"
    assert instance.mails("bob") == []
