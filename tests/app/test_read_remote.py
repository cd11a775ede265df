"""The files of remote delivery, from the control directory to the decision that uses them."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from indimail.app.configuration import load
from indimail.app.instance import Instance
from indimail.app.reading import Overrides
from indimail.control.cdb import build_cdb
from indimail.delivery.mx import Ourselves
from indimail.mail.address import NULL, Address
from indimail.mail.errors import ConfigErrors
from indimail.mail.verdict import Rule
from indimail.net.dns import Server
from indimail.schedule.nexthop import NextHop, next_hop
from indimail.serve.snapshot import Snapshot

SENDER = Address("sue", "sender.example")
LISTEN = Overrides(listen=("smtp=127.0.0.1:2525", "submission=[::]:587"), workers=1)


def loaded(
    root: Path, files: Mapping[str, str | bytes], environ: Mapping[str, str] | None = None
) -> Snapshot:
    for name, content in {"control/me": "mx.example.com\n", **files}.items():
        path = root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o640)
    return load(Instance(str(root)), environ or {}, LISTEN)


def hop(snapshot: Snapshot, address: str, sender: Address = SENDER) -> NextHop:
    recipient = Address.parse(address)
    return next_hop(recipient, recipient.domain, sender, snapshot.remote.routes)


def told(snapshot: Snapshot) -> list[str]:
    """The notices, without the one that nothing is ours."""
    return [notice for notice in snapshot.notices if "rcpthosts" not in notice]


MORE = [(b"ana@example.com", b"192.0.2.1:587 ana secret"), (b"example.com", b"more")]


def test_routes_are_found_in_all_files_and_named(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path, {
        "control/smtproutes": "# relays\n.example.com:192.0.2.7:26\n",
        "control/moresmtproutes.cdb": build_cdb(MORE),
        "control/smtproutes.cdb": build_cdb([(b"example.org", b"base"), (b"", b"all /s")]),
        "control/remote_auth": "=sue@sender.example:sue secret:\n.\n",
    })  # fmt: skip
    assert told(snapshot) == []
    whom = [
        "ana@example.com",
        "bob@example.com",
        "bob@a.example.com",
        "b@example.org",
        "b@else.net",
    ]
    found = [hop(snapshot, who) for who in whom]
    assert [(one.relay, str(one.rule)) for one in found] == [
        ("192.0.2.1", "control/moresmtproutes.cdb[ana@example.com]"),
        ("more", "control/moresmtproutes.cdb[example.com]"),
        ("192.0.2.7", "control/smtproutes:2"),
        ("base", "control/smtproutes.cdb[example.org]"),
        ("all", "control/smtproutes.cdb"),
    ]
    assert [str(one.login_rule) for one in (found[0], found[4])] == [
        "control/moresmtproutes.cdb[ana@example.com]", "control/remote_auth:1",
    ]  # fmt: skip


def test_the_text_of_a_data_base_counts_where_it_is_newer(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path, {
        "control/moresmtproutes.cdb": build_cdb(MORE),
        "control/moresmtproutes": "example.com:text\n",
        "control/remote_auth.cdb": build_cdb([(b"!sue@sender.example\0", b"old x")]),
        "control/remote_auth": "=sue@sender.example:new x:\n",
        "control/smtproutes": ":all /s\n",
    })  # fmt: skip
    assert hop(snapshot, "ana@example.com").relay == "text"
    login = hop(snapshot, "ana@example.net").login
    assert login is not None
    assert login.user == "new"


def test_files_and_routes_can_be_named_by_variables(tmp_path: Path) -> None:
    files = {
        "control/other": "example.com:other\n",
        "control/more.cdb": build_cdb([(b"example.net", b"more")]),
    }
    named = {"SMTPROUTESFILE": "other", "MORESMTPROUTESCDB": "more.cdb"}
    snapshot = loaded(tmp_path, files, named)
    assert hop(snapshot, "a@example.com").rule == Rule("control/other", 1)
    assert hop(snapshot, "a@example.net").rule == Rule("control/more.cdb", key="example.net")
    snapshot = loaded(tmp_path, files, {**named, "SMTPROUTE": "example.com:variable"})
    assert str(hop(snapshot, "a@example.com").rule) == "environment[SMTPROUTE][example.com]"
    toml = {"indimail.toml": '[variables]\nSMTPROUTE = "example.com:toml"\n'}
    assert str(hop(loaded(tmp_path, toml), "a@example.com").rule) == "indimail.toml:2"


def test_how_long_dead_hosts_are_left_alone(tmp_path: Path) -> None:
    assert (lambda found: (found.min_penalty, found.max_tolerance))(
        hop(loaded(tmp_path, {}, {"MIN_PENALTY": "60", "MAX_TOLERANCE": "30"}), "a@example.com")
    ) == (60, 30)


def test_our_own_end_of_a_connection(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path, {
        "control/helohost": "Out.example.com\n",
        "control/outgoingip": "198.51.100.1\n",
        "control/outgoingip.Example.org": "198.51.100.2\n",
        "control/domainbindings": "bound.example:198.51.100.3\n",
        "control/bindroutes": "10.:10.0.0.1\n",
        "control/helohostbyip": "10.0.0.1:inside.example\n",
    })  # fmt: skip
    source = snapshot.remote.outgoing.source
    bound = Address("a", "bound.example")
    cases = [
        source(SENDER, "example.com", "192.0.2.1", 0.0),
        source(SENDER, "example.org", "192.0.2.1", 0.0),
        source(bound, "example.org", "192.0.2.1", 0.0),
        source(NULL, "example.org", "10.1.1.1", 0.0),
    ]
    assert [(one.address, one.helo, str(one.rule), str(one.helo_rule)) for one in cases] == [
        ("198.51.100.1", "out.example.com", "control/outgoingip:1", "control/helohost:1"),
        ("198.51.100.2", "out.example.com", "control/outgoingip.Example.org:1",
         "control/helohost:1"),
        ("198.51.100.3", "bound.example", "control/domainbindings:1",
         "control/domainbindings:1"),
        ("10.0.0.1", "inside.example", "control/bindroutes:1", "control/helohostbyip:1"),
    ]  # fmt: skip
    variable = loaded(tmp_path, {}, {"OUTGOINGIP": "198.51.100.9"}).remote.outgoing
    found = variable.source(SENDER, "example.org", "192.0.2.1", 0.0)
    assert (found.address, str(found.rule)) == ("198.51.100.9", "environment[OUTGOINGIP]")


def test_who_we_are(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path, {
        "control/helohost": "out.example.com\n",
        "control/moreipme": "203.0.113.7\n2001:DB8:0::7\n",
        "control/notipme": "198.51.100.9\n",
    })  # fmt: skip
    assert snapshot.remote.ourselves == Ourselves(
        names=frozenset({"mx.example.com", "out.example.com"}),
        more=frozenset({"203.0.113.7", "2001:db8::7"}),
        others=frozenset({"198.51.100.9"}),
    )


def test_the_name_servers(tmp_path: Path) -> None:
    assert loaded(tmp_path, {}).remote.servers == ()  # those of resolv.conf
    toml = '[dns]\nservers = [\n "127.0.0.1:5353",\n "::1",\n]\n'
    assert loaded(tmp_path, {"indimail.toml": toml}).remote.servers == (
        Server("127.0.0.1", 5353), Server("::1", 53),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ('["127.0.0.1:x"]',
         'found servers="127.0.0.1:x", expected IP, IP:PORT or [IPV6]:PORT, each'),
        ('"127.0.0.1"', 'found servers = "127.0.0.1", expected a list of texts (["...", "..."])'),
        ("[1]", 'found servers = a list, expected a list of texts (["...", "..."])'),
    ],
)  # fmt: skip
def test_what_is_no_name_server(tmp_path: Path, value: str, mistake: str) -> None:
    with pytest.raises(ConfigErrors) as errors:
        loaded(tmp_path, {"indimail.toml": f"[dns]\nservers = {value}\n"})
    assert str(errors.value) == f"indimail.toml:2: {mistake}"


def test_what_is_wrong_is_named_without_the_passwords_in_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as errors:
        loaded(tmp_path, {
            "control/smtproutes": "ok.example:relay\nexample.com:relay:0 ana topsecret\n",
            "control/remote_auth": "ana topsecret\n",
            "control/bindroutes": "10:10.0.0.1\n",
            "control/timeoutremote": "0\n",
        })  # fmt: skip
    assert [str(mistake).partition(": ")[0] for mistake in errors.value.mistakes] == [
        "control/bindroutes:1", "control/remote_auth:1", "control/smtproutes:2",
        "control/timeoutremote:1",
    ]  # fmt: skip
    assert "topsecret" not in str(errors.value)


def test_how_other_hosts_are_talked_to(tmp_path: Path) -> None:
    plain = loaded(tmp_path, {}).remote
    assert (plain.timeoutconnect, plain.timeoutremote, plain.next_after_hello) == (60, 1200, False)
    assert (plain.no_tls, plain.auth, plain.per_host) == (frozenset(), {}, 20)
    files = {
        "control/timeoutconnect": "5\n",
        "control/timeoutremote": "7\n",
        "control/notlshosts": "MX.Example.net\n",
        "indimail.toml": "[remote]\nper_host = 3\n",
    }
    variables = {"AUTH_SMTP": "LOGIN", "SECURE_AUTH": "0", "TRY_NEXT_MX_HELO_FAIL": "1"}
    found = loaded(tmp_path, files, variables).remote
    assert (found.timeoutconnect, found.timeoutremote, found.next_after_hello) == (5, 7, True)
    assert (found.no_tls, found.per_host) == (frozenset({"mx.example.net"}), 3)
    assert found.auth == {"AUTH_SMTP": "LOGIN", "SECURE_AUTH": "0"}


def test_workers_share_the_connections_that_a_host_gets(tmp_path: Path) -> None:
    loaded(tmp_path, {"indimail.toml": "[remote]\nper_host = 7\n"})
    shares = [load(Instance(str(tmp_path)), {}, Overrides(LISTEN.listen, workers)).remote.per_host
              for workers in (1, 2, 8)]  # fmt: skip
    assert shares == [7, 3, 1]


@pytest.mark.parametrize("name", ["smtproutes", "remote_auth"])
def test_passwords_that_everybody_may_read_are_told(tmp_path: Path, name: str) -> None:
    files = {
        "control/smtproutes": "example.com:relay ana secret\n",
        "control/remote_auth": "=a@b.example:ana secret:\n",
    }
    assert told(loaded(tmp_path, files)) == []
    (tmp_path / "control" / name).chmod(0o644)
    assert told(load(Instance(str(tmp_path)), {}, LISTEN)) == [
        f"control/{name}: holds passwords, and everybody may read it (chmod 640)"
    ]


def test_passwords_go_to_the_workers_and_nowhere_else(tmp_path: Path) -> None:
    files = {"control/smtproutes": "example.com:relay ana topsecret\n"}
    snapshot = loaded(tmp_path, files, {"SMTPROUTE": "example.org:relay bob topsecret"})
    assert "topsecret" not in repr(snapshot)
    assert "SMTPROUTE" not in snapshot.variables  # which programs of users are given
    again = pickle.loads(pickle.dumps(snapshot))
    login = hop(again, "a@example.org").login
    assert login is not None
    assert login.password.reveal() == "topsecret"
