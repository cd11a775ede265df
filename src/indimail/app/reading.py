"""One reading of an instance's files: each once, with its mistakes and notices gathered.

    reading = Reading(instance, os.environ)
    reading.view("smtp")["databytes"].source      -> 'tcp/tcp.smtp:3'
    reading.all_mistakes()                        -> [Mistake(...), ...], by file and line

Of a text and the data base made from it (tcp.smtp, morercpthosts) the newer one counts.

Not here: what the values are for (`app.read_process`, `app.read_clients`, ...), which level wins
(`app.resolve`).
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from indimail.app.instance import Instance
from indimail.app.listeners import role_of
from indimail.app.resolve import (
    DEFAULT,
    ENVIRONMENT,
    Entry,
    Level,
    Resolved,
    Scope,
    Setting,
    Values,
    default,
    parsed,
    resolve,
)
from indimail.app.settings import BY_NAME, SETTINGS, VARIABLES
from indimail.control.cdb import Cdb, read_cdb
from indimail.control.files import ControlFile, ControlFolder, read_control
from indimail.control.toml import Given, read_toml
from indimail.mail.errors import ConfigErrors, Mistake
from indimail.mail.verdict import Rule

TOML: Final = "indimail.toml"

# What is on for listeners of a role, and which of it whatever else is said.
SUBMISSION: Final = ("submission", "submissions")
FOR_ROLES: Final = {
    "SMTPS": ("submissions",), "STARTTLS": ("submission",), "AUTH": SUBMISSION,
    "REQUIREAUTH": SUBMISSION,
}  # fmt: skip
ALWAYS: Final = frozenset({"SMTPS", "AUTH"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says; `listen` replaces all configured listeners."""

    listen: Sequence[str] = ()
    workers: int | None = None


NO_OVERRIDES: Final = Overrides()


def variables_of_toml(given: Mapping[str, Given], section: str) -> dict[str, Entry]:
    """Return a section's variables as a level."""
    return {
        name: Entry(
            None if value.value is None else str(value.value),
            f"{TOML} [{section}]",
            Rule(TOML, value.line),
            TOML,
            value.line,
        )
        for name, value in given.items()
    }


def variables_of_environment(environ: Mapping[str, str]) -> dict[str, Entry]:
    """Return the environment's variables that are settings as a level."""
    return {
        name: Entry(environ[name], ENVIRONMENT, Rule(ENVIRONMENT, key=name), ENVIRONMENT, None)
        for name in VARIABLES
        if name in environ
    }


class Reading:
    """What has been read, and found wrong, so far."""

    def __init__(
        self, instance: Instance, environ: Mapping[str, str], overrides: Overrides = NO_OVERRIDES
    ) -> None:
        self.instance = instance
        self.overrides = overrides
        self.mistakes: list[Mistake] = []
        self.notices: list[str] = []
        self.controls = ControlFolder(instance.control_dir, instance.display(instance.control_dir))
        self.setup = self.noted(*read_toml(instance.toml, instance.display(instance.toml)))
        self.environ = environ
        self.levels: list[Level] = [
            variables_of_toml(self.setup.variables, "variables"),
            variables_of_environment(environ),
        ]
        self.me = self._me()
        self.seen: list[object] = []

    def view(self, listener: str) -> Values:
        """Return every setting as a listener's clients have it without a rule."""
        return self.values(Scope, [self.level_of_listener(listener)], listener)

    def level_of_listener(self, listener: str) -> Level:
        """Return the variables of a listener's section."""
        table = self.setup.listeners.get(listener)
        section = f"listener.{listener}.variables"
        return variables_of_toml(table.variables if table else {}, section)

    def all_mistakes(self) -> list[Mistake]:
        """Return the mistakes found so far, each once, by file and line."""
        found = dict.fromkeys([*self.mistakes, *self.controls.mistakes])
        return sorted(found, key=lambda mistake: (mistake.file, mistake.line or 0))

    def values(
        self, scopes: Iterable[Scope], narrower: Sequence[Level] = (), listener: str = ""
    ) -> Values:
        """Resolve every setting of some scopes; of those that wait too, so that all is checked."""
        levels = [*narrower, *self.levels]
        wanted = set(scopes)
        return Values(
            (setting.name, self.resolved(setting, levels, listener))
            for setting in SETTINGS
            if setting.scope in wanted
        )

    def resolved(self, setting: Setting, levels: Sequence[Level], listener: str = "") -> Resolved:
        """Resolve one setting; a mistake is noted and leaves the default."""
        if setting.toml:
            return self._from_toml(setting)
        value, mistakes = resolve(setting, levels, self.controls, self.me)
        if not setting.waits_for:  # what has no effect keeps nobody from starting
            self.mistakes += mistakes
        role = self._role(listener) if setting.name in FOR_ROLES else ""
        if role in FOR_ROLES.get(setting.name, ()) and (
            setting.name in ALWAYS or value.source == DEFAULT
        ):
            return Resolved(True, f"listener {listener}", Rule(f"listener {listener}"))
        return value

    def _from_toml(self, setting: Setting) -> Resolved:
        given = self.setup.settings.get(setting.toml)
        if setting.toml == "process.workers" and self.overrides.workers is not None:
            return self._from_argument(setting, "--workers", self.overrides.workers)
        if given is None:
            return default(setting, self.me)
        section, _, key = setting.toml.partition(".")
        rule = Rule(TOML, given.line)
        entry = Entry(str(given.value), f"{TOML} [{section}]", rule, TOML, given.line)
        return self.noted(*parsed(replace(setting, variable=key), entry, self.me))

    def _from_argument(self, setting: Setting, option: str, number: int) -> Resolved:
        try:
            return Resolved(setting.kind.parse(str(number)), option, Rule(option))
        except ValueError:
            self.mistakes.append(Mistake(option, None, str(number), setting.kind.expected))
            return default(setting, self.me)

    def variables(self) -> dict[str, str]:
        """Return the variables that hold for all clients, for deliveries and commands.

        Secrets are ours alone: what is returned is told to users' programs.
        """
        found = {name: self.environ[name] for name in VARIABLES if name in self.environ}
        for name, given in self.setup.variables.items():
            found.pop(name, None)
            if given.value is not None:
                found[name] = str(given.value)
        for name, setting in VARIABLES.items():
            if setting.kind.secret:
                found.pop(name, None)
        return found

    def _me(self) -> str:
        setting = BY_NAME["me"]
        file = self.controls["me"]
        if file.first is None:
            found = "no name in it" if file.exists else "no such file"
            self.mistakes.append(
                Mistake(file.name, None, found, "the full name of this host, as in mx.example.org")
            )
            return "localhost"
        value = self.noted(*resolve(setting, [], self.controls, "localhost"))
        return str(value.value or "localhost")

    def _role(self, listener: str) -> str:
        return role_of(listener, self.overrides.listen, self.setup.listeners)

    def newer_base(self, path: str, text: ControlFile) -> Cdb | None:
        """Return the data base beside a text, unless the text is newer."""
        name = self.instance.display(path)
        try:
            changed = os.stat(f"{path}.cdb").st_mtime_ns
        except OSError:
            changed = 0  # `base` tells why, if it is there
        if changed and text.exists and text.changed > changed:
            self.notices.append(f"{name}: newer than {name}.cdb: the text counts")
            return None
        return self.base(path)

    def base(self, path: str) -> Cdb | None:
        """Return the data base beside a text; None: there is none."""
        name = self.instance.display(path)
        try:
            return read_cdb(f"{path}.cdb", f"{name}.cdb")
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self.mistakes.append(Mistake(f"{name}.cdb", None, reason, "a readable file"))
        except ConfigErrors as errors:
            self.mistakes += errors.mistakes
        return None

    def records(self, base: Cdb) -> list[tuple[bytes, bytes]]:
        """Return what a data base holds; none where it is broken, which is a mistake."""
        try:
            records = list(base.items())
        except ConfigErrors as errors:
            self.mistakes += errors.mistakes
            return []
        self.seen.append(records)
        return records

    def notice_difference(self, text: ControlFile, name: str) -> None:
        """Tell that a data base counts although its text says something else."""
        if text.exists:
            self.notices.append(f"{name}.cdb: newer than {name}, and differs: the .cdb counts")

    def wrong_toml(self, name: str, expected: str) -> None:
        """Note a value of indimail.toml as a mistake."""
        given = self.setup.settings[name]
        key = name.partition(".")[2]
        self.mistakes.append(Mistake(TOML, given.line, f'{key} = "{given.value}"', expected))

    def file(self, path: str) -> ControlFile:
        """Return the lines of a file outside the control directory."""
        file = self.noted(*read_control(path, self.instance.display(path)))
        self.seen.append((file.name, file.exists, file.lines))
        return file

    def noted(self, value: T, mistakes: Sequence[Mistake]) -> T:
        """Return a parser's value, and keep its mistakes."""
        self.mistakes += mistakes
        return value

    def control_names(self) -> list[str]:
        """Return the names of the files in the control directory."""
        try:
            return sorted(os.listdir(self.instance.control_dir))
        except OSError:
            return []  # control/me tells what is wrong
