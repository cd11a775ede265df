"""Constant data bases beside their texts: those that say something else, or nothing.

    list(check_databases(patient))  -> [Finding("cdb", "users/cdb", "3 records that ...", ...)]

They are judged by what they say, not by their time: the time decides which of two that differ the
server follows.  Where that is the text already, compiling it changes nothing for the server.

Source: spec/delivery.md 1.1 (users/cdb); spec/smtp.md 1.4, 3.8.  Not here: lines of the texts that
no parser understands.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from indimail.control.cdb import read_cdb
from indimail.control.files import read_control
from indimail.mail.errors import ConfigErrors
from indimail.mail.match import key_of, parse_domain_rules
from indimail.manage.assign import build_records
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient, is_older
from indimail.manage.file_writes import CompileAssign, CompileHosts, CompileRules
from indimail.manage.writes import Write
from indimail.policy.tcprules import compile_rules, parse_tcp_rules

Records = Mapping[Any, object]  # by the octets, or the text, of a key


def check_databases(patient: Patient) -> Iterator[Finding]:
    """users/cdb, control/morercpthosts.cdb, tcp/tcp.smtp.cdb."""
    site = patient.site
    if (assigned := _assigned(patient)) is not None:
        path = os.path.join(site.places.users_dir, "cdb")
        yield from _compare(patient, path, assigned, CompileAssign(site.places.users_dir))
    text = site.control("morercpthosts")
    if os.path.exists(text) and os.path.exists(f"{text}.cdb"):
        hosts = parse_domain_rules(patient.lines("morercpthosts"), suffixes=True)[0]
        mends = CompileHosts(text)
        yield from _compare(patient, f"{text}.cdb", dict.fromkeys(hosts), mends, text)
    text = site.places.tcp_smtp
    if os.path.exists(text) and os.path.exists(f"{text}.cdb"):
        rules, wrong = parse_tcp_rules(read_control(text, "tcp/tcp.smtp")[0].lines)
        if not wrong:
            compiled = dict(compile_rules(rules))
            yield from _compare(patient, f"{text}.cdb", compiled, CompileRules(text), text)


def _assigned(patient: Patient) -> Records | None:
    """Return the records that users/cdb shall have; None where a line is wrong."""
    try:
        return _first(build_records(patient.disk.read(patient.site.places.assign)))
    except (ConfigErrors, FileNotFoundError):
        return None


def _first(records: Iterable[tuple[object, object]]) -> Records:
    """Return the records as a look-up sees them: of two for one key the first."""
    found: dict[object, object] = {}
    for key, data in records:
        found.setdefault(key, data)
    return found


def _compare(
    patient: Patient, path: str, wanted: Records, mends: Write, text: str = ""
) -> Iterator[Finding]:
    """Compare a data base with the records that its text makes; `text`: where its time decides."""
    shown, name = patient.shown(path), os.path.basename(text or "users/assign")
    try:
        items = list(read_cdb(path, shown).items())
    except FileNotFoundError:
        yield Finding("cdb", shown, "no file", f"what is made of {name}", (mends,))
        return
    except ConfigErrors as errors:
        wrong = errors.mistakes[0]
        yield Finding("cdb", shown, wrong.found, wrong.expected, (mends,))
        return
    found = _hosts(items) if isinstance(mends, CompileHosts) else _first(items)
    if found == wanted:
        return
    lacks, more = len(wanted.keys() - found.keys()), len(found.keys() - wanted.keys())
    others = sum(1 for key in wanted.keys() & found.keys() if wanted[key] != found[key])
    told = f"{lacks} records missing, {more} too many, {others} that say something else"
    if text and is_older(text, path):
        yield Finding(
            "cdb", shown, f"{told}, and newer: it counts", f"what {name} says, or no text"
        )
    else:
        yield Finding("cdb", shown, told, f"what {name} says", (mends,))


def _hosts(items: Iterable[tuple[bytes, bytes]]) -> Records:
    return {key_of(key.decode("utf-8", "backslashreplace")): None for key, _ in items}
