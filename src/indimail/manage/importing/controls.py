"""Control files of another system: merged, copied, or told why they are not.

    plan = ControlPlan(site, files)
    plan.writes(source.controls, {"example.com", "example.net"})   -> [AddLine(...), WriteFile(...)]

- rcpthosts, morercpthosts, virtualdomains, locals: the lines that are missing here are added, but for
  those of the source's virtual domains: what was taken of them has its lines, what was left has none;
- what is a setting of ours (`Ways.controls`) is copied where it is missing here;
- what holds passwords, names hosts of a cluster, or says where this host's own parts lie is left.

`Ways.check` reads the configuration as it would be; a file, or a line, with a mistake in it is left.

Without rcpthosts qmail takes mail for everybody.  That is not taken over.

Sources: spec/delivery.md 1.1; spec/smtp.md 7, 14.  Not here: tcp.smtp (`manage.importing.clients`).
"""

import os
from collections.abc import Collection, Mapping
from typing import Final

from indimail.control.files import parse_lines, read_control
from indimail.manage.file_writes import AddLine, CompileHosts, WriteFile
from indimail.manage.importing.files import FileWrites
from indimail.manage.importing.report import State
from indimail.manage.importing.source import FoundFile
from indimail.manage.routing import RCPTHOSTS_LINES
from indimail.manage.site import Site
from indimail.manage.writes import Write

_MERGED: Final = ("rcpthosts", "morercpthosts", "virtualdomains", "locals")
_DATABASE: Final = "where accounts are stands in indimail.toml, [database] url"
_CLUSTER: Final = "the cluster: not yet"
_OURS: Final = "says where parts of that host lie"
_LEFT: Final = {
    "host.mysql": _DATABASE, "host.cntrl": _CLUSTER, "host.master": _CLUSTER, "mcdinfo": _CLUSTER,
    "hostid": _CLUSTER, "mysql_lib": _DATABASE, "libindimail": _OURS, "queue_base": _OURS,
    "defaultqueue": _OURS, "me": "this host keeps its own name",
}  # fmt: skip
_LOCAL_ROUTE: Final = "routed to a local address: is who gets it here too?"
_NO_RCPTHOSTS: Final = "not there: it took mail for everybody; here it is taken for what is named"


class ControlPlan:
    """Plans the control files, and tells of what is left."""

    def __init__(self, site: Site, files: FileWrites) -> None:
        self._site = site
        self._files = files
        self._report = files.report
        self._known = files.ways.controls
        self._check = files.ways.check

    def writes(self, controls: Collection[FoundFile], taken: Collection[str]) -> list[Write]:
        """Return the writes; `taken` are the virtual domains and alias domains of the source."""
        found = {file.name: file for file in controls}
        if found and "rcpthosts" not in found:
            self._report.note(State.CHANGED, "control/rcpthosts", "", _NO_RCPTHOSTS)
        copied = [file for file in controls if file.name not in _MERGED]
        return [*self._merged(found, taken), *self._copied(copied, set(found))]

    # -- copied whole ----------------------------------------------------------------------------

    def _copied(self, controls: Collection[FoundFile], names: set[str]) -> list[Write]:
        writes: dict[str, WriteFile] = {}
        where: dict[str, str] = {}
        for file in controls:
            why = self._refusal(file, names)
            if why is None:
                continue
            if why:
                self._report.note(State.LEFT, file.where, "", why)
                continue
            mode = 0o644 if file.mode & 0o004 else 0o600
            path, where[file.name] = self._site.control(file.name), file.where
            if os.path.isfile(path) and self._files.disk.read(path) == file.octets:
                self._tell_what_waits(file.name, file.where)
            text = file.octets.decode("utf-8", "surrogateescape")
            for write in self._files.file(path, text, mode, file.where):
                assert isinstance(write, WriteFile)
                writes[file.name] = write
        self._drop_mistakes(writes, where)
        for name in writes:
            self._report.count("control files")
            self._tell_what_waits(name, where[name])
        return list(writes.values())

    def _tell_what_waits(self, name: str, where: str) -> None:
        if self._known[name]:
            self._report.note(State.WAITS, where, "", self._known[name])

    def _refusal(self, file: FoundFile, names: set[str]) -> str | None:
        """Say why a file is not copied; empty: it is; None: what it says is here already."""
        base, dot, ending = file.name.rpartition(".")
        if dot and ending == "cdb":
            return None if base in names else "a data base without its text"
        if file.name == "me":
            here, _ = read_control(self._site.control("me"), "control/me")
            said = file.octets.decode("utf-8", "replace").strip().lower()
            return None if here.first and here.first.text.lower() == said else _LEFT["me"]
        if file.name in _LEFT:
            return _LEFT[file.name]
        if ending == "pem":
            return "a certificate: where ours is says [tls] in indimail.toml"
        return "" if file.name in self._known else "not known here"

    def _drop_mistakes(self, writes: dict[str, WriteFile], where: Mapping[str, str]) -> None:
        """Leave out the files that the configuration could not be read with."""
        before = set(self._check({}))
        while writes:
            mistakes = [
                mistake
                for mistake in self._check({write.path: write.octets for write in writes.values()})
                if mistake not in before
            ]
            wrong = {os.path.basename(mistake.file) for mistake in mistakes} & writes.keys()
            for mistake in mistakes:
                name = os.path.basename(mistake.file)
                line = f":{mistake.line}" if mistake.line else ""
                at = f"{where[name]}{line}" if name in where else mistake.file
                why = f"found {mistake.found}, expected {mistake.expected}"
                self._report.note(State.LEFT, at, "", why)
            for name in wrong if wrong else list(writes) if mistakes else ():
                del writes[name]
            if not mistakes:
                return

    # -- merged line by line ---------------------------------------------------------------------

    def _merged(self, found: Mapping[str, FoundFile], taken: Collection[str]) -> list[Write]:
        writes: list[Write] = []
        hosts = [*self._here("rcpthosts"), *self._here("morercpthosts")]
        room = RCPTHOSTS_LINES - len(self._here("rcpthosts"))
        more = False
        for name in ("rcpthosts", "morercpthosts"):
            for line in self._lines(found.get(name), taken, hosts):
                target = "rcpthosts" if room > 0 else "morercpthosts"
                room, more = room - 1, more or room <= 0
                writes.append(AddLine(self._site.control(target), line))
        if more:
            writes.append(CompileHosts(self._site.control("morercpthosts")))
        local = self._lines(found.get("locals"), taken, self._here("locals"))
        path = self._site.control("locals")
        if local and not os.path.exists(path):  # without the file the name in `me` is local
            local = [*self._here("me")[:1], *local]
        writes += [AddLine(path, line) for line in local]
        path = self._site.control("virtualdomains")
        return [*writes, *(AddLine(path, line) for line in self._virtual(found, taken))]

    def _lines(
        self, file: FoundFile | None, taken: Collection[str], here: Collection[str]
    ) -> list[str]:
        """Return the lines of a list of domains that are missing here."""
        known = {line.lower() for line in here} | set(taken)
        wanted: list[tuple[str, str]] = []
        for where, text in self._texts(file):
            if text.lower() not in known:
                known.add(text.lower())
                wanted.append((where, text))
        return [text for _, text in self._right(file, wanted)]

    def _virtual(self, found: Mapping[str, FoundFile], taken: Collection[str]) -> list[str]:
        """Return the lines of virtualdomains that are of no domain that was taken."""
        file = found.get("virtualdomains")
        here = {line.partition(":")[0].lower(): line for line in self._here("virtualdomains")}
        wanted: list[tuple[str, str]] = []
        for where, text in self._texts(file):
            key, _, prepend = text.partition(":")
            if key.lower() in taken:
                if prepend.lower() not in taken:
                    self._report.note(State.LEFT, where, text, "the domain's own line counts here")
            elif key.lower() not in here:
                here[key.lower()] = text
                wanted.append((where, text))
            elif here[key.lower()].lower() != text.lower():
                self._report.note(State.KEPT, where, text, f"here it is {here[key.lower()]}")
            else:
                self._report.note(State.MEND, where, text, _LOCAL_ROUTE)
        right = self._right(file, wanted)
        for where, text in right:
            self._report.note(State.MEND, where, text, _LOCAL_ROUTE)
        return [text for _, text in right]

    def _right(
        self, file: FoundFile | None, wanted: list[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """Return the lines that can be read behind those that are here; tell of the others."""
        if file is None or not wanted:
            return []
        path = self._site.control(file.name)
        here = self._files.disk.read(path) if os.path.exists(path) else b""
        here += b"" if here.endswith(b"\n") or not here else b"\n"
        octets = here + b"".join(f"{text}\n".encode() for _, text in wanted)
        first, wrong = here.count(b"\n") + 1, set()
        for mistake in self._check({path: octets}):
            if os.path.basename(mistake.file) == file.name and (mistake.line or 0) >= first:
                where, text = wanted[(mistake.line or 0) - first]
                why = f"found {mistake.found}, expected {mistake.expected}"
                self._report.note(State.LEFT, where, text, why)
                wrong.add(where)
        right = [(where, text) for where, text in wanted if where not in wrong]
        self._report.count("lines of control files", len(right))
        return right

    def _texts(self, file: FoundFile | None) -> list[tuple[str, str]]:
        if file is None:
            return []
        lines, mistakes = parse_lines(file.octets, file.where)
        for mistake in mistakes:
            self._report.note(State.LEFT, str(mistake), "", "")
        return [(f"{file.where}:{line.number}", line.text) for line in lines]

    def _here(self, name: str) -> list[str]:
        found, _ = read_control(self._site.control(name), f"control/{name}")
        return [line.text for line in found.lines]
