"""The server's certificate, followed while the server runs.

certificate = Certificate(lambda: follower.current.process, instance.display)
certificate.context()                   # for the next handshake; None: there is no TLS
"""

import logging
import os
from collections.abc import Callable
from typing import Final

from indimail.mail.errors import ConfigErrors
from indimail.net.tls import TlsContext
from indimail.serve.snapshot import ProcessSettings

LOG: Final = logging.getLogger("indimail.worker")


class Certificate:
    """The certificate in force."""

    def __init__(
        self, settings: Callable[[], ProcessSettings], display: Callable[[str], str]
    ) -> None:
        self._settings = settings
        self._display = display
        self._seen: tuple[tuple[str, int], ...] = ()
        self._context: TlsContext | None = None

    def context(self) -> TlsContext | None:
        """Return the certificate in force; a new file is seen at the next handshake.

        One that cannot be used leaves the old one in force, and says so once.
        """
        settings = self._settings()
        if not settings.certificate:
            return None
        files = [settings.certificate, settings.key or settings.certificate]
        try:
            seen = tuple((path, os.stat(path).st_mtime_ns) for path in files)
        except OSError:
            return self._context
        if self._seen != seen:
            self._seen = seen
            try:
                self._context = TlsContext.load(settings.certificate, settings.key, self._display)
            except ConfigErrors as error:
                for mistake in error.mistakes:
                    LOG.warning("certificate not changed: %s", mistake)
        return self._context
