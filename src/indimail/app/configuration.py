"""All files of an instance, read into one `Snapshot`, or all their mistakes at once.

    instance = open_instance(find_root(args.root, os.environ), os.environ)
    snapshot = load(instance, os.environ, Overrides(listen=("smtp=127.0.0.1:0",)))
    for notice in snapshot.notices: ...        # what is not wrong, and should be known

Raises `ConfigErrors` with every mistake of every file; then the caller does not start, or keeps the
snapshot it has.  Reads files only: no socket is bound and no database opened.  Certificates are
loaded as the service account, which will have to.

Of a text and the data base made from it (tcp.smtp, morercpthosts) the newer one counts; rules are
named by their line in the text wherever both say the same.

Sources: spec/smtp.md 1.2 to 1.4, 14, 15; spec/queue.md 1.6, 1.8.
Not here: the settings (`app.settings`), which level wins (`app.resolve`).
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from indimail.app.instance import Instance
from indimail.app.listeners import read_listeners, role_of
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
from indimail.app.sessions import session_settings
from indimail.app.settings import BY_NAME, CONTROLS, SETTINGS, VARIABLES
from indimail.control.cdb import Cdb, read_cdb
from indimail.control.files import ControlFile, ControlFolder, read_control
from indimail.control.toml import Given, read_toml
from indimail.delivery.assign import parse_assign
from indimail.delivery.blackhole import parse_black_hole
from indimail.delivery.bounce import BounceSettings
from indimail.delivery.daily import MAILCOUNT_LIMIT, MAILSIZE_LIMIT, DailyLimits
from indimail.delivery.overquota import WARNINGS
from indimail.delivery.program import Limits
from indimail.mail.errors import ConfigErrors, Mistake
from indimail.mail.match import DomainTable, key_of, parse_domain_rules, parse_domains, quoted
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.mailbox.maildirsize import Counting
from indimail.manage.site import acting_as
from indimail.net.tls import TlsContext
from indimail.policy.relay import RelayRules
from indimail.policy.tcprules import (
    ClientRule,
    TcpRules,
    compile_rules,
    parse_tcp_rules,
    rules_from_records,
)
from indimail.schedule.route import FILES as ROUTING_FILES
from indimail.schedule.route import Routing, parse_routing
from indimail.serve.snapshot import (
    GRANTED,
    NOTHING_GRANTED,
    Grant,
    InjectSettings,
    ListenerConfig,
    LocalSettings,
    ProcessSettings,
    QueueSettings,
    QuotaSettings,
    SendSettings,
    SessionSettings,
    Snapshot,
    grant,
)

TOML: Final = "indimail.toml"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says; `listen` replaces all configured listeners."""

    listen: Sequence[str] = ()
    workers: int | None = None


NO_OVERRIDES: Final = Overrides()


def load(
    instance: Instance,
    environ: Mapping[str, str],
    overrides: Overrides = NO_OVERRIDES,
    running: Snapshot | None = None,
) -> Snapshot:
    """Read everything.  Raises `ConfigErrors`.

    Beside a `running` server what only a start can change stays as it is there; the generation is
    the next one.
    """
    return Loading(instance, environ, overrides).snapshot(running)


def reload(
    instance: Instance, environ: Mapping[str, str], overrides: Overrides, running: Snapshot
) -> Snapshot | None:
    """Read everything again; None where nothing changed.  Raises `ConfigErrors`."""
    found = load(instance, environ, overrides, running)
    return None if found.fingerprint == running.fingerprint else found


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


class Loading:
    """One reading: files are read once, mistakes and notices gathered."""

    def __init__(
        self, instance: Instance, environ: Mapping[str, str], overrides: Overrides = NO_OVERRIDES
    ) -> None:
        self.instance = instance
        self.overrides = overrides
        self.mistakes: list[Mistake] = []
        self.notices: list[str] = []
        self.controls = ControlFolder(instance.control_dir, instance.display(instance.control_dir))
        self.setup = self._noted(*read_toml(instance.toml, instance.display(instance.toml)))
        self.environ = environ
        self.levels: list[Level] = [
            variables_of_toml(self.setup.variables, "variables"),
            variables_of_environment(environ),
        ]
        self.me = self._me()
        self._seen: list[object] = []

    def snapshot(self, running: Snapshot | None) -> Snapshot:
        """Read everything.  Raises `ConfigErrors`."""
        process = self.process()
        listeners = self.listeners(process)
        fingerprinted = (listeners, process)
        if running is not None:
            listeners, process = self._kept(listeners, process, running)
        tcp_rules = self.tcp_rules()
        relay = self.relay()
        routing = self.routing()
        assign = self._noted(*parse_assign(self._file(self.instance.assign).lines))
        queue = self.queue(process)
        sessions = self.sessions(listeners, process, tcp_rules)
        self.values(Scope)  # also what no listener and no queue asked for
        self._notice_waiting()
        mistakes = self.all_mistakes()
        if mistakes:
            raise ConfigErrors(mistakes)
        variables = self.variables()
        return Snapshot(
            running.generation + 1 if running else 0,
            self._fingerprint(*fingerprinted, queue, variables),
            self.me, listeners, process, tcp_rules, relay, routing, assign, queue, sessions,
            variables, tuple(dict.fromkeys(self.notices)),
        )  # fmt: skip

    def _kept(
        self,
        listeners: tuple[ListenerConfig, ...],
        process: ProcessSettings,
        running: Snapshot,
    ) -> tuple[tuple[ListenerConfig, ...], ProcessSettings]:
        """Return what was decided at the start, and say where the files say otherwise now."""
        old = running.process
        kept = replace(
            process,
            workers=old.workers,
            user=old.user,
            log_files=old.log_files,
            database_url=old.database_url,
        )
        if kept != process or listeners != running.listeners:
            what = "listeners, workers, user, log and database"
            self.notices.append(f"{self.setup.name}: {what} change at the next start")
        return running.listeners, kept

    def view(self, listener: str) -> Values:
        """Return every setting as a listener's clients have it without a rule."""
        return self.values(Scope, [self._level_of_listener(listener)], listener)

    def _level_of_listener(self, listener: str) -> Level:
        table = self.setup.listeners.get(listener)
        section = f"listener.{listener}.variables"
        return variables_of_toml(table.variables if table else {}, section)

    def all_mistakes(self) -> list[Mistake]:
        """Return the mistakes found so far, each once, by file and line."""
        found = dict.fromkeys([*self.mistakes, *self.controls.mistakes])
        return sorted(found, key=lambda mistake: (mistake.file, mistake.line or 0))

    # -- settings --------------------------------------------------------------------------------

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
        if setting.name == "SMTPS" and self._role(listener) == "submissions":
            return Resolved(True, f"listener {listener}", Rule(TOML))
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
        return self._noted(*parsed(replace(setting, variable=key), entry, self.me))

    def _from_argument(self, setting: Setting, option: str, number: int) -> Resolved:
        try:
            return Resolved(setting.kind.parse(str(number)), option, Rule(option))
        except ValueError:
            self.mistakes.append(Mistake(option, None, str(number), setting.kind.expected))
            return default(setting, self.me)

    def variables(self) -> dict[str, str]:
        """Return the variables that hold for all clients, for deliveries and commands."""
        found = {name: self.environ[name] for name in VARIABLES if name in self.environ}
        for name, given in self.setup.variables.items():
            found.pop(name, None)
            if given.value is not None:
                found[name] = str(given.value)
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
        value = self._noted(*resolve(setting, [], self.controls, "localhost"))
        return str(value.value or "localhost")

    # -- processes and listeners -----------------------------------------------------------------

    def process(self) -> ProcessSettings:
        """Return what is decided before the first fork."""
        values = self.values([Scope.PROCESS])
        log = values["process.log"]
        if log.value not in ("stderr", "files"):
            self._wrong_toml("process.log", '"stderr" or "files"')
        affinity = values["process.affinity"]
        if affinity.value not in ("auto", "none"):
            self._wrong_toml("process.affinity", '"auto" or "none"')
        certificate = self._certificate(values, "tls.certificate")
        key = self._certificate(values, "tls.key")
        self._check_certificate(certificate, key)
        return ProcessSettings(
            workers=values.optional_number("process.workers") or os.cpu_count() or 1,
            user=values.text("process.user"),
            log_files=log.value == "files",
            drain=values.number("process.drain_seconds"),
            affinity=affinity.value == "auto",
            max_connections=values.number("MAXDAEMONS"),
            max_connections_rule=values["MAXDAEMONS"].rule,
            certificate=certificate,
            key=key,
            database_url=Secret(values.text("database.url")),
        )

    def _certificate(self, values: Values, name: str) -> str:
        """Return the path of a file in certs/; empty where none was given and none is there."""
        text = values.text(name)
        path = os.path.join(self.instance.certs, text) if text else ""
        if path and not os.path.isfile(path):
            if values[name].source != DEFAULT:
                self._wrong_toml(name, f"a file in {self.instance.display(self.instance.certs)}/")
            return ""
        return path

    def _check_certificate(self, certificate: str, key: str) -> None:
        """Load the certificate as the workers will: as the owner of the instance."""
        if not certificate:
            return
        owner = os.stat(self.instance.root)
        try:
            with acting_as(owner.st_uid, owner.st_gid):
                TlsContext.load(certificate, key, self.instance.display)
        except ConfigErrors as errors:
            self.mistakes += errors.mistakes

    def _wrong_toml(self, name: str, expected: str) -> None:
        given = self.setup.settings[name]
        key = name.partition(".")[2]
        self.mistakes.append(Mistake(TOML, given.line, f'{key} = "{given.value}"', expected))

    def listeners(self, process: ProcessSettings) -> tuple[ListenerConfig, ...]:
        """Return the listeners: of the command line, else of the file, else the default one."""
        given, certificate = self.overrides.listen, bool(process.certificate)
        return self._noted(*read_listeners(given, self.setup, has_certificate=certificate))

    def _role(self, listener: str) -> str:
        return role_of(listener, self.overrides.listen, self.setup.listeners)

    # -- clients ---------------------------------------------------------------------------------

    def tcp_rules(self) -> TcpRules:
        """Read tcp.smtp, or the data base made from it where that is newer."""
        text = self._file(self.instance.tcp_smtp)
        rules = self._noted(*parse_tcp_rules(text.lines))
        base = self._newer_base(self.instance.tcp_smtp, text)
        if base is None:
            return rules
        records = self._records(base)
        if text.exists and dict(reversed(records)) == dict(compile_rules(rules)):
            return rules
        name = self.instance.display(self.instance.tcp_smtp)
        self._notice_difference(text, name)
        return self._noted(*rules_from_records(records, f"{name}.cdb"))

    def _records(self, base: Cdb) -> list[tuple[bytes, bytes]]:
        try:
            records = list(base.items())
        except ConfigErrors as errors:
            self.mistakes += errors.mistakes
            return []
        self._seen.append(records)
        return records

    def _notice_difference(self, text: ControlFile, name: str) -> None:
        if text.exists:
            self.notices.append(f"{name}.cdb: newer than {name}, and differs: the .cdb counts")

    def _newer_base(self, path: str, text: ControlFile) -> Cdb | None:
        """Return the data base beside a text, unless the text is newer."""
        name = self.instance.display(path)
        try:
            changed = os.stat(f"{path}.cdb").st_mtime_ns
            if text.exists and text.changed > changed:
                self.notices.append(f"{name}: newer than {name}.cdb: the text counts")
                return None
            return read_cdb(f"{path}.cdb", f"{name}.cdb")
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self.mistakes.append(Mistake(f"{name}.cdb", None, reason, "a readable file"))
        except ConfigErrors as errors:
            self.mistakes += errors.mistakes
        return None

    def sessions(
        self, listeners: Sequence[ListenerConfig], process: ProcessSettings, rules: TcpRules
    ) -> dict[tuple[str, Grant], SessionSettings]:
        """Resolve what each listener and each distinct rule gives a client."""
        grants: dict[Grant, list[Level]] = {NOTHING_GRANTED: []}
        for _, client in rules.listed:
            self._check_level(level_of_rule(client, client.rule))
            grants.setdefault(grant(client), [level_of_rule(client, GRANTED)])
        found = {}
        for listener in listeners:
            own = self._level_of_listener(listener.name)
            self._check_level(own)
            for granted, level in grants.items():
                values = self.values([Scope.CLIENT, Scope.QUEUE], [*level, own], listener.name)
                found[listener.name, granted] = session_settings(
                    values, listener, process, self.instance.root
                )
        return found

    def _check_level(self, level: Mapping[str, Entry]) -> None:
        """Note what is wrong in a level, and what has no effect there."""
        for name, entry in level.items():
            setting = VARIABLES.get(name)
            if setting is None or entry.text is None:
                continue
            if setting.waits_for:
                self.notices.append(f"{entry.rule}: {name}: {setting.status}")
                continue
            self.mistakes += parsed(setting, entry, self.me)[1]
            if setting.scope is not Scope.CLIENT:
                self.notices.append(f"{entry.rule}: {name}: has no effect for some clients only")

    # -- recipients ------------------------------------------------------------------------------

    def relay(self) -> RelayRules:
        """Read rcpthosts and morercpthosts."""
        hosts = self._noted(*parse_domains(self.controls["rcpthosts"].lines))
        if not self.controls["rcpthosts"].lines and not self.controls["morercpthosts"].lines:
            name = self.controls.display("rcpthosts")
            self.notices.append(f"{name}: lists nothing: mail is taken only from who may relay")
        return RelayRules(hosts, self._more_hosts())

    def _more_hosts(self) -> DomainTable:
        """Read morercpthosts, or the data base made from it where that is newer."""
        text = self.controls["morercpthosts"]
        lines = self._noted(*parse_domain_rules(text.lines, suffixes=True))
        base = self._newer_base(self.controls.locate("morercpthosts"), text)
        if base is None:
            return DomainTable(lines.get)
        keys = self._keys(base, f"{text.name}.cdb")
        if set(keys) != set(lines):
            self._notice_difference(text, text.name)
        rules = {key: lines.get(key) or Rule(f"{text.name}.cdb", key=key) for key in keys}
        return DomainTable(rules.get)

    def _keys(self, base: Cdb, name: str) -> list[str]:
        """Return the domains of a data base; what is none is a mistake."""
        keys = []
        for raw, _ in self._records(base):
            text = raw.decode("utf-8", "backslashreplace")
            key = key_of(text)
            if key is None:
                expected = "a domain, or .domain for its sub-domains"
                self.mistakes.append(Mistake(name, None, quoted(text), expected))
            else:
                keys.append(key)
        return keys

    def routing(self) -> Routing:
        """Read what decides where a recipient goes."""
        files = {name: self.controls[name] for name in ROUTING_FILES}
        lines = {name: file.lines for name, file in files.items() if file.exists}
        return self._noted(*parse_routing(lines, self.me))

    # -- queues ----------------------------------------------------------------------------------

    def queue(self, process: ProcessSettings) -> QueueSettings:
        """Return which queues there are and how they are worked off."""
        values = self.values([Scope.PROCESS, Scope.QUEUE])
        lifetime = values.number("queuelifetime")
        send = SendSettings(
            concurrencylocal=values.number("concurrencylocal"),
            concurrencyremote=values.number("concurrencyremote"),
            holdlocal=values.number("holdlocal") > 0,
            holdremote=values.number("holdremote") > 0,
            queuelifetime=lifetime,
            bouncelifetime=min(lifetime, values.number("bouncelifetime")),
        )
        return QueueSettings(
            base=self.instance.queue_base,
            start=values.number("QUEUE_START"),
            count=values.optional_number("QUEUE_COUNT") or process.workers,
            queuedir=self.instance.queuedir,
            min_free=values.number("MIN_FREE"),
            send=send,
            sends=self._sends(send),
            inject=self._inject(),
            bounces=self._bounces(values),
            default_delivery="\n".join(values.lines("defaultdelivery")),
            quota=self._quota(values),
            local=self._local(values),
            black_hole=parse_black_hole(
                self.controls["blackholedsender"].lines, self.controls["blackholedpatterns"].lines
            ),
            programs=Limits(
                seconds=values.number("PROGRAM_SECONDS"),
                cpu=values.number("PROGRAM_CPU"),
                memory=values.number("PROGRAM_MEMORY"),
                processes=values.number("PROGRAM_PROCESSES"),
                file=values.number("PROGRAM_FILE"),
                output=values.number("PROGRAM_OUTPUT"),
                at_once=values.number("PROGRAMS"),
            ),
            lspawn_idle=values.number("LSPAWN_IDLE"),
        )

    def _local(self, values: Values) -> LocalSettings:
        """Return what holds for deliveries to all local addresses."""
        domains, only_local = self.controls["localdomains"].lines, values["LOCALDOMAINS"].rule
        return LocalSettings(
            max_delivered_to=values.number("maxdeliveredto"),
            qmail_ext=values.switch("QMAIL_EXT"),
            discard_bounce=values.switch("DISCARD_BOUNCE"),
            allow_inactive=values.switch("ALLOW_INACTIVE"),
            no_alias=values.text("NOALIAS")[:1] > "0",
            duplicates=values.number("ELIMINATE_DUPS_INT")
            if values.switch("ELIMINATE_DUPS")
            else 0,
            local_domains=self._noted(*parse_domain_rules(domains, suffixes=True)),
            only_local=only_local if values.switch("LOCALDOMAINS") else None,
        )

    def _quota(self, values: Values) -> QuotaSettings:
        """Return what holds for the quotas of all mailboxes."""
        root, hold = self.instance.root, values.text("HOLDOVERQUOTA")
        command = values.text("OVERQUOTA_CMD") or f"{values.text('LIBEXECDIR')}/overquota.sh"
        messages = values.optional_number("MAILCOUNT_LIMIT")
        octets = values.optional_number("MAILSIZE_LIMIT")
        limits = DailyLimits(
            MAILCOUNT_LIMIT if messages is None else messages,
            MAILSIZE_LIMIT if octets is None else octets,
        )
        warnings = (f"QUOTAWARN{number}" for number in range(1, WARNINGS + 1))
        return QuotaSettings(
            counting=Counting(
                max_age=values.number("MAILDIRSIZE_MAX_AGE"),
                max_size=values.number("MAILDIRSIZE_MAX_SIZE"),
                fast=values.switch("FAST_QUOTA"),
                include_trash=values.switch("INCLUDE_TRASH"),
            ),
            mailsize=values.number("OVERQUOTA_MAILSIZE"),
            limits=None if messages is None and octets is None else limits,
            percents=tuple(values.optional_number(name) or 0 for name in warnings),
            command=os.path.normpath(os.path.join(root, command)),
            hold=hold if os.path.isabs(hold) else "",
        )

    def _bounces(self, values: Values) -> BounceSettings:
        """Return how bounces are made."""
        double = values.lines("doublebounceto")
        return BounceSettings(
            me=self.me,
            bouncefrom=values.text("bouncefrom"),
            bouncehost=values.text("bouncehost"),
            bouncesubject=values.text("bouncesubject"),
            bouncemessage=values.lines("bouncemessage"),
            bouncemaxbytes=values.number("bouncemaxbytes"),
            doublebounceto=double[0] if double else "",
            doublebouncehost=values.text("doublebouncehost"),
            doublebouncesubject=values.text("doublebouncesubject"),
            doublebouncemessage=values.lines("doublebouncemessage"),
        )

    def _inject(self) -> InjectSettings:
        """Return what holds for local programs, which no listener and no rule is about."""
        values = self.values([Scope.CLIENT])
        return InjectSettings(
            databytes=values.number("databytes"),
            databytes_rule=values["databytes"].rule,
            max_recipients=values.number("maxrecipients"),
            max_recipients_rule=values["maxrecipients"].rule,
            hide_host=values.switch("HIDE_HOST"),
        )

    def _sends(self, send: SendSettings) -> dict[str, SendSettings]:
        """Read concurrencyl.QUEUE and concurrencyr.QUEUE."""
        found: dict[str, SendSettings] = {}
        for name in self._control_names():
            prefix, _, queue = name.partition(".")
            channel = {"concurrencyl": "local", "concurrencyr": "remote"}.get(prefix)
            if channel and queue and not queue.endswith("."):
                setting = replace(BY_NAME[f"concurrency{channel}"], control=name)
                value = self._noted(*resolve(setting, [], self.controls, self.me))
                number = Values({name: value}).number(name)
                old = found.get(queue, send)
                found[queue] = (
                    replace(old, concurrencylocal=number)
                    if channel == "local"
                    else replace(old, concurrencyremote=number)
                )
        return found

    # -- files -----------------------------------------------------------------------------------

    def _control_names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.instance.control_dir))
        except OSError:
            return []  # control/me tells what is wrong

    def _notice_waiting(self) -> None:
        """Tell of files and variables that are there and have no effect yet."""
        for name in self._control_names():
            setting = CONTROLS.get(name.removesuffix(".cdb").removesuffix(".sql"))
            if setting is not None and setting.waits_for:
                self.notices.append(f"{self.controls.display(name)}: {setting.status}")
        for level in self.levels:
            for name, entry in level.items():
                setting = VARIABLES.get(name)
                if setting is not None and setting.waits_for and entry.text is not None:
                    self.notices.append(f"{entry.rule}: {name}: {setting.status}")

    def _file(self, path: str) -> ControlFile:
        file = self._noted(*read_control(path, self.instance.display(path)))
        self._seen.append((file.name, file.exists, file.lines))
        return file

    def _noted(self, value: T, mistakes: Sequence[Mistake]) -> T:
        self.mistakes += mistakes
        return value

    def _fingerprint(
        self, listeners: object, process: ProcessSettings, queue: object, variables: object
    ) -> str:
        """Return a digest of all that was read; of certificates, their age and size."""
        seen = [
            *self._seen, self.controls.contents(), self.setup, listeners, process, queue, variables,
            [_age(path) for path in (process.certificate, process.key) if path],
        ]  # fmt: skip
        return hashlib.blake2b(repr(seen).encode(), digest_size=16).hexdigest()


def level_of_rule(client: ClientRule, rule: Rule) -> Level:
    """Return the variables of a rule of tcp.smtp as a level; they are said to come from `rule`."""
    texts: dict[str, str | None] = {**client.variables, **dict.fromkeys(client.removed)}
    file, line = (rule.file, rule.line) if rule.line else (str(rule), None)
    return {name: Entry(text, str(rule), rule, file, line) for name, text in texts.items()}


def _age(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)
    except OSError:
        return (0, 0)
    return (state.st_mtime_ns, state.st_size)
