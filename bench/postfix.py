"""A private instance of the machine's Postfix package: virtual(8) into Maildirs.

    with Postfix("/var/tmp/bench/postfix") as server: ...

As Debian ships it (main.cf.debian, master.cf.dist), but for what an instance beside the system's
must have, and for virtual users; `differences` lists each with its reason.  It needs root, as
Postfix does.  Nothing outside the folder is written.

Source: postconf(5), master(5), virtual(8), VIRTUAL_README.
"""

import os
import pwd
import subprocess
from dataclasses import dataclass

from bench.server import DOMAIN, BenchError, Server, free_port

SHIPPED = "/usr/share/postfix"
OWNER = "nobody"  # of the Maildirs

# Setting, value, why it is not as shipped. {folder}, {uid} and {gid} are filled in.
SETTINGS = (
    ("queue_directory", "{folder}/queue", "a private instance"),
    ("data_directory", "{folder}/data", "a private instance"),
    ("inet_interfaces", "127.0.0.1", "loopback only"),
    ("myhostname", "bench.example.org", "a name without DNS"),
    ("mydestination", "", "the only domain is virtual"),
    ("virtual_mailbox_domains", DOMAIN, "virtual users"),
    ("virtual_mailbox_base", "{folder}/mail", "virtual users"),
    ("virtual_mailbox_maps", "hash:{folder}/etc/users", "virtual users"),
    ("virtual_uid_maps", "static:{uid}", "virtual users"),
    ("virtual_gid_maps", "static:{gid}", "virtual users"),
    ("alias_maps", "", "no local users"),
    ("alias_database", "", "no local users"),
)
LOG_SETTINGS = (
    ("maillog_file", "{folder}/log", "no syslog daemon to rely on: Postfix's own postlogd(8)"),
    ("maillog_file_prefixes", "{folder}", "where postlogd may write"),
)


@dataclass(slots=True)
class Postfix(Server):
    """Debian's Postfix; `logs` off lets it log to syslog(3), which may be nobody."""

    logs: bool = True
    everybody: tuple[str, ...] = ()  # also those who get no mail

    name = "Postfix"

    def build(self) -> None:
        etc = self._in("etc")
        if os.path.isdir(etc):  # started again
            return
        account = pwd.getpwnam(OWNER)
        os.chmod(self.folder, 0o755)
        for folder in ("etc", "data", "queue", "mail"):
            os.makedirs(self._in(folder), mode=0o755, exist_ok=True)
        os.chown(self._in("data"), pwd.getpwnam("postfix").pw_uid, -1)
        with open(os.path.join(etc, "main.cf"), "w", encoding="ascii") as file:
            file.write(_read(f"{SHIPPED}/main.cf.debian"))
            file.writelines(f"{name} = {value}\n" for name, value, _ in self._settings())
        self.port = free_port()
        with open(os.path.join(etc, "master.cf"), "w", encoding="ascii") as file:
            file.write(_services(_read(f"{SHIPPED}/master.cf.dist"), self.port))
        with open(os.path.join(etc, "users"), "w", encoding="ascii") as file:
            everybody = self.everybody or self.mailboxes
            file.writelines(f"{user}@{DOMAIN} {DOMAIN}/{user}/\n" for user in everybody)
        for user in self.mailboxes:
            for part in ("tmp", "new", "cur"):
                os.makedirs(self._maildir(user, part), mode=0o700)
                os.chown(self._maildir(user, part), account.pw_uid, account.pw_gid)
            os.chown(self._maildir(user), account.pw_uid, account.pw_gid)
        _run("postmap", "-c", etc, f"hash:{etc}/users")
        _run("postfix", "-c", etc, "check")

    def command(self) -> list[str]:
        # Not `postfix start-fg`: there a shell stands in between, and ends without its master.
        return [os.path.join(_default("daemon_directory"), "master"), "-c", self._in("etc"), "-s"]

    def find_port(self) -> int:
        return self.port

    def new(self, user: str) -> str:
        return self._maildir(user, "new")

    def differences(self) -> list[str]:
        found = [f"main.cf: {name} = {value} ({why})" for name, value, why in self._settings()]
        found = [line.replace(self.folder, "DIR") for line in found]
        found.append("master.cf: smtpd on a loopback port (a private instance)")
        return [*found, "master.cf: chroot off (no files to copy into the queue's folder)"]

    def _settings(self) -> list[tuple[str, str, str]]:
        account = pwd.getpwnam(OWNER)
        names = {"folder": self.folder, "uid": account.pw_uid, "gid": account.pw_gid}
        chosen = SETTINGS + (LOG_SETTINGS if self.logs else ())
        return [(name, value.format(**names), why) for name, value, why in chosen]

    def _in(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _maildir(self, user: str, part: str = "") -> str:
        return os.path.join(self.folder, "mail", DOMAIN, user, part)


def _services(shipped: str, port: int) -> str:
    """Return master.cf with smtpd on the port and chroot (the fifth column) off."""
    lines = []
    for line in shipped.splitlines():
        fields = line.split()
        if line[:1].isalnum() and len(fields) >= 8:
            fields[4] = "n"
            if fields[:2] == ["smtp", "inet"]:
                fields[0] = f"127.0.0.1:{port}"
            lines.append("  ".join(fields))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def version() -> str:
    """Return the package's version."""
    return _default("mail_version")


def _default(name: str) -> str:
    command = ["postconf", "-dh", name]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")
