"""Quota files that lie: maildirsize against the row's quota, and against a count of the Maildir.

    list(check_quotas(patient))     -> [Finding("quota", ".../alice/Maildir/maildirsize", ...)]

A file is a count that others add to while we look, and a crash may leave a mail out of it: it lies
where it is off by more than `TOLERANCE` of what is there, and by more than a few mails or
kilobytes.

Source: spec/delivery.md 8.3.  Not here: who has no file yet, which is none of its faults.
"""

import os
from collections.abc import Iterator
from typing import Final

from indimail.delivery.quota import UNLIMITED, Quota, Usage, parse_quota
from indimail.mailbox.maildirsize import LONGEST, Content, count_maildir, parse_maildirsize
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient
from indimail.manage.file_writes import Recount

TOLERANCE: Final = 0.01
OCTETS: Final = 65_536
MESSAGES: Final = 10


def check_quotas(patient: Patient) -> Iterator[Finding]:
    """The quota of every row, and the maildirsize of every Maildir that has one."""
    for user in patient.each_user("quotas"):
        quota = parse_quota(user.quota)
        if quota is None:
            yield Finding(
                "quota-row", user.address, f"quota {user.quota!r}", "50M, 50M,1000 or NOQUOTA"
            )
            continue
        maildir = os.path.join(user.directory, "Maildir")
        if user.directory:
            yield from _file(patient, maildir, quota, user.quota)


def _file(patient: Patient, maildir: str, quota: Quota, stored: str) -> Iterator[Finding]:
    path = os.path.join(maildir, "maildirsize")
    try:
        content = parse_maildirsize(patient.disk.read(path, 0, LONGEST))
        wrong = _wrong(patient, maildir, content, quota)
        if wrong is not None and wrong == _wrong(
            patient, maildir, parse_maildirsize(patient.disk.read(path, 0, LONGEST)), quota
        ):
            is_ours = os.access(maildir, os.W_OK | os.X_OK, effective_ids=True)
            mends = (Recount(maildir, stored),) if is_ours else ()
            yield Finding("quota", patient.shown(path), *wrong, mends)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield Finding("unreadable", patient.shown(path), str(error.strerror), "a readable file")


def _wrong(
    patient: Patient, maildir: str, content: Content | None, quota: Quota
) -> tuple[str, str] | None:
    """Return what the file says and what is so; None where it does not lie."""
    if content is None:
        return "what nobody understands", "a quota and lines of two numbers"
    if content.quota != quota:
        wanted = "no file" if quota == UNLIMITED else f"the quota {quota.definition} of the row"
        return f"the quota {content.quota.definition}", wanted
    include_trash = patient.site.variables.get("INCLUDE_TRASH") is not None
    held = count_maildir(patient.disk, maildir, include_trash=include_trash)
    return None if _is_near(content.usage, held) else (str(content.usage), str(held))


def _is_near(told: Usage, held: Usage) -> bool:
    octets = max(OCTETS, held.octets * TOLERANCE)
    messages = max(MESSAGES, held.messages * TOLERANCE)
    return abs(told.octets - held.octets) <= octets and (
        abs(told.messages - held.messages) <= messages
    )
