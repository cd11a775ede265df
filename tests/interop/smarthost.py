"""Postfix as a relay that wants to know who one is: Dovecot says which passwords are right.

    with Passwords(folder, "secret") as passwords, SmartHost(folder, authority, passwords) as relay:
        relay.port                    # on 127.0.0.1, with STARTTLS; what it takes it discards

Source: postconf(5), https://doc.dovecot.org/2.3/configuration_manual/howto/postfix_and_dovecot_sasl.
"""

import os
import subprocess
from typing import Self

import trustme

from interop.peer import Postfix
from live import PATIENCE, until
from support import needs

MECHANISMS = ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256")
SETTINGS = """
base_dir = {folder}/run
log_path = {folder}/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
"""


class Passwords:
    """Dovecot's authentication alone: any user with one password."""

    def __init__(self, folder: str, password: str) -> None:
        os.makedirs(folder, 0o755)
        self.socket = f"{folder}/auth"
        self._log = f"{folder}/log"
        conf = f"{folder}/dovecot.conf"
        with open(conf, "w", encoding="ascii") as file:
            mechanisms = " ".join(MECHANISMS)
            file.write(SETTINGS.format(folder=folder, password=password, mechanisms=mechanisms))
        self._command = [needs("dovecot"), "-F", "-c", conf]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        until(lambda: os.path.exists(self.socket), say=self._said)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def _said(self) -> str:
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()


class SmartHost(Postfix):
    """It relays for who has a password, in TLS or not."""

    def __init__(self, folder: str, authority: trustme.CA, passwords: Passwords | None) -> None:
        """Without `passwords` it asks nobody, and takes all."""
        os.makedirs(folder, 0o755)
        pem = f"{folder}/cert.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
        sasl = {
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": passwords.socket,
        } if passwords is not None else {}  # fmt: skip
        whom = "permit_sasl_authenticated" if passwords is not None else "permit_mynetworks"
        super().__init__(
            folder, relay_to="", default_transport="discard",
            smtpd_tls_security_level="may", smtpd_tls_cert_file=pem, smtpd_tls_key_file=pem,
            smtpd_relay_restrictions=f"{whom}, reject", **sasl,
        )  # fmt: skip
