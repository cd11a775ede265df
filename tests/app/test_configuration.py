import os
import pickle

import pytest
import trustme

from indimail.app.configuration import load, reload
from indimail.app.instance import Instance, open_instance
from indimail.app.reading import Overrides, Reading
from indimail.control.cdb import build_cdb
from indimail.delivery.bounce import BounceSettings
from indimail.delivery.daily import DailyLimits
from indimail.mail.address import Address
from indimail.mail.errors import ConfigErrors
from indimail.mail.verdict import Rule
from indimail.mailbox.maildirsize import Counting
from indimail.schedule.route import route
from indimail.serve.snapshot import ListenerConfig, QuotaSettings
from support import needs_root

SMTP = Overrides(listen=("smtp=127.0.0.1:0",), workers=2)


def put(root, texts):
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Instance(str(root))


def certificate():
    """Return a new key with its certificate, as one PEM text."""
    return trustme.CA().issue_cert("mx.example.com").private_key_and_cert_chain_pem.bytes()


def loaded(root, texts, environ=None, overrides=SMTP):
    instance = put(root, {"control/me": "mx.example.com\n", **texts})
    return load(instance, environ or {}, overrides)


def session(snapshot, ip="192.0.2.1", listener="smtp"):
    return snapshot.session(listener, snapshot.tcp_rules.find(ip))


def mistakes(root, texts, environ=None, overrides=SMTP):
    with pytest.raises(ConfigErrors) as errors:
        loaded(root, texts, environ, overrides)
    return str(errors.value).splitlines()


def age(path, seconds):
    """Make a file older than now."""
    state = os.stat(path)
    os.utime(path, (state.st_atime, state.st_mtime - seconds))


def test_an_instance_with_a_name_alone_takes_nothing_from_anybody(tmp_path):
    snapshot = loaded(tmp_path, {})
    assert snapshot.notices == (
        "control/rcpthosts: lists nothing: mail is taken only from who may relay",
    )
    assert snapshot.relay.rcpthosts.find("mx.example.com") is None
    assert session(snapshot).session_rules.greeting == ("mx.example.com",)
    assert session(snapshot).relayclient is None
    assert snapshot.routing.locals == {"mx.example.com": Rule("control/me")}
    assert snapshot.assign.find("anybody") is None
    assert [os.path.basename(d) for d in snapshot.queue.directories] == ["queue1", "queue2"]


def test_every_mistake_of_every_file_is_told_at_once(tmp_path):
    texts = {
        "indimail.toml": "[process]\nworkers = 0\n[variables]\nDATABYTES = -1\nmaxhops = 1\n",
        "control/maxhops": "# loops\nmany\n",
        "control/rcpthosts": "example.com\nexam ple.org\n",
        "control/me": "mx example com\n",
        "control/virtualdomains": "example.com\n",
        "control/concurrencyl.queue2": "x\n",
        "tcp/tcp.smtp": '127.:allow,RELAYCLIENT\n10.:allow,MAXPERIP="x"\n',
        "users/assign": "nonsense\n.\n",
    }
    found = mistakes(tmp_path, texts, {"QUEUE_COUNT": "0"}, Overrides(listen=("smtp=x:1",)))
    assert [line.partition(", expected")[0] for line in found] == [
        "--listen: found 'smtp=x:1'",
        "control/concurrencyl.queue2:1: found 'x'",
        "control/maxhops:2: found 'many'",
        "control/me:1: found 'mx example com'",
        "control/rcpthosts:2: found 'exam ple.org'",
        "control/virtualdomains:1: found 'example.com'",
        'environment: found QUEUE_COUNT="0"',
        'indimail.toml:2: found workers="0"',
        'indimail.toml:4: found DATABYTES="-1"',
        "tcp/tcp.smtp:1: found ',RELAYCLIENT'",
        'tcp/tcp.smtp:2: found MAXPERIP="x"',
        "users/assign:1: found 'nonsense'",
    ]


def test_without_a_name_nothing_starts(tmp_path):
    expected = "expected the full name of this host, as in mx.example.org"
    (tmp_path / "control").mkdir()
    with pytest.raises(ConfigErrors, match=f"control/me: found no such file, {expected}"):
        load(Instance(str(tmp_path)), {}, SMTP)


LEVELS = [
    ("tcp/tcp.smtp", ':allow,DATABYTES="5"\n', 5, "tcp/tcp.smtp:1"),
    ("indimail.toml", "[listener.smtp.variables]\nDATABYTES = 4\n[variables]\nDATABYTES = 3\n",
     4, "indimail.toml [listener.smtp.variables]"),
    ("indimail.toml", "[variables]\nDATABYTES = 3\n", 3, "indimail.toml [variables]"),
    ("environment", "2", 2, "environment"),
    ("control/databytes", "1\n", 1, "control/databytes:1"),
    ("none", "", 0, "default"),
]  # fmt: skip


@pytest.mark.parametrize("first", range(len(LEVELS)))
def test_a_variable_is_sought_in_the_documented_order(tmp_path, first):
    """Each level with all those after it; the first has the value."""
    texts, environ = {}, {}
    for name, text, _, _ in reversed(LEVELS[first:]):
        if name == "environment":
            environ["DATABYTES"] = text
        elif name != "none":
            texts[name] = text
    snapshot = loaded(tmp_path, texts, environ)
    assert session(snapshot).session_rules.databytes == LEVELS[first][2]
    if first > 0:
        loading = Reading(Instance(str(tmp_path)), environ)
        assert loading.view("smtp")["databytes"].source == LEVELS[first][3]


@pytest.mark.parametrize("removal", ["!DATABYTES", "false"])
def test_a_variable_that_is_taken_away_leaves_the_control_file(tmp_path, removal):
    texts = {"control/databytes": "1\n"}
    if removal == "false":
        texts["indimail.toml"] = "[variables]\nDATABYTES = false\n"
    else:
        texts["tcp/tcp.smtp"] = f":allow,{removal}\n"
    assert session(loaded(tmp_path, texts, {"DATABYTES": "9"})).session_rules.databytes == 1


def test_an_empty_number_in_the_environment_is_not_set_and_an_empty_switch_is(tmp_path):
    meant = {"indimail.toml": '[relay]\naccept_open = ["environment RELAYCLIENT"]\n'}
    empty = {"DATABYTES": "", "HIDE_HOST": "", "RELAYCLIENT": ""}
    settings = session(loaded(tmp_path, meant, empty))
    assert settings.session_rules.databytes == 0
    assert settings.hide_host
    assert (settings.relayclient, settings.relayclient_rule) == (
        "", Rule("environment", key="RELAYCLIENT"),
    )  # fmt: skip


def test_settings_of_a_client_name_the_line_of_its_own_rule(tmp_path):
    """Lines 2 and 4 say the same and share their settings, not their names."""
    text = '# a\n10.:allow,RELAYCLIENT="",MAXPERIP="3",FORCE_TLS=""\n:allow\n' \
        '172.16.:allow,RELAYCLIENT="",MAXPERIP="3",FORCE_TLS=""\n'  # fmt: skip
    snapshot = loaded(tmp_path, {"tcp/tcp.smtp": text})
    for ip, line in (("10.0.0.1", 2), ("172.16.0.1", 4)):
        settings, rule = session(snapshot, ip), Rule("tcp/tcp.smtp", line)
        assert (settings.relayclient, settings.relayclient_rule) == ("", rule)
        assert settings.connection_limits.maxperip == 3
        assert settings.connection_limits.maxperip_rule == rule
        assert settings.sender_rules.force_tls == rule
        assert settings.recipient_limits.rule == Rule("built-in", key="MAX_RCPT_ERRCOUNT")
    assert session(snapshot, "192.0.2.1").relayclient is None
    assert session(snapshot, "10.0.0.1") is session(snapshot, "10.9.9.9")


def test_listeners_may_differ(tmp_path):
    toml = '[listener.smtp]\naddress = "127.0.0.1"\n[listener.inside]\nrole = "smtp"\n' \
        'address = "::1"\nport = 26\n[listener.inside.variables]\nRELAYCLIENT = ""\n'  # fmt: skip
    snapshot = loaded(tmp_path, {"indimail.toml": toml}, overrides=Overrides())
    assert snapshot.listeners == (
        ListenerConfig("smtp", "smtp", "127.0.0.1", 25),
        ListenerConfig("inside", "smtp", "::1", 26),
    )
    assert session(snapshot).relayclient is None
    inside = session(snapshot, listener="inside")
    assert (inside.relayclient, str(inside.relayclient_rule)) == ("", "indimail.toml:8")


def test_tls_is_offered_where_there_is_a_certificate(tmp_path):
    texts = {"indimail.toml": "[variables]\nSTARTTLS = true\n"}
    assert not session(loaded(tmp_path, texts)).session_rules.starttls
    texts["certs/servercert.pem"] = certificate()
    both = Overrides(listen=("smtp=127.0.0.1:0", "submissions=127.0.0.1:0"))
    snapshot = loaded(tmp_path, texts, overrides=both)
    assert session(snapshot).session_rules.starttls
    assert not session(snapshot).smtps
    assert session(snapshot, listener="submissions").smtps
    assert snapshot.process.certificate == f"{tmp_path}/certs/servercert.pem"


def test_a_certificate_that_was_named_must_be_there(tmp_path):
    found = mistakes(tmp_path, {"indimail.toml": '[tls]\ncertificate = "mine.pem"\n'})
    expected = 'indimail.toml:2: found certificate = "mine.pem", expected a file in certs/'
    assert found == [expected]


TLS = '[tls]\ncertificate = "chain.pem"\nkey = "key.pem"\n'
CERTIFICATE_EXPECTED = (
    ", expected a PEM file with a certificate chain, and its private key there or in `key`"
)


def test_a_certificate_is_loaded_before_it_is_needed(tmp_path):
    texts = {"certs/servercert.pem": "junk\n", "control/maxhops": "many\n"}
    expected = f"certs/servercert.pem: found no certificate in it{CERTIFICATE_EXPECTED}"
    assert mistakes(tmp_path, texts)[0] == expected
    other = {"indimail.toml": TLS, "certs/chain.pem": certificate(), "certs/key.pem": certificate()}
    assert mistakes(tmp_path / "other", other) == [
        f"certs/key.pem: found the private key of another certificate{CERTIFICATE_EXPECTED}"
    ]


def test_a_certificate_has_to_be_open_to_the_service_account(tmp_path):
    needs_root()
    tmp_path.parent.chmod(0o711)
    tmp_path.parent.parent.chmod(0o711)
    put(tmp_path, {"certs/servercert.pem": certificate()})
    (tmp_path / "certs/servercert.pem").chmod(0o600)
    os.chown(tmp_path, 4321, 4321)
    assert mistakes(tmp_path, {}) == [
        f"certs/servercert.pem: found permission denied{CERTIFICATE_EXPECTED}"
    ]


def test_beside_a_running_server_a_broken_certificate_is_a_mistake_and_a_new_one_a_change(tmp_path):
    good = certificate()
    running = loaded(tmp_path, {"certs/servercert.pem": good})
    instance = put(tmp_path, {"certs/servercert.pem": good[: len(good) // 2]})
    with pytest.raises(ConfigErrors, match=r"certs/servercert\.pem: found "):
        reload(instance, {}, SMTP, running)
    put(tmp_path, {"certs/servercert.pem": certificate()})
    assert reload(instance, {}, SMTP, running) is not None


@pytest.mark.parametrize("workers", [0, -3, 513])
def test_workers_of_the_command_line_are_checked_like_those_of_the_file(tmp_path, workers):
    wrong = Overrides(listen=("smtp=127.0.0.1:0",), workers=workers)
    expected = f"--workers: found {workers}, expected a whole number from 1 to 512"
    assert mistakes(tmp_path, {}, overrides=wrong) == [expected]


def test_what_has_no_effect_yet_is_a_notice_and_never_a_mistake(tmp_path):
    texts = {
        "control/rcpthosts": "example.com\n",
        "control/badmailfrom": "x@y\n",
        "control/badrcptto.cdb": b"",
        "control/tarpitcount": "not a number\n",
        "tcp/tcp.smtp": ':allow,REQPTR="1",QUEUE_COUNT="3",ANYTHING="x"\n',
    }
    assert loaded(tmp_path, texts, {"SPFBEHAVIOR": "3", "HOME": "/"}).notices == (
        "tcp/tcp.smtp:1: REQPTR: not yet: DNS checks",
        "tcp/tcp.smtp:1: QUEUE_COUNT: has no effect for some clients only",
        "control/badmailfrom: not yet: sender and recipient lists",
        "control/badrcptto.cdb: not yet: sender and recipient lists",
        "control/tarpitcount: not yet: early-talker test and tarpit",
        "environment[SPFBEHAVIOR]: SPFBEHAVIOR: not yet: SPF",
    )


RULES = '# inside\n10.0.:allow,RELAYCLIENT=""\n'
SAME = [(b"10.0.", b"+RELAYCLIENT=\0")]
OTHER = [(b"192.0.2.", b"+RELAYCLIENT=\0")]


@pytest.mark.parametrize(
    ("text", "records", "text_age", "ip", "rule", "notices"),
    [
        (RULES, SAME, 9, "10.0.0.1", "tcp/tcp.smtp:2", ()),
        (None, SAME, 9, "10.0.0.1", "tcp/tcp.smtp.cdb[10.0.]", ()),
        (RULES, OTHER, 9, "192.0.2.1", "tcp/tcp.smtp.cdb[192.0.2.]",
         ("tcp/tcp.smtp.cdb: newer than tcp/tcp.smtp, and differs: the .cdb counts",)),
        (RULES, OTHER, -9, "10.0.0.1", "tcp/tcp.smtp:2",
         ("tcp/tcp.smtp: newer than tcp/tcp.smtp.cdb: the text counts",)),
    ],
)  # fmt: skip
def test_the_newer_of_text_and_data_base_counts(
    tmp_path, text, records, text_age, ip, rule, notices
):
    texts = {"control/rcpthosts": "a.example\n", "tcp/tcp.smtp.cdb": build_cdb(records)}
    texts |= {"tcp/tcp.smtp": text} if text else {}
    put(tmp_path, texts)
    if text:
        age(tmp_path / "tcp/tcp.smtp", text_age)
    instance = put(tmp_path, {"control/me": "mx\n"})
    snapshot = load(instance, {}, SMTP)
    assert snapshot.notices == notices
    assert str(session(snapshot, ip).relayclient_rule) == rule


@pytest.mark.parametrize(
    ("text", "hosts", "domain", "rule"),
    [
        ("# more\nexample.org\n", [b"example.org"], "Example.ORG", "control/morercpthosts:2"),
        ("# more\nexample.org\n", [b"example.org", b".example.net"], "a.example.net",
         "control/morercpthosts.cdb[.example.net]"),
        ("# more\nexample.org\n", [b"example.org", b"x.example"], "example.org",
         "control/morercpthosts:2"),
        (None, [b"example.org"], "example.org", "control/morercpthosts.cdb[example.org]"),
        ("example.org\n", None, "example.org", "control/morercpthosts:1"),
    ],
)  # fmt: skip
def test_more_hosts_are_found_and_named_by_their_line(tmp_path, text, hosts, domain, rule):
    texts = {"control/morercpthosts": text} if text else {}
    put(tmp_path, texts)
    if text:
        age(tmp_path / "control/morercpthosts", 9)
    if hosts is not None:
        texts = {"control/morercpthosts.cdb": build_cdb([(key, b"") for key in hosts])}
    instance = put(tmp_path, {"control/me": "mx\n", **(texts if hosts else {})})
    assert str(load(instance, {}, SMTP).relay.morercpthosts.find(domain)) == rule


def test_a_damaged_data_base_is_a_mistake(tmp_path):
    texts = {"control/morercpthosts.cdb": b"x", "tcp/tcp.smtp.cdb": build_cdb(SAME)[:-1]}
    assert [line.partition(":")[0] for line in mistakes(tmp_path, texts)] == [
        "control/morercpthosts.cdb",
    ]  # the second damage is in a table that reading all records does not touch
    texts["tcp/tcp.smtp.cdb"] = build_cdb(SAME)[:2060]
    assert len(mistakes(tmp_path, texts)) == 2


def test_recipients_are_routed_by_the_control_files(tmp_path):
    texts = {
        "control/virtualdomains": "example.com:example.com\n",
        "users/assign": "+example.com-:example.com:5:6:/d/example.com:-::\n.\n",
        "control/locals": "",
    }
    snapshot = loaded(tmp_path, texts)
    assert str(snapshot.routing.virtualdomains["example.com"].rule) == "control/virtualdomains:1"
    assert snapshot.routing.locals == {}  # empty is not missing
    entry = snapshot.assign.find("example.com-ana")
    assert entry is not None
    assert (entry.uid, entry.ext, str(entry.rule)) == (5, "ana", "users/assign:1")


def test_queues_have_their_own_concurrency(tmp_path):
    texts = {
        "control/concurrencylocal": "7\n",
        "control/concurrencyl.queue2": "3\n",
        "control/holdlocal": "1\n",
        "control/queuelifetime": "100\n",
        "control/queue_base": "/var/spool/q\n",
        "indimail.toml": "[variables]\nQUEUE_START = 2\nQUEUE_COUNT = 3\n",
    }
    put(tmp_path, {"control/me": "mx\n", **texts})
    queue = load(open_instance(str(tmp_path), {}), {}, SMTP).queue
    assert queue.directories == tuple(f"/var/spool/q/queue{n}" for n in (2, 3, 4))
    assert queue.send_settings("queue1").concurrencylocal == 7
    assert queue.send_settings("queue2").concurrencylocal == 3
    assert queue.send_settings("queue2").holdlocal
    assert (queue.send.queuelifetime, queue.send.bouncelifetime) == (100, 100)


def test_bounces_are_made_as_the_control_files_say(tmp_path):
    texts = {
        "control/bouncefrom": "postmaster\n",
        "control/bouncehost": "Mail.Example.com\n",
        "control/bouncesubject": "Zurück\n",
        "control/bouncemessage": "Sorry,\n\n# a comment\nthat did not work.\n",
        "control/bouncemaxbytes": "100\n",
        "control/doublebounceto": "admin\n",
        "control/doublebouncehost": "example.net\n",
        "control/doublebouncesubject": "twice\n",
        "control/doublebouncemessage": "It came back.\n",
    }
    assert loaded(tmp_path, texts).queue.bounces == BounceSettings(
        "mx.example.com", "postmaster", "mail.example.com", "Zurück", ("Sorry,", "that did not work."), 100,
        "admin", "example.net", "twice", ("It came back.",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "to"),
    [(None, "postmaster"), ("", ""), ("\n", ""), ("@nobody\n", "@nobody"), ("a\nb\n", "a")],
)
def test_an_empty_doublebounceto_is_not_a_missing_one(tmp_path, text, to):
    texts = {} if text is None else {"control/doublebounceto": text}
    me = "mx.example.com"
    assert loaded(tmp_path, texts).queue.bounces == BounceSettings(
        me, bouncehost=me, doublebounceto=to, doublebouncehost=me
    )


def test_how_quotas_are_obeyed(tmp_path):
    environ = {
        "OVERQUOTA_CMD": "bin/full", "OVERQUOTA_MAILSIZE": "10", "HOLDOVERQUOTA": "/etc/hold",
        "MAILDIRSIZE_MAX_AGE": "900", "MAILDIRSIZE_MAX_SIZE": "5120", "FAST_QUOTA": "1",
        "INCLUDE_TRASH": "1", "QUOTAWARN1": "80", "QUOTAWARN10": "95",
    }  # fmt: skip
    assert loaded(tmp_path, {}, environ).quota == QuotaSettings(
        Counting(900, 5120, fast=True, include_trash=True), 10, None,
        (80, *(0,) * 8, 95), f"{tmp_path}/bin/full", "/etc/hold",
    )  # fmt: skip
    plain = loaded(tmp_path, {}, {"HOLDOVERQUOTA": "hold"}).quota
    assert (plain.command, plain.hold) == (f"{tmp_path}/libexec/overquota.sh", "")
    assert plain.hold_file("/m") == "/m/holdoverquota"
    assert not any(plain.percents)


@pytest.mark.parametrize(
    ("environ", "limits"),
    [
        ({}, None),
        ({"MAILCOUNT_LIMIT": ""}, None),
        ({"MAILCOUNT_LIMIT": "10"}, DailyLimits(10, 10_485_760)),
        ({"MAILSIZE_LIMIT": "5000"}, DailyLimits(1500, 5000)),
    ],
)
def test_daily_limits_hold_where_one_is_set(tmp_path, environ, limits):
    assert loaded(tmp_path, {}, environ).quota.limits == limits


def test_the_black_hole_is_in_two_files(tmp_path):
    texts = {
        "control/blackholedsender": "# noise\n@noise.example\n",
        "control/blackholedpatterns": "*@spam.example\n!good@*\n",
    }
    found = loaded(tmp_path, texts).queue.black_hole
    assert found.find("eve@noise.example") == Rule("control/blackholedsender", 2)
    assert found.find("eve@spam.example") == Rule("control/blackholedpatterns", 1)
    assert found.find("good@spam.example") is None


@pytest.mark.parametrize(("text", "lines"), [("0\n", 0), ("2\n", 2), ("-1\n", -1), ("", 0)])
def test_so_many_equal_delivered_to_lines_are_allowed(tmp_path, text, lines):
    texts = {"control/maxdeliveredto": text}
    assert loaded(tmp_path, texts).queue.local.max_delivered_to == lines


def test_local_domains_are_listed_and_a_variable_closes_every_home(tmp_path):
    texts = {"control/localdomains": "example.com\n"}
    local = loaded(tmp_path, texts).local
    assert local.local_domains == {"example.com": Rule("control/localdomains", 1)}
    assert local.only_local is None
    local = loaded(tmp_path, texts, {"LOCALDOMAINS": ""}).local
    assert local.only_local == Rule("environment", key="LOCALDOMAINS")
    assert loaded(tmp_path, texts).fingerprint == loaded(tmp_path, texts).fingerprint


def test_what_is_no_number_of_lines_is_told(tmp_path):
    assert mistakes(tmp_path, {"control/maxdeliveredto": "-2\n"}) == [
        "control/maxdeliveredto:1: found '-2', expected a whole number from -1 to 10000"
    ]


def test_parts_lie_where_the_toml_or_the_environment_says(tmp_path):
    put(tmp_path, {"indimail.toml": '[variables]\nCONTROLDIR = "ctl"\nCERTDIR = false\n'})
    environ = {"CONTROLDIR": "/elsewhere", "CERTDIR": "/elsewhere", "ASSIGNDIR": "u"}
    instance = open_instance(str(tmp_path), environ)
    assert instance.control_dir == f"{tmp_path}/ctl"
    assert (instance.certs, instance.users_dir) == (f"{tmp_path}/certs", f"{tmp_path}/u")


def test_a_snapshot_goes_to_the_workers_pickled(tmp_path):
    texts = {
        "control/rcpthosts": "example.com\n",
        "control/morercpthosts.cdb": build_cdb([(b"example.org", b"")]),
        "tcp/tcp.smtp": RULES,
        "indimail.toml": '[database]\nurl = "sqlite:////x"\n',
    }
    sent = loaded(tmp_path, texts)
    got = pickle.loads(pickle.dumps(sent))
    assert session(got, "10.0.0.1") == session(sent, "10.0.0.1")
    assert (
        str(got.relay.morercpthosts.find("example.org")) == "control/morercpthosts.cdb[example.org]"
    )
    assert got.process.database_url.reveal() == "sqlite:////x"
    assert "sqlite" not in repr(got.process)


def test_a_reload_takes_changes_and_keeps_what_a_start_decides(tmp_path):
    instance = put(tmp_path, {"control/me": "mx\n", "control/rcpthosts": "a.example\n"})
    running = load(instance, {}, Overrides())
    assert reload(instance, {}, Overrides(), running) is None
    put(tmp_path, {"control/rcpthosts": "# ours\na.example\n"})
    new = reload(instance, {}, Overrides(), running)
    assert new is not None
    assert (new.generation, str(new.relay.rcpthosts.find("a.example"))) == (
        1,
        "control/rcpthosts:2",
    )
    assert reload(instance, {}, Overrides(), new) is None
    toml = "[listener.submission]\nport = 587\n[process]\nworkers = 77\n"
    put(tmp_path, {"indimail.toml": toml + "[variables]\nHIDE_HOST = true\n"})
    newer = reload(instance, {}, Overrides(), new)
    assert newer is not None
    assert (newer.listeners, newer.process) == (running.listeners, running.process)
    assert newer.queue.count == running.queue.count
    assert session(newer).hide_host
    assert newer.notices == (
        "indimail.toml: listeners, workers, user, log and database change at the next start",
    )


def test_every_change_of_a_file_is_a_change(tmp_path):
    instance = put(tmp_path, {"control/me": "mx\n", "certs/servercert.pem": certificate()})
    seen = {load(instance, {}, SMTP).fingerprint}
    changes = {
        "control/me": "mx2\n", "control/locals": "", "control/percenthack": "x\n",
        "tcp/tcp.smtp": ":deny\n", "users/assign": ".\n", "certs/servercert.pem": certificate(),
        "control/smtpgreeting": "hello\n", "indimail.toml": "[variables]\nPENALTY = 0\n",
        "control/morercpthosts.cdb": build_cdb([(b"x", b"")]), "control/concurrencyr.queue1": "1\n",
        "tcp/tcp.smtp.cdb": build_cdb([(b"", b"D\0")]),
    }  # fmt: skip
    for name, text in changes.items():
        put(tmp_path, {name: text})
        found = load(instance, {}, SMTP).fingerprint
        assert found not in seen, name
        seen.add(found)
    assert load(instance, {"PENALTY": "9", "MIN_FREE": "1"}, SMTP).fingerprint not in seen


def test_an_address_without_domain_gets_ours(tmp_path):
    way = route(Address("ana", ""), loaded(tmp_path, {}).routing)
    assert str(way.address) == "ana@mx.example.com"


# -- who may relay ---------------------------------------------------------------------------------


def test_the_lists_of_the_founding_text_are_read_as_they_stand_there(tmp_path):
    """Its examples are indented, and so they may be here."""
    snapshot = loaded(
        tmp_path,
        {
            "control/relayclients": " 192.168.0.1:\n 192.168.1.:\n",
            "control/relaydomains": "\n\n  heaven.af.mil:\n  .heaven.af.mil:\n",
            "control/relaymailfrom": "  joeblow@domain1.com\n  @domain2.com\n",
        },
    )
    relay = snapshot.relay
    clients = relay.relayclients["relayclients"]
    assert [str(clients.find(ip).rule) for ip in ("192.168.0.1", "192.168.1.9")] == [
        "control/relayclients:1", "control/relayclients:2",
    ]  # fmt: skip
    hosts = relay.relaydomains.hosts
    assert [str(hosts.find(name).rule) for name in ("heaven.af.mil", "mx.heaven.af.mil")] == [
        "control/relaydomains:3", "control/relaydomains:4",
    ]  # fmt: skip
    senders = [Address("joeblow", "domain1.com"), Address("x", "domain2.com")]
    assert [str(relay.relaymailfrom.find(sender).rule) for sender in senders] == [
        "control/relaymailfrom:1", "control/relaymailfrom:2",
    ]  # fmt: skip
    assert (
        "control/relaymailfrom:1: claimable: lets everybody relay who says joeblow@domain1.com"
        in snapshot.notices
    )
    assert snapshot.asks_for_names


def test_relayclients_may_be_another_file_for_a_client(tmp_path):
    snapshot = loaded(
        tmp_path,
        {
            "control/relayclients": "10.0.0.1:\n",
            "control/relayclients.vpn": "10.9.0.1:\n",
            "tcp/tcp.smtp": '10.9.:allow,RELAYCLIENTS="relayclients.vpn"\n10.8.:allow,RELAYCLIENTS="x"\n',
        },
    )
    tables = snapshot.relay.relayclients
    assert sorted(tables) == ["relayclients", "relayclients.vpn", "x"]
    assert session(snapshot, "10.9.0.1").relayclients == "relayclients.vpn"
    assert str(tables["relayclients.vpn"].find("10.9.0.1").rule) == "control/relayclients.vpn:1"
    assert session(snapshot, "10.0.0.1").relayclients == "relayclients"
    assert "control/x: RELAYCLIENTS names it, and it is not there" in snapshot.notices
    assert not snapshot.asks_for_names


def test_relaymailfrom_cdb_is_asked_first_and_the_text_counts_too(tmp_path):
    records = [(b"Joe@base.example", b""), (b"@domain2.com", b""), (b"a@both.example", b"")]
    texts = {
        "control/relaymailfrom": "a@both.example\nb@text.example\n",
        "control/relaymailfrom.cdb": build_cdb(records),
    }
    find = loaded(tmp_path, texts).relay.relaymailfrom.find
    wanted = {
        Address("joe", "base.example"): "control/relaymailfrom.cdb[joe@base.example]",
        Address("x", "domain2.com"): "control/relaymailfrom.cdb[@domain2.com]",
        Address("a", "both.example"): "control/relaymailfrom:1",
        Address("b", "text.example"): "control/relaymailfrom:2",
    }
    assert {sender: str(find(sender).rule) for sender in wanted} == wanted
    (tmp_path / "control/relaymailfrom").unlink()
    assert find(Address("joe", "base.example")) is not None
    assert find(Address("b", "base.example")) is None


def test_every_mistake_in_the_lists_of_who_may_relay_is_told(tmp_path):
    texts = {
        "control/relayclients": "10.0.0.1:\n10.0.0:\n",
        "control/relaydomains": "a b:\n",
        "control/relaymailfrom": "domain2.com\n",
        "control/relaymailfrom.cdb": build_cdb([(b"nobody", b"")]),
    }
    found = mistakes(tmp_path, texts)
    assert [line.partition(", expected")[0] for line in found] == [
        "control/relayclients:2: found '10.0.0'",
        "control/relaydomains:1: found 'a b:'",
        "control/relaymailfrom:1: found 'domain2.com'",
        "control/relaymailfrom.cdb: found 'nobody'",
    ]


def test_a_login_counts_for_sixty_minutes_where_nothing_says_otherwise(tmp_path):
    assert session(loaded(tmp_path, {})).check_relay is None
    rules = '10.:allow,CHECKRELAY=""\n11.:allow,CHECKRELAY="IP",RELAY_CLEAR_MINUTES="30"\n'
    snapshot = loaded(tmp_path, {"tcp/tcp.smtp": rules})
    found = [session(snapshot, ip) for ip in ("192.0.2.1", "10.0.0.1", "11.0.0.1")]
    assert [each.check_relay for each in found] == [None, "account", "ip"]
    assert [each.login_seconds for each in found] == [3600.0, 3600.0, 1800.0]


OPENING = [
    ("tcp/tcp.smtp", ':allow,RELAYCLIENT=""', "lets everybody relay"),
    ("control/relayclients", "0.0.0.0/0:", "lets everybody relay"),
    ("control/relaydomains", ".com:@fix.me", "lets everybody whose name ends in .com relay"),
    ("control/relaydomains", "@.com:", "everybody may send to every domain of .com"),
    ("control/rcpthosts", ".com", "everybody may send to every domain of .com"),
]


@pytest.mark.parametrize(("file", "line", "why"), OPENING)
def test_what_lets_everybody_relay_is_a_mistake_until_it_is_accepted(tmp_path, file, line, why):
    texts = {file: f"# it is open\n{line}\n"}
    expected = f"a rule that does not let everybody relay ({why})"
    assert mistakes(tmp_path, texts) == [f"{file}:2: found '{line}', expected {expected}"]
    texts["indimail.toml"] = f"[relay]\naccept_open = ['x y', '{file} {line}']\n"
    assert f"{file}:2: open, as accept_open says: {why}" in loaded(tmp_path, texts).notices


def test_a_reload_that_would_open_the_relay_keeps_the_old_rules(tmp_path):
    running = loaded(tmp_path, {"tcp/tcp.smtp": '10.:allow,RELAYCLIENT=""\n'})
    instance = put(tmp_path, {"tcp/tcp.smtp": ':allow,RELAYCLIENT=""\n'})
    with pytest.raises(ConfigErrors, match="does not let everybody relay"):
        reload(instance, {}, SMTP, running)


def test_a_variable_that_lets_everybody_relay_is_a_mistake_of_its_line(tmp_path):
    (found,) = mistakes(tmp_path, {"indimail.toml": '[variables]\nRELAYCLIENT = ""\n'})
    assert found.startswith("indimail.toml:2: found 'RELAYCLIENT', expected a rule that does not")


def test_of_very_many_claims_a_few_are_notices(tmp_path):
    lines = "".join(f"user{n}@domain1.com\n" for n in range(8))
    found = [
        n for n in loaded(tmp_path, {"control/relaymailfrom": lines}).notices if "mailfrom" in n
    ]
    assert found[0] == (
        "control/relaymailfrom:1: claimable: lets everybody relay who says user0@domain1.com"
    )
    assert found[5:] == ["control/relaymailfrom: 3 more like these: indimail relaycheck"]


@pytest.mark.parametrize(
    ("address", "is_open"), [("127.0.0.1", False), ("::1", False), ("::", True)]
)
def test_a_listener_for_this_machine_alone_may_let_its_clients_relay(tmp_path, address, is_open):
    toml = f'[listener.smtp]\naddress = "{address}"\n[listener.smtp.variables]\nRELAYCLIENT = ""\n'
    if is_open:
        (found,) = mistakes(tmp_path, {"indimail.toml": toml}, overrides=Overrides())
        assert found.startswith("indimail.toml:4: found 'RELAYCLIENT'")
    else:
        snapshot = loaded(tmp_path, {"indimail.toml": toml}, overrides=Overrides())
        assert session(snapshot).relayclient == ""


def test_clients_are_asked_for_certificates_where_one_could_permit(tmp_path):
    pytest.importorskip("OpenSSL")
    texts = {"control/tlsclients": "gw@partner.example\n", "certs/servercert.pem": certificate()}
    missing = "control/tlsclients: permits nobody, for there is no certs/clientca.pem"
    snapshot = loaded(tmp_path, texts)
    assert missing in snapshot.notices
    assert snapshot.process.client_authorities == ""
    texts["certs/clientca.pem"] = trustme.CA().cert_pem.bytes()
    snapshot = loaded(tmp_path, texts)
    assert snapshot.process.client_authorities == f"{tmp_path}/certs/clientca.pem"
    assert str(snapshot.relay.tlsclients["gw@partner.example"].rule) == "control/tlsclients:1"
    texts["certs/clientca.pem"] = "nonsense"
    assert mistakes(tmp_path, texts) == [
        "certs/clientca.pem: found a file that is damaged, expected certificates (PEM)"
    ]
    del texts["control/tlsclients"]
    (tmp_path / "control/tlsclients").write_text("@partner.example\n")
    assert (
        "control/tlsclients:1: found '@partner.example', expected user@domain, a whole address"
        in mistakes(tmp_path, texts)
    )
