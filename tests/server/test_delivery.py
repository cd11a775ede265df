"""Deliveries of every kind on an instance as `init` makes it, through SMTP."""

import email
import os
import sys
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from live import ALICE, BOB, DOMAIN, HOST, STRANGER, Instance, Server, until

pytestmark = pytest.mark.slow

NOBODY = f"nobody@{DOMAIN}"
QMAIL = f"domains/{DOMAIN}/.qmail-default"


def told(instance: Instance, number: str, event: str = "delivery") -> dict[str, str]:
    """Return the first such record of a mail, once there is one."""

    def found() -> list[dict[str, str]]:
        return [record for record in instance.explain(number) if record["event"] == event]

    return until(found)[0]


def read(octets: bytes) -> EmailMessage:
    mail = email.message_from_bytes(octets, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def arrived(instance: Instance, user: str, word: str) -> bytes:
    """Return the mail of a user that has the word, once it is there."""

    def found() -> list[bytes]:
        return [mail for mail in instance.mails(user) if word.encode() in mail]

    return until(found)[0]


# -- the five instructions -------------------------------------------------------------------------

WAYS = {
    "delete": ("delivered", "discarded (delete)"),
    "MAILDIR": ("delivered", "delivering to MAILDIR"),
    ALICE: ("delivered", f"delivering to {ALICE}"),
    f"{DOMAIN}:192.0.2.9:25": ("delivered", f"delivering to {DOMAIN}:192.0.2.9:25"),
}


def write_instruction(server: Server, instruction: str, how: str) -> None:
    if how == "vmoddomain":
        server.instance.run("vmoddomain", "-h", instruction, DOMAIN)
    else:  # as the founding text writes the line
        line = f"/var/indimail/sbin/vdelivermail '' {instruction}\n"
        server.instance.write(QMAIL, line)


@pytest.mark.parametrize("how", ["vmoddomain", "an editor"])
@pytest.mark.parametrize("instruction", list(WAYS))
def test_an_instruction_is_obeyed_and_explained(shared: Server, instruction: str, how: str) -> None:
    instance = shared.instance
    verdict, text = WAYS[instruction]
    if instruction == "MAILDIR":
        instruction = instance.path(f"mail/catch-{how.replace(' ', '-')}")
        instance.run_as_owner("mkdir", "-p", *(f"{instruction}/{p}" for p in ("cur", "new", "tmp")))
    text = text.replace("MAILDIR", instruction)
    write_instruction(shared, instruction, how)
    word = f"for {instruction} by {how}"
    number = shared.send(NOBODY, word)
    record = told(instance, number)
    assert (record["verdict"], record["rule"]) == (verdict, f"{QMAIL}:1")
    assert text in record["text"]
    if instruction.startswith("/"):
        [name] = until(lambda: os.listdir(f"{instruction}/new"))
        assert word.encode() in Path(instruction, "new", name).read_bytes()
    elif instruction == ALICE:
        assert f"Delivered-To: {DOMAIN}-{NOBODY}\n".encode() in arrived(instance, "alice", word)
    elif ":" in instruction:
        qread = instance.run("qmail-qread").stdout
        assert NOBODY in qread


def test_bounce_no_mailbox_is_refused_where_the_client_waits(shared: Server) -> None:
    for how in ("vmoddomain", "an editor"):
        write_instruction(shared, "bounce-no-mailbox", how)
        with shared.connect() as talk:
            reply = talk.recipient(NOBODY)
            assert reply.startswith("550 5.1.1 ")
            number = reply.partition("[id ")[2].rstrip("]")
        record = told(shared.instance, number, "recipient")
        assert (record["verdict"], record["rule"]) == ("refuse", f"{QMAIL}:1")
        assert "instruction bounce-no-mailbox" in shared.instance.run("explain", number).stdout


def test_what_is_refused_is_what_the_dry_run_says(shared: Server) -> None:
    for instruction in ("bounce-no-mailbox", "delete", ALICE, f"{DOMAIN}:192.0.2.9:25"):
        write_instruction(shared, instruction, "vmoddomain")
        with shared.connect() as talk:
            reply = talk.recipient(NOBODY)
        dry = shared.instance.run(
            "deliver", "--dry-run", NOBODY, "--sender", STRANGER, code=None
        ).stdout
        if instruction == "bounce-no-mailbox":
            assert reply.partition(" [id")[0] in dry
        else:
            assert reply.startswith("250 ")
            assert "RCPT     accepted" in dry
        assert f"rule {QMAIL}:1" in dry


def test_a_bad_instruction_keeps_the_mail_and_says_what_is_wrong(shared: Server) -> None:
    write_instruction(shared, "nonsense", "an editor")
    number = shared.send(NOBODY, "kept")
    record = told(shared.instance, number)
    assert (record["verdict"], record["rule"]) == ("deferred", f"{QMAIL}:1")
    for part in (f"{QMAIL}:1: ", "found nonsense, ", "expected "):
        assert part in record["text"], part
    log = shared.says("deferral: Invalid_SMTPROUTE_Specification_[nonsense]")
    assert f"{QMAIL}:1:_found_nonsense,_expected_" in log
    assert number in shared.instance.run("qmail-qread").stdout
    users = shared.send(BOB, "for who exists")  # the others are not held up
    assert told(shared.instance, users)["verdict"] == "delivered"
    write_instruction(shared, "delete", "an editor")  # and the next mail sees the mended line
    assert told(shared.instance, shared.send(NOBODY))["verdict"] == "delivered"


# -- aliases, a user's own file, the system's addresses --------------------------------------------


def test_an_alias_goes_where_its_rows_say(shared: Server) -> None:
    shared.instance.run("valias", "-i", f"&{ALICE}", f"sales@{DOMAIN}")
    shared.instance.run("valias", "-i", f"&{BOB}", f"sales@{DOMAIN}")
    number = shared.send(f"sales@{DOMAIN}", "to the sellers")
    for user in ("alice", "bob"):
        mail = arrived(shared.instance, user, "to the sellers")
        assert f"X-Forwarded-For: sales@{DOMAIN}\n".encode() in mail
    assert sorted(record["rule"] for record in shared.instance.steps(number, 2)) == [
        f"valias[sales@{DOMAIN}]:1", f"valias[sales@{DOMAIN}]:2",
    ]  # fmt: skip


def test_a_user_s_own_file_takes_the_place_of_the_mailbox(shared: Server) -> None:
    instance = shared.instance
    home = os.path.dirname(instance.maildir("bob")).removeprefix(f"{instance.root}/")
    instance.write(f"{home}/.qmail", f"# kept and sent on\n./Maildir/\n&{ALICE}\n./box\n")
    try:
        number = shared.send(BOB, "kept and sent on")
        assert told(instance, number)["verdict"] == "delivered"
        arrived(instance, "bob", "kept and sent on")
        arrived(instance, "alice", "kept and sent on")
        assert "kept and sent on" in instance.read(f"{home}/box")
        assert sorted(record["line"] for record in instance.steps(number, 3)) == [2, 3, 4]
    finally:
        os.unlink(instance.path(f"{home}/.qmail"))


def test_who_is_away_answers_once_and_keeps_the_mail(shared: Server) -> None:
    instance = shared.instance
    home = os.path.dirname(instance.maildir("bob")).removeprefix(f"{instance.root}/")
    program = f"{home}/autoresponder"  # of that name: it keeps DTLINE
    instance.write(
        program, f'#!/bin/sh\nexec {sys.executable} -m indimail.cli.main autoresponder "$@"\n'
    )
    os.chmod(instance.path(program), 0o755)
    instance.write(f"{home}/away", "I am away, and read %S later.\n")
    instance.run_as_owner("mkdir", instance.path(f"{home}/answered"))
    instance.write(f"{home}/.qmail", "|./autoresponder ./away ./answered\n./Maildir/\n")
    try:
        for text in ("the first", "the second"):
            with shared.connect() as talk:
                header = f"To: {BOB}\r\nSubject: {text} mail\r\n"
                number = talk.mail(BOB, f"{header}\r\n{text}\r\n", sender=ALICE)
            assert {r["verdict"] for r in instance.steps(number, 2)} == {"done"}
            arrived(instance, "bob", text)
        mail = arrived(instance, "alice", "I am away, and read the first mail later.")
        assert mail.startswith(b"Return-Path: <>\n")
        assert read(mail)["From"] == BOB
        assert not any(b"read the second mail" in mail for mail in instance.mails("alice"))
    finally:
        os.unlink(instance.path(f"{home}/.qmail"))


def test_a_forward_file_names_who_gets_a_copy(shared: Server) -> None:
    instance = shared.instance
    home = os.path.dirname(instance.maildir("bob")).removeprefix(f"{instance.root}/")
    program = f"{home}/dot-forward"  # of that name: it keeps DTLINE
    instance.write(
        program, f'#!/bin/sh\nexec {sys.executable} -m indimail.cli.main dot-forward "$@"\n'
    )
    os.chmod(instance.path(program), 0o755)
    instance.write(f"{home}/.forward", f"{BOB}, {ALICE}\n")
    instance.write(f"{home}/.qmail", "|./dot-forward .forward\n./Maildir/\n")
    try:
        number = shared.send(BOB, "for the two of them")
        assert {r["verdict"] for r in instance.steps(number, 2)} == {"done"}
        arrived(instance, "bob", "for the two of them")
        mail = arrived(instance, "alice", "for the two of them")
        assert f"Delivered-To: {DOMAIN}-{BOB}\n".encode() in mail
    finally:
        os.unlink(instance.path(f"{home}/.qmail"))


@pytest.mark.parametrize("role", ["postmaster", "abuse", "mailer-daemon"])
@pytest.mark.parametrize("domain", [HOST, DOMAIN])
def test_init_makes_the_roles_deliverable(shared: Server, role: str, domain: str) -> None:
    number = shared.send(f"{role}@{domain}", f"to {role} at {domain}")
    assert told(shared.instance, number)["verdict"] == "delivered"


def test_an_address_of_alias_has_a_list_and_its_owner(shared: Server) -> None:
    instance = shared.instance
    instance.write("alias/.qmail-list", f"&{BOB}\n&{NOBODY}\n")
    instance.write("alias/.qmail-list-owner", f"&{ALICE}\n")
    write_instruction(shared, "bounce-no-mailbox", "vmoddomain")
    shared.send(f"list@{HOST}", "to the list")
    mail = arrived(instance, "bob", "to the list")
    assert mail.startswith(f"Return-Path: <list-owner@{HOST}>\n".encode())
    bounce = read(arrived(instance, "alice", "to the list"))  # not to the author
    assert bounce["To"] == f"list-owner@{HOST}"


def test_a_loop_of_two_aliases_ends(shared: Server) -> None:
    instance = shared.instance
    instance.write("alias/.qmail-one", f"&two@{HOST}\n")
    instance.write("alias/.qmail-two", f"&one@{HOST}\n")
    shared.send(f"one@{HOST}", "round and round", sender=ALICE)
    bounce = arrived(instance, "alice", "round and round")
    assert b"(#5.4.6)" in bounce


# -- bounces ---------------------------------------------------------------------------------------


def test_a_bounce_comes_into_the_sender_s_maildir_as_a_report(shared: Server) -> None:
    instance = shared.instance
    write_instruction(shared, "bounce-no-mailbox", "vmoddomain")
    instance.write("alias/.qmail-old", f"&{NOBODY}\n&{BOB}\n")
    shared.send(f"old@{HOST}", "to somebody who left", sender=ALICE)
    mail = read(arrived(instance, "alice", "to somebody who left"))
    assert mail["Return-Path"] == "<>"
    assert mail.get_content_type() == "multipart/report"
    text, report, original = list(mail.iter_parts())
    assert f"<{NOBODY}>:" in text.get_content()
    assert "Hi. This is the qmail-send program at" in text.get_content()
    [_, of_recipient] = report.get_payload()
    assert of_recipient["Final-Recipient"].endswith(NOBODY)
    assert (of_recipient["Action"], of_recipient["Status"]) == ("failed", "5.1.5")
    [enclosed] = original.get_payload()
    assert "to somebody who left" in enclosed.get_content()
    arrived(instance, "bob", "to somebody who left")  # who exists has it all the same


def test_a_bounce_is_in_the_story_of_its_mail_and_has_its_own(shared: Server) -> None:
    instance = shared.instance
    write_instruction(shared, "bounce-no-mailbox", "vmoddomain")
    instance.write("alias/.qmail-gone", f"&{NOBODY}\n")
    first = shared.send(f"gone@{HOST}", "three mails", sender=ALICE)
    forward = until(lambda: told(instance, first)["text"].rpartition("qp ")[2])
    assert told(instance, forward)["verdict"] == "failed"
    bounce = told(instance, forward, "bounce")
    assert bounce["verdict"] == "queued"
    number = bounce["text"].rpartition("qp ")[2]
    assert told(instance, number)["verdict"] == "delivered"
    log = shared.says(f"bounce msg {forward} qp {number}")
    assert log.index(f"bounce msg {forward}") < log.index(f"end msg {forward}")


def test_a_bounce_of_a_bounce_goes_to_the_postmaster(shared: Server) -> None:
    instance = shared.instance
    write_instruction(shared, "bounce-no-mailbox", "vmoddomain")
    instance.write("alias/.qmail-null", f"&{NOBODY}\n")
    shared.send(f"null@{HOST}", "a double bounce", sender="")
    new = instance.path("alias/Maildir/new")

    def found() -> list[bytes]:
        mails = [Path(new, name).read_bytes() for name in os.listdir(new)]
        return [mail for mail in mails if b"a double bounce" in mail]

    [mail] = until(found)
    assert read(mail)["Return-Path"] == "<#@[]>"
