"""How far a connection to another server is protected: the files in certs/.

    rule = PeerTls("/var/indimail/certs").rule("mx.example.net", no_tls)
    rule.tls, rule.context            -> Tls.OFFERED, a ClientTls

| in certs/              | means                                                                |
|------------------------|----------------------------------------------------------------------|
| tlshosts/HOST.pem      | authorities: to this host only in TLS, with a certificate that names it |
| tlshosts/exhaustivelist | no TLS to any other host                                            |
| notlshosts/HOST        | no TLS to this host; a line of control/notlshosts is the same        |
| clientcert.pem         | our certificate, shown to servers that ask for one                   |

Otherwise TLS is used where it is offered, with any certificate (RFC 7435).

Source: spec/queue.md 3.5.  Not here: DANE, which needs a resolver that validates.
"""

import os
from collections.abc import Container
from dataclasses import dataclass

from indimail.mail.errors import ConfigErrors, Mistake
from indimail.mail.verdict import NO_RULE, Rule
from indimail.net.tls import ClientTls
from indimail.smtp.hop import Tls


@dataclass(frozen=True, slots=True)
class TlsRule:
    """What is asked of a host, and with which context."""

    tls: Tls
    context: ClientTls
    rule: Rule = NO_RULE


class PeerTls:
    """The rules of an instance; a worker has one."""

    def __init__(self, certs: str) -> None:
        self._certs = certs
        self._contexts: dict[tuple[str, int, int], ClientTls] = {}

    def rule(self, host: str, no_tls: Container[str]) -> TlsRule:
        """Look at the files.  Raises ConfigErrors for one that cannot be used."""
        wanted = os.path.join("tlshosts", f"{host}.pem")
        if "/" not in host and self._exists(wanted):
            return TlsRule(Tls.VERIFIED, self._context(wanted), Rule(f"certs/{wanted}"))
        context = self._context("")
        if host in no_tls:
            return TlsRule(Tls.NEVER, context, Rule("control/notlshosts", key=host))
        refused = os.path.join("notlshosts", host)
        if "/" not in host and self._exists(refused):
            return TlsRule(Tls.NEVER, context, Rule(f"certs/{refused}"))
        only = os.path.join("tlshosts", "exhaustivelist")
        if self._exists(only):
            return TlsRule(Tls.NEVER, context, Rule(f"certs/{only}"))
        return TlsRule(Tls.OFFERED, context)

    def _exists(self, name: str) -> bool:
        return os.path.exists(os.path.join(self._certs, name))

    def _context(self, authorities: str) -> ClientTls:
        """Return the context for some authorities, made again when a file has changed."""
        path = os.path.join(self._certs, authorities) if authorities else ""
        ours = os.path.join(self._certs, "clientcert.pem")
        key = (path, _changed(path), _changed(ours))
        found = self._contexts.get(key)
        if found is None:
            shown = ours if key[2] else ""
            try:
                found = ClientTls(path or None, shown)
            except OSError as error:  # ssl.SSLError is one
                reason = (error.strerror or str(error)).lower()
                expected = "certificates as PEM, and in clientcert.pem a private key"
                where = f"certs/{authorities or 'clientcert.pem'}"
                raise ConfigErrors([Mistake(where, None, reason, expected)]) from error
            self._contexts = {k: v for k, v in self._contexts.items() if k[0] != path}
            self._contexts[key] = found
        return found


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns if path else 0
    except FileNotFoundError:
        return 0
