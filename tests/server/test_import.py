"""A server that runs on what was imported: mail comes to imported users, as their files say."""

from glob import glob
from pathlib import Path

import pytest

from importing_trees import MD5, VpopmailTree
from live import PASSWORD, Instance, place, until

pytestmark = pytest.mark.slow

HOME = "/home/vpopmail/domains/old.example"


def line(name: str, gid: int = 0, quota: str = "NOQUOTA") -> str:
    return f"{name}:{MD5}:0:{gid}:{name}:{{home}}/{name}:{quota}"


def test_imported_users_get_their_mail_beside_what_they_had() -> None:
    with place() as folder:
        instance = Instance.make(f"{folder}/i")
        old = VpopmailTree(f"{folder}/old")
        here = old.domain(
            "old.example", [line("postmaster"), line("carol"), line("dave"), line("full", 0, "10S")]
        )
        old.entry(f"+older.example-:old.example:89:89:{HOME}:-::", "older.example:older.example")
        old.put_mail(f"{here}/carol", "1234.M1.old:2,S", "Subject: old\n\nthe old mail\n", "cur")
        old.put_mail(f"{here}/full", "1235.M1.old", "Subject: old\n\nthe old mail\n")
        old.write(f"{here}/.qmail-default", f"| /home/vpopmail/bin/vdelivermail '' {HOME}/carol\n")
        old.write(f"{here}/.qmail-sales", f"&dave@old.example\n{HOME}/carol/Maildir/\n", 0o600)
        old.write(f"{here}/dave/.qmail", f"{HOME}/dave/Maildir/\n&carol@old.example\n", 0o600)
        instance.run("import", "vpopmail", "--from", old.home, "--config", old.qmail, code=1)
        instance.run("check-config")
        doctor = instance.run("doctor", code=None)
        assert "old.example" not in doctor.stdout, doctor.stdout

        def has(user: str, word: str) -> list[Path]:
            (maildir,) = glob(instance.path(f"mail/*/old.example/{user}/Maildir"))
            mails = [*Path(maildir, "new").iterdir(), *Path(maildir, "cur").iterdir()]
            return [mail for mail in mails if word in mail.read_text()]

        with instance.serve() as server:
            for word, recipient, users in (
                ("to carol", "carol@old.example", ["carol"]),
                ("by another name", "Carol@older.example", ["carol"]),
                ("to sales", "sales@old.example", ["dave", "carol"]),
                ("to nobody", "nobody@old.example", ["carol"]),
            ):
                server.send(recipient, word)
                for user in users:
                    until(lambda user=user, word=word: has(user, word))  # type: ignore[misc]
            assert has("carol", "the old mail")
            number = server.send("full@old.example", "x" * 2000)
            ended = instance.ended(number)
            assert {record["verdict"] for record in ended if record["event"] == "outcome"} == {
                "failed"
            }
            with server.connect() as talk:
                assert talk.recipient("eve@gone.example").startswith("553 ")
        assert PASSWORD not in instance.run("vuserinfo", "carol@old.example").stdout
