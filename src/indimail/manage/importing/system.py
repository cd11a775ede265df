"""What is of no virtual domain: lines of users/assign, the user alias, addresses of this host.

    system_writes(site, accounts, files, source, {"example.com"})
        -> [AddEntry(...), CompileAssign(...), WriteFile(...), MapAddress(...)]

Sources: spec/delivery.md 3; spec/cluster-users.md 1.4 (ip_alias_map).
"""

import ipaddress
import os
from collections.abc import Collection

from indimail.accounts.port import Accounts
from indimail.delivery.assign import parse_assign
from indimail.mail.line import Line
from indimail.manage.file_writes import AddEntry, CompileAssign
from indimail.manage.importing.files import FileWrites
from indimail.manage.importing.report import State
from indimail.manage.importing.source import Source
from indimail.manage.instance import OWN_MAILDIR
from indimail.manage.row_writes import MapAddress
from indimail.manage.site import Site
from indimail.manage.writes import Write


def system_writes(
    site: Site, accounts: Accounts, files: FileWrites, source: Source, domains: Collection[str]
) -> list[Write]:
    """Return the writes; `domains` are those that are here by now."""
    writes = [
        *_entries(site, files, source),
        *_addresses(accounts, files, source, domains),
    ]
    for file in source.alias:
        path = os.path.join(site.places.alias, file.name)
        home = os.path.dirname(file.where)
        writes += files.dotqmail(path, file, home, ".qmail files of alias", [OWN_MAILDIR.encode()])
    return writes


def _entries(site: Site, files: FileWrites, source: Source) -> list[Write]:
    """Return what adds the lines of users of the system."""
    report, users_dir = files.report, site.places.users_dir
    text = files.disk.read(site.places.assign).decode("utf-8", "surrogateescape")
    here = {line.partition(":")[0].lower(): line for line in text.split("\n")}
    writes: list[Write] = []
    for where, line in source.entries:
        key = line.partition(":")[0].lower()
        assign, mistakes = parse_assign([Line(where, 1, line), Line(where, 2, ".")])
        entries = [*assign.exact.values(), *assign.prefixes.values()]
        if mistakes:
            report.note(State.LEFT, where, line, f"expected {mistakes[0].expected}")
        elif entries[0].uid == 0:
            report.note(State.LEFT, where, line, "mail is never handled as root")
        elif here.get(key, line) != line:
            report.note(State.KEPT, where, line, f"here it is {here[key]}")
        else:
            why = f"delivered as uid {entries[0].uid} in {entries[0].home}: is that right here?"
            report.note(State.MEND, where, line, why)
            writes += [AddEntry(users_dir, line)] if key not in here else []
    report.count("lines of users/assign", len(writes))
    return [*writes, CompileAssign(users_dir)] if writes else []


def _addresses(
    accounts: Accounts, files: FileWrites, source: Source, domains: Collection[str]
) -> list[Write]:
    """Return what gives local addresses their default domains."""
    here = dict(accounts.address_domains())
    writes: list[Write] = []
    for where, text, domain in source.addresses:
        try:
            address = str(ipaddress.ip_address(text))
        except ValueError:
            files.report.note(State.LEFT, where, text, "no IP address")
            continue
        if domain not in domains:
            files.report.note(State.LEFT, where, domain, "no domain here")
        elif here.get(address, domain) != domain:
            files.report.note(State.KEPT, where, domain, f"here it is {here[address]}")
        elif address not in here:
            writes.append(MapAddress(address, domain))
    files.report.count("addresses with a domain", len(writes))
    return writes
