"""An instance is one directory; here is where its parts lie.

    instance = Instance("/var/indimail")
    instance.control_dir                    -> '/var/indimail/control'
    instance.display("/var/indimail/control/me")    -> 'control/me'
    find_root(None, os.environ)             -> INDIMAIL_ROOT, else '/var/indimail'
    open_instance(root, os.environ)         -> with the parts where the settings put them

IndiMail's variables put parts elsewhere: SYSCONFDIR (what holds control/ tcp/ users/ certs/),
CONTROLDIR (a relative one is below SYSCONFDIR), ASSIGNDIR, CERTDIR, DOMAINDIR (what holds
domains/), BASE_PATH (the homes), QUEUE_BASE, QUEUEDIR.  A relative path is below the root.
All paths are absolute, without a slash at the end.

Source: DESIGN 6, spec/delivery.md 0.  Not here: making the directories (`indimail init`), what
is in the files.
"""

import os
from collections.abc import Mapping
from typing import Final

DEFAULT_ROOT: Final = "/var/indimail"
NO_VARIABLES: Final[Mapping[str, str]] = {}
LOCATIONS: Final = (
    "SYSCONFDIR",
    "CONTROLDIR",
    "ASSIGNDIR",
    "CERTDIR",
    "DOMAINDIR",
    "BASE_PATH",
    "QUEUE_BASE",
    "QUEUEDIR",
)


def find_root(given: str | None, environ: Mapping[str, str]) -> str:
    """Return the instance's directory: ``--root``, INDIMAIL_ROOT or the default."""
    return os.path.abspath(given or environ.get("INDIMAIL_ROOT") or DEFAULT_ROOT)


def missing(root: str) -> str:
    """Return what a command says where there is no instance; nothing where there is one."""
    return "" if os.path.isdir(root) else f"{root}: no instance here; `indimail init` makes one"


def open_instance(root: str, environ: Mapping[str, str]) -> "Instance":
    """Return an instance with its parts where [variables] and the environment put them.

    A broken indimail.toml puts nothing anywhere; `app.configuration` tells what is wrong with it.
    """
    places = {name: environ[name] for name in LOCATIONS if environ.get(name)}
    for name, value in _placed_by_toml(Instance(root).toml).items():
        places.pop(name, None)
        places |= {name: value} if value else {}
    instance = Instance(root, places)
    base = "" if "QUEUE_BASE" in places else _queue_base(instance.control_dir)
    return Instance(root, {**places, "QUEUE_BASE": base}) if base else instance


def _placed_by_toml(path: str) -> dict[str, str]:
    """Return the variables of [variables] that move parts; empty: it is unset there.

    A program that is started for each mail has no time for a parser: the file is parsed only where
    one of the names may stand in it (an escape sequence may hide one).
    """
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except OSError:
        return {}
    if b"\\" not in octets and not any(name.encode() in octets for name in LOCATIONS):
        return {}
    from indimail.control.toml import parse_toml  # noqa: PLC0415 - see above

    given = parse_toml(octets, "indimail.toml")[0].variables
    return {name: str(given[name].value or "") for name in LOCATIONS if name in given}


def _queue_base(control_dir: str) -> str:
    path = os.path.join(control_dir, "queue_base")
    if not os.path.exists(path):
        return ""
    from indimail.control.files import read_control  # noqa: PLC0415 - most have no such file

    first = read_control(path, "queue_base")[0].first
    return first.text if first else ""


class Instance:
    """The paths of an instance; `variables` are those of IndiMail that move its parts."""

    def __init__(self, root: str, variables: Mapping[str, str] = NO_VARIABLES) -> None:
        self.root = os.path.abspath(root)
        sysconf = self._at(self.root, variables.get("SYSCONFDIR"), "")
        self.control_dir = self._at(sysconf, variables.get("CONTROLDIR"), "control")
        self.tcp_dir = self._at(sysconf, "tcp")
        self.users_dir = self._at(self.root, variables.get("ASSIGNDIR"), f"{sysconf}/users")
        self.certs = self._at(self.root, variables.get("CERTDIR"), f"{sysconf}/certs")
        domain_parent = self._at(self.root, variables.get("DOMAINDIR"), "")
        self.domains_dir = self._at(domain_parent, "domains")
        self.mail = self._at(self.root, variables.get("BASE_PATH"), "mail")
        self.queue_base = self._at(self.root, variables.get("QUEUE_BASE"), "queue")
        # Named for every message, where it is named; empty: the queues of `queue_base`.
        queuedir = variables.get("QUEUEDIR")
        self.queuedir = self._at(self.root, queuedir) if queuedir else ""
        self.alias = self._at(self.root, "alias")
        self.db = self._at(self.root, "db")
        self.trace = self._at(self.root, "trace")
        self.log = self._at(self.root, "log")
        self.run = self._at(self.root, "run")
        self.toml = self._at(self.root, "indimail.toml")

    @property
    def spool(self) -> str:
        """Where mail is put while nobody runs to take it."""
        return os.path.join(self.queue_base, "spool")

    @property
    def assign(self) -> str:
        """Return ``users/assign``."""
        return os.path.join(self.users_dir, "assign")

    @property
    def tcp_smtp(self) -> str:
        """Return ``tcp/tcp.smtp``."""
        return os.path.join(self.tcp_dir, "tcp.smtp")

    @property
    def watched(self) -> tuple[str, str, str, str]:
        """The directories whose files take effect before the next connection or MAIL."""
        return (self.control_dir, self.tcp_dir, self.users_dir, self.certs)

    def display(self, path: str) -> str:
        """Return the name that operators are told: below the root without it, else absolute."""
        inside = self.root.rstrip("/") + "/"
        return path.removeprefix(inside) if path != inside else path

    @staticmethod
    def _at(above: str, given: str | None, default: str = "") -> str:
        """Join and clean; a path that was given absolute stays where it is."""
        return os.path.normpath(os.path.join(above, given or default))
