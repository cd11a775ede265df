"""The server's certificate, followed while the server runs.

certificate = Certificate(lambda: follower.current.process, instance.display)
certificate.context()                   # for the next handshake; None: there is no TLS
"""

import logging
import os
from collections.abc import Callable
from typing import Final

from indimail.mail.errors import ConfigErrors
from indimail.net.tls import ServerContext, TlsContext
from indimail.serve.snapshot import ProcessSettings

LOG: Final = logging.getLogger("indimail.worker")


def load_certificates(
    certificate: str, key: str, authorities: str, withdrawn: str, shown: Callable[[str], str]
) -> ServerContext:
    """Read our certificate and, where clients are asked for theirs, who vouches for them.

    Raises ConfigErrors.
    """
    if not authorities:
        return TlsContext.load(certificate, key, shown)
    # A second engine, imported where it is needed; `app.read_process` did before root was given up.
    from indimail.net.clientcerts import AskingContext, Authorities  # noqa: PLC0415

    return AskingContext.load(certificate, key, Authorities(authorities, withdrawn), shown)


class Certificate:
    """The certificate in force."""

    def __init__(
        self, settings: Callable[[], ProcessSettings], display: Callable[[str], str]
    ) -> None:
        self._settings = settings
        self._display = display
        self._seen: tuple[tuple[str, int], ...] = ()
        self._context: ServerContext | None = None

    def context(self) -> ServerContext | None:
        """Return the certificate in force; a new file is seen at the next handshake.

        One that cannot be used leaves the old one in force, and says so once.
        """
        settings = self._settings()
        if not settings.certificate:
            return None
        files = [settings.certificate, settings.key or settings.certificate]
        files += filter(None, (settings.client_authorities, settings.client_crl))
        try:
            seen = tuple((path, os.stat(path).st_mtime_ns) for path in files)
        except OSError:
            return self._context
        if self._seen != seen:
            self._seen = seen
            try:
                self._context = load_certificates(
                    settings.certificate, settings.key, settings.client_authorities,
                    settings.client_crl, self._display,
                )  # fmt: skip
            except ConfigErrors as error:
                for mistake in error.mistakes:
                    LOG.warning("certificate not changed: %s", mistake)
            except (
                ImportError
            ) as error:  # tlsclients is new, and who we are may not read the library
                LOG.warning("clients are asked for certificates from the next start on: %s", error)
        return self._context
