"""The five instructions for users who do not exist, by programs nobody here wrote.

Each has a domain of its own, with the line as the founding text writes it.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.mails import new_mail, on_the_wire
from interop.peer import Postfix
from live import ALICE, PASSWORD, PATIENCE, STRANGER, Server, place, until
from support import needs, needs_root

pytestmark = pytest.mark.interop

BOUNCES = "bounces.example"
TAKEN = {  # domain -> its instruction, and what the delivery says
    "deletes.example": ("delete", "discarded (delete)"),
    "stores.example": ("CATCH", "delivering to "),
    "forwards.example": (ALICE, f"delivering to {ALICE}"),
    "relays.example": (
        "relays.example:192.0.2.9:25", "delivering to relays.example:192.0.2.9:25",
    ),
}  # fmt: skip


def somebody(domain: str) -> str:
    return f"somebody@{domain}"


@pytest.fixture(scope="module")
def domains(server: Server) -> Iterator[Server]:
    instance = server.instance
    catch = instance.path("mail/catch")
    instance.run_as_owner("mkdir", "-p", *(f"{catch}/{part}" for part in ("cur", "new", "tmp")))
    given = {domain: line for domain, (line, _) in TAKEN.items()} | {BOUNCES: "bounce-no-mailbox"}
    for domain, line in given.items():
        instance.run("vadddomain", domain, given=PASSWORD)
        text = f"/var/indimail/sbin/vdelivermail '' {line.replace('CATCH', catch)}\n"
        instance.write(f"domains/{domain}/.qmail-default", text)
    yield server


def swaks(server: Server, recipient: str, mail: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [needs("swaks"), "--protocol", "ESMTP", "--server", "127.0.0.1",
         "--port", str(server.address[1]), "--helo", "swaks.example", "--from", STRANGER,
         "--to", recipient, "--data", f"@{mail}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def outcome(server: Server, recipient: str) -> str:
    """Return what the last delivery for a recipient said."""

    def found() -> list[str]:
        done = server.instance.run("explain", "--to", recipient, code=None)
        if done.returncode:
            return []
        records = server.instance.explain("--to", recipient)
        return [record["text"] for record in records if record["event"] == "outcome"]

    return until(found)[-1]


def is_kept(server: Server, mail: bytes) -> bool:
    new = server.instance.path("mail/catch/new")
    return any(Path(new, name).read_bytes().endswith(mail) for name in os.listdir(new))


@pytest.mark.parametrize("domain", list(TAKEN))
def test_swaks_to_who_is_taken(domains: Server, tmp_path: Path, domain: str) -> None:
    mail = new_mail(f"swaks to {domain}")
    path = tmp_path / "mail"
    path.write_bytes(mail.removesuffix(b"\n"))  # it adds one
    done = swaks(domains, somebody(domain), path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert TAKEN[domain][1] in outcome(domains, somebody(domain))
    if domain == "stores.example":
        until(lambda: is_kept(domains, mail))
    if domain == "forwards.example":
        until(lambda: any(one.endswith(mail) for one in domains.instance.mails("alice")))


def test_swaks_to_who_bounces_is_refused(domains: Server, tmp_path: Path) -> None:
    path = tmp_path / "mail"
    path.write_bytes(new_mail("swaks, refused"))
    done = swaks(domains, somebody(BOUNCES), path)
    assert done.returncode == 24  # swaks: no recipient was accepted
    assert f"550 5.1.1 sorry, {STRANGER} mailbox {somebody(BOUNCES)} is absent" in done.stdout


def test_postfix_to_all_five_in_one_transaction(domains: Server) -> None:
    needs_root()
    needs("postfix")
    mail = new_mail("postfix to all five")
    everybody = [somebody(domain) for domain in (*TAKEN, BOUNCES)]
    relay_to = f"[127.0.0.1]:{domains.address[1]}"
    # One destination, so that it is one transaction; what is refused bounces at Postfix.
    with place() as folder, Postfix(folder, relay_to) as peer:
        peer.send(on_the_wire(mail), STRANGER, everybody)
        log = peer.says(f"to=<{somebody(BOUNCES)}>")
        sent = "status=sent (250 2.0.0 ok "
        until(lambda: peer.log.count(sent) == len(TAKEN), say=lambda: peer.log)
    assert f"mailbox {somebody(BOUNCES)} is absent" in log
    until(lambda: is_kept(domains, mail))
    until(lambda: any(one.endswith(mail) for one in domains.instance.mails("alice")))
    numbers = {r["id"] for r in domains.instance.explain("--to", somebody("deletes.example"))}
    both = {r["id"] for r in domains.instance.explain("--to", somebody("relays.example"))}
    assert numbers & both  # one mail
