"""The examples of --help, run as they stand by a shell, one after the other on one instance.

Lines of .qmail files (``|...``) are run by test_program_lines.py, `serve` by the README's test.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from indimail.cli.commands import COMMANDS

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

LINES = {name for name, row in COMMANDS.items() if row.example.startswith("|")}
ELSEWHERE = LINES | {"serve", "autoresponder", "preline"}
MAIL = b"From: bob@example.net\nTo: alice@example.com\nSubject: x\n\nHello\n"
# In an order in which each finds what it needs.
ORDER = [
    "init", "vadddomain", "vadduser", "vpasswd", "vuserinfo", "vmoduser", "vsetuserquota", "vlimit",
    "valias", "vdominfo", "vgroup", "vbulletin", "vdeloldusers", "resetquota", "printdir", "vreorg",
    "vpurge", "vipmap", "vcalias", "vcaliasrev", "vacation", "vmoddomain", "vaddaliasdomain",
    "vdeluser", "vmoveuserdir", "vrenameuser", "config", "check-config", "tcprulescheck", "doctor",
    "backup", "restore", "deliver", "sendmail", "rmail", "qmail-inject", "qmail-queue", "qmail-qread",
    "qmail-qstat", "qmail-tcpto", "qmail-tcpok", "explain", "completion", "ifaddr", "iftocc",
    "iftoccfrom", "vfstab", "import", "vrenamedomain", "vdeldomain", "domain", "user", "alias",
    "relay", "clearopensmtp", "relaycheck", "tcprules", "qmail-cdb",
    "qmailctl",
]  # fmt: skip
# What has to be so before: shell commands.
BEFORE = {
    "vgroup": "vgroup -a -e sales@example.com x",
    "vaddaliasdomain": "vaddaliasdomain other.example example.com",
    "vrenamedomain": "vdeldomain example.net",
    "vdeldomain": "vrenamedomain example.net example.com",
    "domain": "vdeldomain example.com",
}
ENDS = {
    "explain": {0, 1}, "doctor": {0, 1}, "import": {0, 1},
    "qmail-tcpto": {0, 111}, "qmail-tcpok": {0, 111},  # no server runs
}  # fmt: skip


def test_every_command_has_its_place() -> None:
    assert sorted([*ORDER, *ELSEWHERE]) == sorted(COMMANDS)


def test_the_examples_work_in_this_order(folder: str) -> None:
    place = Path(folder)
    root = place / "i"
    (place / "srv" / "backup").mkdir(parents=True)
    (place / "mail").write_bytes(MAIL)
    (place / "message").write_bytes(MAIL)
    (place / "news.eml").write_bytes(MAIL)
    (place / "away.txt").write_text("I am away.\n")
    (place / "envelope").write_bytes(b"Fbob@example.net\0Talice@example.com\0\0")
    domain = place / "vpopmail" / "domains" / "example.org"
    domain.mkdir(parents=True)
    (domain / "vpasswd").write_text("dora:$1$salt$JSoV9KyWZPjFlhLkLRO.J1:1:0:Dora:/x:NOQUOTA\n")
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    environment = {
        **os.environ,
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "INDIMAIL_ROOT": str(root),
    }
    failed = []
    for name in ORDER:
        for line in (BEFORE.get(name, ""), COMMANDS[name].example):
            placed = line
            for said, here in (
                ("./var/demo", root), ("/var/indimail", root), ("/srv/mail", root / "srv"),
                ("/srv", place / "srv"), ("/root/", f"{place}/"), ("/mail/a", root / "mail"),
                ("/home/vpopmail", place / "vpopmail"),
            ):  # fmt: skip
                placed = placed.replace(said, str(here)) if str(here) not in placed else placed
            ended = subprocess.run(
                ["sh", "-c", placed], cwd=place, env=environment, input=b"secret\nsecret\n",
                capture_output=True, timeout=60, check=False,
            )  # fmt: skip
            if ended.returncode not in ENDS.get(name, {0}):
                failed.append((name, placed, ended.returncode, ended.stderr.decode()[-300:]))
    assert not failed, "\n".join(map(str, failed))
