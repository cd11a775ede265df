"""Debian's Postfix as a peer that sends its mail to us: a private instance, beside the system's.

    with Postfix(folder, relay_to="[127.0.0.1]:2525") as peer:
        peer.send(mail, sender, recipients)         # it takes the mail, and relays it in its time

It needs root, as Postfix does.  Nothing outside the folder is written.  Every setting that is not
as Debian ships it is one that an instance beside the system's needs, or says where mail goes.

Source: postconf(5), master(5).
"""

import os
import pwd
import smtplib
import socket
import subprocess
from typing import Self

from live import PATIENCE, until
from support import needs

SHIPPED = "/usr/share/postfix"

SETTINGS = """
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = all
myhostname = postfix.elsewhere.example
mydestination =
alias_maps =
alias_database =
# To us, without asking DNS; what comes from this machine is not rewritten
relayhost = {relay_to}
smtp_host_lookup = native
mynetworks = 127.0.0.0/8 [::1]/128
local_header_rewrite_clients =
smtputf8_enable = yes
"""


class Postfix:
    """A running instance."""

    def __init__(self, folder: str, relay_to: str, **settings: str) -> None:
        self._folder = folder
        self._etc = f"{folder}/etc"
        self.port = free_port()
        for name in ("etc", "data", "queue"):
            os.makedirs(f"{folder}/{name}", 0o755)
        os.chmod(folder, 0o755)
        os.chown(f"{folder}/data", pwd.getpwnam("postfix").pw_uid, -1)
        given = "".join(f"{name} = {value}\n" for name, value in settings.items())
        text = SETTINGS.format(folder=folder, relay_to=relay_to)
        self._write("main.cf", _read(f"{SHIPPED}/main.cf.debian") + text + given)
        self._write("master.cf", _services(_read(f"{SHIPPED}/master.cf.dist"), self.port))
        done = subprocess.run([needs("postfix"), "-c", self._etc, "check"],
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def __enter__(self) -> Self:
        master = subprocess.run(["postconf", "-dh", "daemon_directory"],
                                capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
        # Not `postfix start-fg`: there a shell stands in between, and ends without its master.
        self._process = subprocess.Popen([f"{master}/master", "-c", self._etc, "-s"],
                                         start_new_session=True)  # fmt: skip
        until(lambda: greets(self.port), say=lambda: self.log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()

    @property
    def log(self) -> str:
        """What it wrote."""
        return _read(f"{self._folder}/log") if os.path.exists(f"{self._folder}/log") else ""

    def says(self, text: str) -> str:
        """Return its log, once the text is in it."""
        return until(lambda: text in self.log and self.log, say=lambda: self.log)

    def send(self, mail: bytes, sender: str, recipients: list[str], *options: str) -> None:
        """Give it a mail (CRLF) to relay."""
        with smtplib.SMTP("127.0.0.1", self.port, "client.example", PATIENCE) as client:
            client.ehlo()
            assert client.sendmail(sender, recipients, mail, options) == {}

    def is_empty(self) -> bool:
        """Tell whether all mail went."""
        done = subprocess.run(["postqueue", "-c", self._etc, "-j"],
                              capture_output=True, text=True, check=True)  # fmt: skip
        return not done.stdout

    def _write(self, name: str, text: str) -> None:
        with open(f"{self._etc}/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _services(shipped: str, port: int) -> str:
    """Return master.cf with smtpd on our port, and without chroot (the fifth column)."""
    lines = [line.split() for line in shipped.splitlines() if line[:1].isalnum()]
    services = [fields for fields in lines if len(fields) >= 8]
    for fields in services:
        fields[4] = "n"
        if fields[:2] == ["smtp", "inet"]:
            fields[0] = f"127.0.0.1:{port}"
    return "".join("  ".join(fields) + "\n" for fields in services)


def greets(port: int) -> bool:
    """Tell whether there is an SMTP server on 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            return sock.recv(100).startswith(b"220")
    except OSError:
        return False


def free_port() -> int:
    """Return a port that is free on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
