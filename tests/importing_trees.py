"""Sources to import, in the form the specification describes: a vpopmail with its qmail, an IndiMail.

    old = VpopmailTree(folder)
    old.domain("example.com", ["alice:" + MD5 + ":0:0:Alice:{home}/alice:NOQUOTA"])
    old.mail("example.com", "alice", "1234.M1.old,S=6:2,S", "hello\\n", part="cur")
    before = dump(old.folder)

Each lies below `folder`, and calls itself by the name it had where it came from.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

PASSWORD = "opensesame"
# Of PASSWORD, by libcrypt; DES reads its first eight letters.
HASHES = {
    "DES": "abnSn8x7blSdk",
    "BSDi": "_J9..abcd7G168dIqH7w",
    "$1$": "$1$abcdefgh$ct.Do2KVxFX.sgxkmPJVW/",
    "$2a$": "$2a$04$CCCCCCCCCCCCCCCCCCCCC.EUX.UzPk.L/oEcLGxgL26mY6BHmxJEW",
    "$2b$": "$2b$04$CCCCCCCCCCCCCCCCCCCCC.EUX.UzPk.L/oEcLGxgL26mY6BHmxJEW",
    "$5$": "$5$rounds=1000$abcdefgh$YzG55JYV7twIB/HGMXZGurFDCMZ8hOu7EZ4rzlQ3TF.",
    "$6$": "$6$rounds=1000$abcdefgh$X6Yhnvn/QQSIfhvwqB17AbAjaaXatg8GDsuNLFVXC754xfxoE.5aE466CA/"
    "Cd6DLNnPCWjbn2DPMHeDgqiG2u1",
    "$y$": "$y$j75$LdJMENpBABJJ3hIHjB1Bi.$/mxI4zINRkuWEN8rhDJzuqaK/UY7MwG.aQ6dLAbZjM5",
}
MD5 = HASHES["$1$"]


class Tree:
    """Files below a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        path = Path(self.folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def maildir(self, home: str, *folders: str) -> None:
        for folder in ("", *folders):
            for part in ("cur", "new", "tmp"):
                Path(self.folder, home, "Maildir", folder, part).mkdir(parents=True, exist_ok=True)

    def put_mail(
        self, home: str, name: str, text: str, part: str = "new", folder: str = "", at: int = 0
    ) -> None:
        self.maildir(home, *([folder] if folder else []))
        path = self.write(os.path.join(home, "Maildir", folder, part, name), text, 0o600)
        if at:
            os.utime(path, (at, at))

    def assign(self, config: str, lines: Sequence[str]) -> None:
        self.write(f"{config}/users/assign", "".join(f"{line}\n" for line in [*lines, "."]))


class VpopmailTree(Tree):
    """`folder`/vpopmail and `folder`/qmail, which were /home/vpopmail and /var/qmail."""

    HOME = "/home/vpopmail"

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.home, self.qmail = f"{folder}/vpopmail", f"{folder}/qmail"
        self._assign: list[str] = []
        self._virtual: list[str] = []
        os.makedirs(f"{self.home}/domains")
        self.write("qmail/control/me", "mx.example.org\n")
        self.entry()

    def domain(
        self, name: str, users: Sequence[str] = (), default: str = "bounce-no-mailbox"
    ) -> str:
        """Make a domain; ``{home}`` in a line is its directory. Return where it lies, from `folder`."""
        named = f"{self.HOME}/domains/{name}"
        self.entry(f"+{name}-:{name}:89:89:{named}:-::", f"{name}:{name}")
        here = f"vpopmail/domains/{name}"
        if users:
            lines = "".join(f"{line.format(home=named)}\n" for line in users)
            self.write(f"{here}/vpasswd", lines, 0o600)
        line = f"| {self.HOME}/bin/vdelivermail '' {default}\n"
        self.write(f"{here}/.qmail-default", line, 0o600)
        return here

    def entry(self, assign: str = "", virtual: str = "") -> None:
        """Add lines of users/assign and virtualdomains."""
        self._assign += [assign] if assign else []
        self._virtual += [virtual] if virtual else []
        self.assign("qmail", self._assign)
        self.write("qmail/control/virtualdomains", "".join(f"{line}\n" for line in self._virtual))
        hosts = [line.partition(":")[0] for line in self._virtual]
        self.write("qmail/control/rcpthosts", "".join(f"{host}\n" for host in hosts))


class IndimailTree(Tree):
    """`folder`/indimail as it was in 2010, /var/indimail, with homes in `folder`/home/mail.

    `rows` are the statements that fill its tables (`indimails.INDIMAILS` makes them).
    """

    HOME = "/var/indimail"

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.home = f"{folder}/indimail"
        self.rows: list[str] = []
        self._assign: list[str] = []
        self.write("indimail/control/me", "mx.example.org\n")
        self.write("indimail/control/rcpthosts", "")
        self.write("indimail/control/virtualdomains", "")
        os.makedirs(f"{folder}/home/mail")

    def domain(self, name: str, default: str = "bounce-no-mailbox") -> str:
        """Make a domain; return where it lies, from `folder`."""
        self._live(name)
        here = f"indimail/domains/{name}"
        line = f"| {self.HOME}/sbin/vdelivermail '' {default}\n"
        self.write(f"{here}/.qmail-default", line, 0o600)
        return here

    def alias(self, alias: str, domain: str) -> None:
        self._live(alias)
        os.symlink(domain, f"{self.home}/domains/{alias}")
        self.row("aliasdomain", alias=alias, domain=domain)

    def user(self, address: str, password: str, **columns: object) -> str:
        """Add a row; return where the home lies, from `folder`, which is not made."""
        name, _, domain = address.partition("@")
        group = next((g for g, of in GROUPS.items() if name[0].lower() in of), "T2Zsym")
        values: dict[str, object] = {
            "pw_name": name, "pw_domain": domain, "pw_passwd": password, "pw_uid": 0, "pw_gid": 0,
            "pw_gecos": name, "pw_dir": f"/home/mail/{group}/{domain}/{name}", "pw_shell": "NOQUOTA",
        }  # fmt: skip
        table = "indibak" if columns.pop("inactive", False) else "indimail"
        self.row(table, **{**values, **columns})
        return f"home/mail/{group}/{domain}/{name}"

    def row(self, table: str, **columns: object) -> None:
        quoted = (str(v) if isinstance(v, int) else sql(str(v)) for v in columns.values())
        self.rows.append(f"insert into {table} ({', '.join(columns)}) values ({', '.join(quoted)})")

    def _live(self, name: str) -> None:
        self._assign.append(f"+{name}-:{name}:555:555:{self.HOME}/domains/{name}:-::")
        self.assign("indimail", self._assign)
        for file, line in (("virtualdomains", f"{name}:{name}"), ("rcpthosts", name)):
            path = Path(self.home, "control", file)
            path.write_text(f"{path.read_text()}{line}\n")


def tables(kind: str, names: Sequence[str]) -> list[str]:
    """Return statements that make tables with these columns and a time: `kind` is the database's.

    MariaDB's are of latin1, as MySQL made them in 2010.
    """
    ending = " engine=InnoDB default charset=latin1" if kind == "mariadb" else ""
    time = "timestamp timestamp default current_timestamp"
    return [
        for_kind(kind, f"create table {name} ({TABLES[name]}, {time}){ending}") for name in names
    ]


def for_kind(kind: str, statement: str) -> str:
    """Return a statement for a database; to PostgreSQL ``user`` is a word of its own."""
    return (
        re.sub(r"(?<=[( ])user(?=[ ,])", '"user"', statement) if kind == "postgresql" else statement
    )


_ACCOUNT = (
    "pw_name char(40) not null, pw_domain char(67) not null, pw_passwd char(128) not null,"
    " pw_uid int not null, pw_gid int not null, pw_gecos char(48) not null,"
    " pw_dir char(156) not null, pw_shell char(30) not null"
)
TABLES = {
    "indimail": f"{_ACCOUNT}, scram char(255)",
    "indibak": _ACCOUNT,  # as before there was SCRAM
    "valias": "alias char(40) not null, domain char(67) not null, valias_line char(190) not null",
    "lastauth": "user char(40) not null, domain char(67) not null, service char(10) not null,"
    " remote_ip char(46) not null, quota int, gecos char(48)",
    "userquota": "user char(40) not null, domain char(67) not null, quota bigint",
    "aliasdomain": "alias char(64) not null, domain char(67) not null",
    "ip_alias_map": "ipaddr char(46) not null, domain char(67) not null",
    "vlimits": "domain char(67) not null, maxpopaccounts int, defaultquota bigint",
    "vfilter": "emailid char(107) not null, filter_no smallint",
    "relay": "email char(96), ipaddr char(46)",
    "dir_control_home_A2E": "domain char(67), cur_users int",
}
VPOPMAIL = (
    "pw_name char(32) not null, {domain} pw_passwd char(40), pw_uid int, pw_gid int,"
    " pw_gecos char(48), pw_dir char(160), pw_shell char(20), pw_clear_passwd char(16)"
)

GROUPS = {"A2E": "abcde", "F2K": "fghijk", "L2P": "lmnop", "Q2S": "qrs"}


def sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def dump(folder: str) -> list[str]:
    """Return every name with its kind, owner, mode, times and contents: what a writer would change."""
    found = []
    for path, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            whole = os.path.join(path, name)
            kept = os.lstat(whole)
            what = os.readlink(whole) if os.path.islink(whole) else ""
            if os.path.isfile(whole) and not os.path.islink(whole):
                what = repr(Path(whole).read_bytes())
            facts = (kept.st_mode, kept.st_uid, kept.st_nlink, kept.st_mtime_ns, kept.st_ctime_ns)
            found.append(f"{whole} {facts} {what}")
    return sorted(found)
