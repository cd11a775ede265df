"""Postfix, Exim and OpenSMTPD as peers: each has a domain of its own, and brings all other mail to us.

    with Exim(folder, server_port, certificate) as peer:
        peer.address, peer.domain
        peer.mails                                  # what came for its domain

Of its domain's addresses, ``many-...`` go nowhere, and ``bad-...`` are refused at RCPT.
With a certificate (PEM with its key) it offers TLS, and uses it where we do.

Source: Exim specification 4.96; smtpd.conf(5) of OpenSMTPD 6.8.
"""

import os
import subprocess
from pathlib import Path
from typing import ClassVar, Self

from interop.peer import Postfix, free_port, greets
from interop.unpacked import Unpacked
from live import PATIENCE, until


class Peer:
    """A server with a domain of its own, as a test sees it."""

    name: ClassVar[str]
    utf8: ClassVar[bool] = True  # offers SMTPUTF8
    serves_tls: ClassVar[bool] = True
    folder: str
    port: int
    tls: bool  # whether it is told to speak TLS

    @property
    def domain(self) -> str:
        """Its own domain."""
        return f"{self.name}.example"

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return ("127.0.0.1", self.port)

    @property
    def log(self) -> str:
        """What it wrote."""
        raise NotImplementedError

    @property
    def mails(self) -> list[bytes]:
        """What came for its domain."""
        return [path.read_bytes() for path in Path(self.folder).glob("mail/all/new/*")]

    def got(self, word: bytes) -> bytes:
        """Return the mail for its domain that has the word, once it is there."""
        return until(lambda: [mail for mail in self.mails if word in mail], say=lambda: self.log)[0]

    def make_mailbox(self) -> None:
        """Let whoever delivers write."""
        os.chmod(self.folder, 0o755)
        Path(self.folder, "mail").mkdir()
        os.chmod(f"{self.folder}/mail", 0o777)


class Foreign(Peer):
    """A server that is unpacked for the test."""

    packages: ClassVar[tuple[str, ...]]
    users: ClassVar[tuple[str, ...]]

    def __init__(self, folder: str, relay_to: int, certificate: str = "") -> None:
        """`relay_to` is our port on 127.0.0.1."""
        self.folder = folder
        self.tls = bool(certificate)
        room = Unpacked(folder, self.packages, self.users)
        self.port = free_port()
        self.make_mailbox()
        self._log = Path(folder, "log")
        self._command = room.command(*self.prepare(relay_to, certificate))
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, relay_to: int, certificate: str) -> tuple[str, ...]:
        """Write its configuration, and return the command that serves in the foreground."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self._greets, say=lambda: self.log)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()  # all that it started ends with its namespace
        self._process.wait(PATIENCE)
        until(lambda: not greets(self.port))

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

    def _greets(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return greets(self.port)


EXIM = """
primary_hostname = exim.elsewhere.example
exim_path = /usr/sbin/exim4
spool_directory = /var/spool/exim4
log_file_path = {folder}/exim/%slog
log_selector = +smtp_protocol_error
never_users =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts = {tls}
tls_certificate = /etc/exim4/cert.pem
tls_privatekey = /etc/exim4/cert.pem
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
recipients_max = 5000
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
host_lookup =
rfc1413_query_timeout = 0s
disable_ipv6
remote_max_parallel = 2
keep_environment =

begin acl
rcpt:
  deny local_parts = ^bad-
       message = no such user here
  accept

begin routers
many:
  driver = redirect
  domains = exim.example
  local_parts = ^many-
  data = :blackhole:
here:
  driver = accept
  domains = exim.example
  transport = maildir
ours:
  driver = manualroute
  route_list = * 127.0.0.1::{relay_to} byname
  self = send
  transport = ours

begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {folder}/mail/all
  create_directory
  user = Debian-exim
  group = Debian-exim
  return_path_add
  envelope_to_add
ours:
  driver = smtp
  hosts_avoid_tls = {avoid}
  hosts_require_tls = {tls}
  tls_verify_certificates =
  hosts_try_dane =

begin retry
* * F,1h,1s
"""


class Exim(Foreign):
    """Debian's exim4-daemon-light."""

    name = "exim"
    packages = ("exim4-base", "exim4-daemon-light", "libgnutls-dane0", "libidn12")
    users = ("Debian-exim",)

    def prepare(self, relay_to: int, certificate: str) -> tuple[str, ...]:
        """The log is the daemon's; what it writes itself stands in exim/mainlog."""
        config = Path(self.folder, "exim.conf")
        Path(self.folder, "exim").mkdir()
        os.chmod(f"{self.folder}/exim", 0o777)
        config.write_text(EXIM.format(
            folder=self.folder, port=self.port, relay_to=relay_to,
            tls="*" if certificate else "", avoid="" if certificate else "*",
        ))  # fmt: skip
        # A delivery gives up root, and is then trusted with no other file than the built-in one.
        start = (
            "mkdir -p /etc/exim4 /var/spool/exim4 && chown Debian-exim: /var/spool/exim4 && "
            f"cp {config} /etc/exim4/exim4.conf && "
            f"install -o Debian-exim {certificate or '/dev/null'} /etc/exim4/cert.pem && "
            "exec exim4 -bdf -q1s"
        )
        return ("sh", "-c", start)

    @property
    def log(self) -> str:
        """What it wrote."""
        paths = [self._log, *Path(self.folder, "exim").glob("*log")]
        return "".join(path.read_text(errors="replace") for path in paths)


OPENSMTPD = """
{pki}
table everybody {{ "@" = "nobody" }}
queue ttl 1h
listen on 127.0.0.1 port {port} {tls} hostname opensmtpd.elsewhere.example
action "here" maildir "{folder}/mail/all" virtual <everybody>
action "many" mda "cat >/dev/null" virtual <everybody>
action "ours" relay host {relay}
match from any for rcpt-to regex "bad-.*@opensmtpd.example" reject
match from any for rcpt-to regex "many-.*@opensmtpd.example" action "many"
match from any for domain "opensmtpd.example" action "here"
match from any for any action "ours"
"""


class OpenSmtpd(Foreign):
    """Debian's opensmtpd.

    Its way of keeping the key in another process finds "missing private key" with OpenSSL 3, so as a
    server it has no TLS, whatever kind of key; as a client it has.
    """

    name = "opensmtpd"
    packages = ("opensmtpd",)
    users = ("opensmtpd", "opensmtpq")
    utf8 = False
    serves_tls = False

    def prepare(self, relay_to: int, certificate: str) -> tuple[str, ...]:
        """Its certificate has to be root's alone."""
        config = Path(self.folder, "smtpd.conf")
        pki = f'pki us cert "{certificate}"\npki us key "{certificate}"' if certificate else ""
        config.write_text(OPENSMTPD.format(
            folder=self.folder, port=self.port, relay_to=relay_to, pki=pki,
            tls="tls pki us" if certificate else "",
            relay=(
                f"smtp+tls://127.0.0.1:{relay_to} tls no-verify" if certificate
                else f"smtp+notls://127.0.0.1:{relay_to}"
            ),
        ))  # fmt: skip
        config.chmod(0o600)
        return ("smtpd", "-d", "-v", "-f", str(config))


class PostfixPeer(Postfix, Peer):
    """Debian's Postfix, as it is installed."""

    name = "postfix"

    def __init__(self, folder: str, relay_to: int, certificate: str = "") -> None:
        """As the others."""
        self.folder = folder
        self.tls = bool(certificate)
        self.make_mailbox()
        Path(folder, "many").write_text("/^many-/ discard:\n")
        Path(folder, "bad").write_text("/^bad-/ REJECT no such user here\n")
        level = "may" if certificate else "none"
        super().__init__(
            folder, f"[127.0.0.1]:{relay_to}",
            virtual_mailbox_domains=self.domain,
            virtual_mailbox_base=f"{folder}/mail",
            virtual_mailbox_maps="static:all/",
            virtual_uid_maps="static:65534",
            virtual_gid_maps="static:65534",
            transport_maps=f"regexp:{folder}/many",
            smtpd_recipient_restrictions=f"check_recipient_access regexp:{folder}/bad",
            smtpd_tls_security_level=level,
            smtp_tls_security_level=level,
            smtpd_tls_cert_file=certificate,
            smtpd_tls_key_file=certificate,
        )  # fmt: skip
