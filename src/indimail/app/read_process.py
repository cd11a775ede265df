"""What is decided before the first fork: processes, listeners, the certificate.

    process = process_settings(reading)
    configured_listeners(reading, process)    -> (ListenerConfig("smtp", ...), ...)

The certificate is loaded as the service account, which will have to.
"""

import os

from indimail.app.certificate import load_certificates
from indimail.app.listeners import read_listeners
from indimail.app.reading import Reading
from indimail.app.resolve import DEFAULT, Scope, Values
from indimail.mail.errors import ConfigErrors
from indimail.mail.secret import Secret
from indimail.manage.site import acting_as
from indimail.serve.snapshot import ListenerConfig, ProcessSettings

_CLIENTS = ("CLIENTCA", "CLIENTCRL")


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
    authorities, withdrawn = _client_authorities(reading, values, certificate)
    _check_certificate(reading, certificate, key, authorities, withdrawn)
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
        client_authorities=authorities,
        client_crl=withdrawn,
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


def _client_authorities(reading: Reading, values: Values, certificate: str) -> tuple[str, str]:
    """Return the files by which client certificates are judged; empty where none is asked for."""
    listed = reading.controls["tlsclients"]
    if not listed.lines:
        return "", ""
    found = [os.path.join(reading.instance.certs, values.text(name)) for name in _CLIENTS]
    if not certificate or not os.path.isfile(found[0]):
        missing = reading.instance.display(found[0]) if certificate else "a certificate of ours"
        reading.notices.append(f"{listed.name}: permits nobody, for there is no {missing}")
        return "", ""
    return found[0], found[1] if os.path.isfile(found[1]) else ""


def _check_certificate(
    reading: Reading, certificate: str, key: str, authorities: str, withdrawn: str
) -> None:
    """Load the certificates as the workers will: as the owner of the instance."""
    if not certificate:
        return
    owner = os.stat(reading.instance.root)
    if authorities:  # while the library is readable, and before any fork
        import indimail.net.clientcerts  # noqa: F401, PLC0415
    try:
        with acting_as(owner.st_uid, owner.st_gid):
            load_certificates(certificate, key, authorities, withdrawn, reading.instance.display)
    except ConfigErrors as errors:
        reading.mistakes += errors.mistakes
