"""`indimail import vpopmail --database`: one table of all domains, or one for each."""

import contextlib
import json
from collections.abc import Iterator

import pytest

from cli.accounts_commands import Ran, Terminal
from databases import SERVERS, Database, database
from importing_trees import HASHES, MD5, TABLES, VPOPMAIL, VpopmailTree, for_kind
from indimail.accounts.port import Account, Flag, LastEvent, Limits
from indimail.accounts.sql import SqlAccounts

HOME = "/home/vpopmail/domains/{domain}/{name}"


class Import:
    """Imports a vpopmail whose users are in `url`."""

    def __init__(self, terminal: Terminal, folder: str, kind: str, url: str) -> None:
        self._terminal, self.url, self.kind = terminal, url, kind
        self.old = VpopmailTree(f"{folder}/old")
        self.database = Database(kind, url)
        latin1 = " engine=InnoDB default charset=latin1" if kind == "mariadb" else ""
        self._ending = latin1

    def make(self, table: str, *, shared: bool) -> None:
        columns = VPOPMAIL.format(domain="pw_domain char(96) not null," if shared else "")
        self.database.ask(f"create table {table} ({columns}){self._ending}")

    def user(self, table: str, name: str, domain: str, shared: bool, **more: object) -> None:
        values = {
            "pw_name": name, "pw_passwd": MD5, "pw_uid": 0, "pw_gid": 0, "pw_gecos": name,
            "pw_dir": HOME.format(domain=domain, name=name), "pw_shell": "NOQUOTA",
            **({"pw_domain": domain} if shared else {}), **more,
        }  # fmt: skip
        quoted = ", ".join(str(v) if isinstance(v, int) else f"'{v}'" for v in values.values())
        self.database.ask(f"insert into {table} ({', '.join(values)}) values ({quoted})")

    def ask(self, *statements: str) -> None:
        self.database.ask(*(for_kind(self.kind, statement) for statement in statements))

    def __call__(self, *arguments: str) -> Ran:
        source = ["vpopmail", "--from", self.old.home, "--config", self.old.qmail]
        return self._terminal("import_", *source, "--database", self.url, *arguments)

    @property
    def accounts(self) -> SqlAccounts:
        return SqlAccounts(f"sqlite:///{self._terminal.root}/db/indimail.db")

    def found(self, address: str) -> Account:
        account = self.accounts.find(*address.split("@"))
        assert account is not None
        return account


@pytest.fixture(params=["sqlite", *SERVERS])
def old(request: pytest.FixtureRequest, terminal: Terminal, folder: str) -> Iterator[Import]:
    kind = request.param
    made = contextlib.nullcontext(f"sqlite:///{folder}/old.db")
    with made if kind == "sqlite" else database(kind) as url:
        found = Import(terminal, folder, kind, url)
        yield found
        found.database.close()


@pytest.mark.parametrize("shared", [True, False])
def test_users_come_from_the_tables_and_not_from_old_files(old: Import, shared: bool) -> None:
    here = old.old.domain("example.com", [f"stale:{MD5}:0:0:Stale:{{home}}/stale:NOQUOTA"])
    old.old.domain("my-site.example")
    table, other = ("vpopmail",) * 2 if shared else ("example_com", "my_site_example")
    for name in dict.fromkeys([table, other]):
        old.make(name, shared=shared)
    for domain, of in (("example.com", table), ("my-site.example", other)):
        old.user(of, "postmaster", domain, shared)
    old.user(table, "alice", "example.com", shared, pw_gid=0x801, pw_gecos="J\u00fcrgen",
             pw_shell="50000S,9C", pw_clear_passwd="geheim")  # fmt: skip
    old.user(other, "bob", "my-site.example", shared, pw_passwd=HASHES["DES"])
    old.old.put_mail(f"{here}/alice", "1234.M1.old", "hello\n")
    old.ask(
        f"create table valias ({TABLES['valias']})",
        "insert into valias (alias, domain, valias_line) values"
        " ('sales', 'example.com', '/home/vpopmail/domains/example.com/alice/Maildir/'),"
        " ('lost', 'gone.example', '&x@example.com')",
        "create table lastauth (user char(32) not null, domain char(96) not null,"
        " remote_ip char(18) not null, timestamp bigint)",
        "insert into lastauth (user, domain, remote_ip, timestamp)"
        " values ('alice', 'example.com', '192.0.2.1', 1230865445)",
        "create table limits (domain char(96), maxpopaccounts int, diskquota int, delete_spam int)",
        "insert into limits values ('example.com', 5, 20, 1)",
        "create table aliasdomains (alias char(96), domain char(96))",
        "insert into aliasdomains values ('example.net', 'example.com')",
    )
    ran = old("--json")
    assert (ran.code, ran.err) == (1, "")
    alice = old.found("alice@example.com")
    assert (alice.flags, alice.gecos, alice.quota) == (
        Flag.NO_SMTP | Flag.NO_PASSWD_CHNG, "J\u00fcrgen", "50000S,9C",
    )  # fmt: skip
    assert old.found("bob@my-site.example").password.reveal() == HASHES["DES"]
    assert old.accounts.find("stale", "example.com") is None
    assert old.accounts.aliases("sales", "example.com") == [f"{alice.directory}/Maildir/"]
    assert old.accounts.events("alice", "example.com") == [
        LastEvent("pop3", 1_230_865_445, "192.0.2.1")
    ]
    assert old.accounts.real_domain("example.net") == "example.com"
    limits = Limits("", "example.com", maxpopaccounts=5, diskquota=20 << 20)
    assert old.accounts.limits("", "example.com") == limits
    left = [n["what"] for n in json.loads(ran.out)["notes"] if n["state"] == "left"]
    assert left == [
        "1 lines", "delete_spam", "example.com: passwords of 1 users that are stored as they are",
    ]  # fmt: skip


def test_a_table_that_two_domains_could_have_is_nobodys(old: Import) -> None:
    for domain in ("a-b.example", "a.b.example"):
        old.old.domain(domain)
    old.make("a_b_example", shared=False)
    old.user("a_b_example", "alice", "a-b.example", False)
    notes = json.loads(old("--json").out)["notes"]
    assert ("a_b_example", "a-b.example a.b.example") in [(n["where"], n["what"]) for n in notes]
    assert old.accounts.users("a-b.example") == old.accounts.users("a.b.example") == []
