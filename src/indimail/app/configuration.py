"""All files of an instance, read into one `Snapshot`, or all their mistakes at once.

    instance = open_instance(find_root(args.root, os.environ), os.environ)
    snapshot = load(instance, os.environ, Overrides(listen=("smtp=127.0.0.1:0",)))
    for notice in snapshot.notices: ...        # what is not wrong, and should be known

Raises `ConfigErrors` with every mistake of every file; then the caller does not start, or keeps the
snapshot it has.  Reads files only: no socket is bound and no database opened.

Not here: the parts (`app.read_process`, `app.read_clients`, `app.read_recipients`,
`app.read_queue`, `app.read_remote`, `app.read_signing`), the settings (`app.settings`), which level
wins (`app.resolve`).
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace

from indimail.app.instance import Instance
from indimail.app.read_clients import client_rules, client_sessions
from indimail.app.read_process import configured_listeners, process_settings
from indimail.app.read_queue import queue_settings
from indimail.app.read_recipients import relay_rules, routing_rules
from indimail.app.read_remote import remote_settings
from indimail.app.read_signing import signing_rules
from indimail.app.reading import NO_OVERRIDES, Overrides, Reading
from indimail.app.relaycheck import judge, look
from indimail.app.resolve import Scope
from indimail.app.settings import CONTROLS, VARIABLES
from indimail.delivery.assign import parse_assign
from indimail.mail.errors import ConfigErrors
from indimail.serve.snapshot import ListenerConfig, ProcessSettings, Snapshot


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
    return _snapshot(Reading(instance, environ, overrides), running)


def reload(
    instance: Instance, environ: Mapping[str, str], overrides: Overrides, running: Snapshot
) -> Snapshot | None:
    """Read everything again; None where nothing changed.  Raises `ConfigErrors`."""
    found = load(instance, environ, overrides, running)
    return None if found.fingerprint == running.fingerprint else found


def _snapshot(reading: Reading, running: Snapshot | None) -> Snapshot:
    """Read everything.  Raises `ConfigErrors`."""
    process = process_settings(reading)
    listeners = configured_listeners(reading, process)
    fingerprinted = (listeners, process)
    if running is not None:
        listeners, process = _kept(reading, listeners, process, running)
    rules = client_rules(reading)
    routing = routing_rules(reading)
    assign = reading.noted(*parse_assign(reading.file(reading.instance.assign).lines))
    queue = queue_settings(reading, process)
    sessions = client_sessions(reading, listeners, process, rules)
    relay = relay_rules(reading, sessions.values())
    judge(reading, look(reading, relay, rules, listeners, sessions))
    signing = signing_rules(reading, relay)
    remote = replace(remote_settings(reading, process.workers), signing=signing)
    reading.values(Scope)  # also what no listener and no queue asked for
    _notice_waiting(reading)
    mistakes = reading.all_mistakes()
    if mistakes:
        raise ConfigErrors(mistakes)
    variables = reading.variables()
    return Snapshot(
        running.generation + 1 if running else 0,
        _fingerprint(reading, *fingerprinted, queue, variables),
        reading.me, listeners, process, rules, relay, routing, assign, queue, sessions,
        variables, tuple(dict.fromkeys(reading.notices)), remote, signing,
    )  # fmt: skip


def _kept(
    reading: Reading,
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
        reading.notices.append(f"{reading.setup.name}: {what} change at the next start")
    return running.listeners, kept


def _notice_waiting(reading: Reading) -> None:
    """Tell of files and variables that are there and have no effect yet."""
    for name in reading.control_names():
        setting = CONTROLS.get(name.removesuffix(".cdb").removesuffix(".sql"))
        if setting is not None and setting.waits_for:
            reading.notices.append(f"{reading.controls.display(name)}: {setting.status}")
    for level in reading.levels:
        for name, entry in level.items():
            setting = VARIABLES.get(name)
            if setting is not None and setting.waits_for and entry.text is not None:
                reading.notices.append(f"{entry.rule}: {name}: {setting.status}")


def _fingerprint(
    reading: Reading, listeners: object, process: ProcessSettings, queue: object, variables: object
) -> str:
    """Return a digest of all that was read; of certificates, their age and size."""
    seen = [
        *reading.seen, reading.controls.contents(), reading.setup, listeners, process, queue, variables,
        [_age(path) for path in (process.certificate, process.key) if path],
    ]  # fmt: skip
    return hashlib.blake2b(repr(seen).encode(), digest_size=16).hexdigest()


def _age(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)
    except OSError:
        return (0, 0)
    return (state.st_mtime_ns, state.st_size)
