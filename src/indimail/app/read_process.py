"""What is decided before the first fork: processes, listeners, the certificate.

    process = process_settings(reading)
    configured_listeners(reading, process)    -> (ListenerConfig("smtp", ...), ...)

The certificate is loaded as the service account, which will have to.
"""

import os

from indimail.app.listeners import read_listeners
from indimail.app.reading import Reading
from indimail.app.resolve import DEFAULT, Scope, Values
from indimail.mail.errors import ConfigErrors
from indimail.mail.secret import Secret
from indimail.manage.site import acting_as
from indimail.net.tls import TlsContext
from indimail.serve.snapshot import ListenerConfig, ProcessSettings


def process_settings(reading: Reading) -> ProcessSettings:
    """Return what is decided before the first fork."""
    values = reading.values([Scope.PROCESS])
    log = values["process.log"]
    if log.value not in ("stderr", "files"):
        reading.wrong_toml("process.log", '"stderr" or "files"')
    affinity = values["process.affinity"]
    if affinity.value not in ("auto", "none"):
        reading.wrong_toml("process.affinity", '"auto" or "none"')
    certificate = _certificate(reading, values, "tls.certificate")
    key = _certificate(reading, values, "tls.key")
    _check_certificate(reading, certificate, key)
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


def configured_listeners(reading: Reading, process: ProcessSettings) -> tuple[ListenerConfig, ...]:
    """Return the listeners: of the command line, else of the file, else the default one."""
    given, certificate = reading.overrides.listen, bool(process.certificate)
    return reading.noted(*read_listeners(given, reading.setup, has_certificate=certificate))


def _certificate(reading: Reading, values: Values, name: str) -> str:
    """Return the path of a file in certs/; empty where none was given and none is there."""
    text = values.text(name)
    path = os.path.join(reading.instance.certs, text) if text else ""
    if path and not os.path.isfile(path):
        if values[name].source != DEFAULT:
            reading.wrong_toml(
                name, f"a file in {reading.instance.display(reading.instance.certs)}/"
            )
        return ""
    return path


def _check_certificate(reading: Reading, certificate: str, key: str) -> None:
    """Load the certificate as the workers will: as the owner of the instance."""
    if not certificate:
        return
    owner = os.stat(reading.instance.root)
    try:
        with acting_as(owner.st_uid, owner.st_gid):
            TlsContext.load(certificate, key, reading.instance.display)
    except ConfigErrors as errors:
        reading.mistakes += errors.mistakes
