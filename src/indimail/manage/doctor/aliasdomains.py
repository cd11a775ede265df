"""Alias domains: the link in domains/, the list in the real domain's directory, the row.

    list(check_aliases(patient))    -> [Finding("alias-domain", "domains/example.net", ...)]

Where two of the three say the same, the third is made to.

Source: spec/delivery.md 1.1, 2 (vaddaliasdomain).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from indimail.control.files import read_control
from indimail.manage.aliasdomains import LIST
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient
from indimail.manage.file_writes import AddLine, MakeLink
from indimail.manage.row_writes import AddAliasDomain
from indimail.manage.writes import TellAccount, Write


@dataclass(slots=True)
class _Alias:
    """What is said of an alias domain: the domain that it stands for."""

    link: str = ""
    row: str = ""
    lists: list[str] = field(default_factory=list)


def check_aliases(patient: Patient) -> Iterator[Finding]:
    """What link, list and row say of each alias domain."""
    for name, alias in sorted(_aliases(patient).items()):
        said = {alias.link, alias.row, *alias.lists} - {""}
        told = (
            f"link to {alias.link or 'nothing'}, row of {alias.row or 'nothing'}, "
            f"listed by {' '.join(alias.lists) or 'nobody'}"
        )
        if len(said) > 1:
            yield Finding("alias-domain", name, told, "one and the same domain")
            continue
        (real,) = said
        if real not in patient.domains or not os.path.isdir(patient.site.domain_dir(real)):
            yield Finding("alias-domain", name, told, f"{real} to be a domain, or no alias domain")
        elif not (alias.link and alias.row and alias.lists):
            mends = _mends(patient, name, real, alias)
            yield Finding("alias-domain", name, told, f"{real} in all three", mends)
        elif name not in patient.domains:
            yield Finding("alias-domain", name, told, f"a line of users/assign for {name}")


def _mends(patient: Patient, name: str, real: str, alias: _Alias) -> tuple[Write, ...]:
    """Return what makes the third of what two say; one alone may be what is left of a removal."""
    site, path = patient.site, patient.site.domain_dir(name)
    if sum(map(bool, (alias.link, alias.row, alias.lists))) < 2:
        return ()
    if not alias.link:
        return () if os.path.lexists(path) else (MakeLink(path, real),)
    if not alias.row:
        return (AddAliasDomain(name, real), TellAccount("", name))
    return (AddLine(os.path.join(site.domain_dir(real), LIST), name),)


def is_alias_link(path: str) -> bool:
    """Tell whether a name in domains/ leads to another name there, or would."""
    if not os.path.islink(path):
        return False
    folder = os.path.dirname(path)
    return os.path.dirname(os.path.normpath(os.path.join(folder, os.readlink(path)))) == folder


def _aliases(patient: Patient) -> dict[str, _Alias]:
    found: dict[str, _Alias] = {}
    folder = patient.site.places.domains_dir
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if is_alias_link(path):
            target = os.path.basename(os.readlink(path).rstrip("/"))
            found.setdefault(name, _Alias()).link = target
        elif os.path.isfile(os.path.join(path, LIST)):
            for line in read_control(os.path.join(path, LIST), LIST)[0].lines:
                found.setdefault(line.text.lower(), _Alias()).lists.append(name)
    for name, domain in patient.alias_rows.items():
        found.setdefault(name, _Alias()).row = domain
    return found
