"""Control files: merged, copied, left; what would let everybody relay is not taken."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from indimail.control.files import parse_lines
from indimail.mail.errors import Mistake
from indimail.mail.secret import Secret
from indimail.manage.importing.clients import safe_rules
from indimail.manage.importing.controls import ControlPlan
from indimail.manage.importing.dotqmail import Moved, Rewriting
from indimail.manage.importing.files import FileWrites
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundFile
from indimail.manage.importing.ways import Ways
from indimail.manage.site import Site
from manage.site_tree import QuickDisk, make_site

KNOWN = {
    "databytes": "",
    "bouncefrom": "",
    "badmailfrom": "sender lists",
    "batvkey": "SRS",
    "me": "",
}


class Plan:
    """A plan on an instance; `check` refuses lines that have the word `wrong`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.report = Report()
        self.taken: set[str] = set()
        self.force = False

    def __call__(self, **controls: str) -> list[str]:
        files = [
            FoundFile(name, f"control/{name}", text.encode()) for name, text in controls.items()
        ]
        return self.of(files)

    def of(self, files: Sequence[FoundFile]) -> list[str]:
        ways = Ways(hashed=Secret, controls=KNOWN, check=check, force=self.force)
        writes = FileWrites(QuickDisk(), ways, Rewriting("/", Moved({}), frozenset()), self.report)
        root = f"{self.site.places.root}/"
        planned = ControlPlan(self.site, writes).writes(files, self.taken)
        return [str(write).replace(root, "") for write in planned]

    @property
    def notes(self) -> list[tuple[State, str]]:
        return [(note.state, note.where) for note in self.report.notes]


def check(files: Mapping[str, bytes]) -> list[Mistake]:
    return [
        Mistake(f"control/{os.path.basename(path)}", line.number, line.text, "something else")
        for path, octets in files.items()
        for line in parse_lines(octets, path)[0]
        if "wrong" in line.text
    ]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(make_site(str(tmp_path / "i")))


def test_a_file_that_works_here_is_copied_and_one_that_waits_says_so(plan: Plan) -> None:
    assert plan(rcpthosts="", databytes="5000\n", badmailfrom="@evil.example\n") == [
        "file control/databytes: write 5 octets",
        "file control/badmailfrom: write 14 octets",
    ]
    assert plan.notes == [(State.WAITS, "control/badmailfrom")]


def test_what_waits_is_told_again_where_it_is_here(plan: Plan) -> None:
    Path(plan.site.control("badmailfrom")).write_text("@evil.example\n")
    assert plan(rcpthosts="", badmailfrom="@evil.example\n") == []
    assert plan.notes == [(State.WAITS, "control/badmailfrom")]


def test_what_is_not_known_here_is_told(plan: Plan) -> None:
    assert plan(rcpthosts="", concurrencyfrob="3\n") == []
    assert plan.notes == [(State.LEFT, "control/concurrencyfrob")]


def test_where_the_passwords_of_databases_stand_is_left(plan: Plan) -> None:
    assert (
        plan(rcpthosts="", **{"host.mysql": "localhost:indimail:secret:3306\n", "mcdinfo": "x\n"})
        == []
    )
    assert plan.notes == [(State.LEFT, "control/host.mysql"), (State.LEFT, "control/mcdinfo")]
    assert "secret" not in plan.report.text()


def test_a_certificate_is_told_where_ours_is(plan: Plan) -> None:
    plan(rcpthosts="", **{"servercert.pem": "x"})
    assert "[tls] in indimail.toml" in plan.report.notes[0].why


def test_a_data_base_is_left_and_told_where_it_has_no_text(plan: Plan) -> None:
    plan(rcpthosts="", badmailfrom="x\n", **{"badmailfrom.cdb": "", "spammers.cdb": ""})
    assert (State.LEFT, "control/spammers.cdb") in plan.notes
    assert (State.LEFT, "control/badmailfrom.cdb") not in plan.notes


@pytest.mark.parametrize(("mode", "expected"), [(0o644, 0o644), (0o600, 0o600), (0o640, 0o600)])
def test_a_secret_stays_one(plan: Plan, mode: int, expected: int) -> None:
    ways = Ways(hashed=Secret, controls=KNOWN)
    files = FileWrites(QuickDisk(), ways, Rewriting("/", Moved({}), frozenset()), plan.report)
    (write,) = ControlPlan(plan.site, files).writes([FoundFile("batvkey", "x", b"k\n", mode)], [])
    assert vars_of(write)["mode"] == expected


def vars_of(write: object) -> dict[str, object]:
    return {name: getattr(write, name) for name in write.__dataclass_fields__}  # type: ignore[attr-defined]


def test_a_file_that_says_something_else_here_stays_unless_forced(plan: Plan) -> None:
    path = Path(plan.site.control("databytes"))
    path.write_text("1\n")
    assert plan(rcpthosts="", databytes="2\n") == []
    assert plan.notes == [(State.KEPT, "control/databytes")]
    plan.force = True
    assert plan(rcpthosts="", databytes="2\n") == ["file control/databytes: write 2 octets"]
    path.write_text("2\n")
    assert plan(rcpthosts="", databytes="2\n") == []


def test_the_hosts_own_name_stays_also_when_forced(plan: Plan) -> None:
    plan.force = True
    assert plan(rcpthosts="", me="old.example\n") == []
    assert plan.notes == [(State.LEFT, "control/me")]
    plan.report.notes.clear()
    plan(rcpthosts="", me="MX.example.org\n")
    assert plan.notes == []


def test_a_file_with_a_mistake_is_left_with_its_line_and_the_others_come(plan: Plan) -> None:
    written = plan(rcpthosts="", databytes="ok\nwrong\n", bouncefrom="bounces\n")
    assert written == ["file control/bouncefrom: write 8 octets"]
    assert plan.notes == [(State.LEFT, "control/databytes:2")]


def test_lists_of_domains_get_the_lines_that_are_missing(plan: Plan) -> None:
    plan.taken = {"example.com"}
    written = plan(
        rcpthosts="Example.com\nrelay.example\nwrong\nrelay.example\nmx.example.org\n",
        locals="old.example\nexample.com\nlocalhost\n",
        virtualdomains="example.com:example.com\nlists.example:joe-lists\n",
    )
    assert written == [
        "file control/rcpthosts: add relay.example",
        "file control/locals: add old.example",
        "file control/virtualdomains: add lists.example:joe-lists",
    ]
    assert plan.notes == [
        (State.LEFT, "control/rcpthosts:3"),
        (State.MEND, "control/virtualdomains:2"),
    ]


def test_a_route_that_leads_elsewhere_here_stays(plan: Plan) -> None:
    Path(plan.site.control("virtualdomains")).write_text("lists.example:other\n")
    plan.taken = {"example.com"}
    assert (
        plan(rcpthosts="", virtualdomains="lists.example:joe\nexample.com:autoturn-1.2.3.4\n") == []
    )
    assert plan.notes == [
        (State.KEPT, "control/virtualdomains:1"),
        (State.LEFT, "control/virtualdomains:2"),
    ]


def test_beyond_fifty_hosts_go_to_the_other_list_which_is_compiled(plan: Plan) -> None:
    hosts = "".join(f"h{number}.example\n" for number in range(60))
    written = plan(rcpthosts=hosts)
    assert sum(line.startswith("file control/rcpthosts: add") for line in written) == 49
    assert sum(line.startswith("file control/morercpthosts: add") for line in written) == 11
    assert written[-1] == "file control/morercpthosts.cdb: compile"


def test_without_the_list_it_took_mail_for_everybody_which_is_not_taken_over(plan: Plan) -> None:
    assert plan(databytes="1\n") == ["file control/databytes: write 2 octets"]
    assert plan.notes == [(State.CHANGED, "control/rcpthosts")]
    assert Path(plan.site.control("rcpthosts")).read_text() == "mx.example.org\n"


def test_locals_that_are_not_there_mean_me_which_stays(plan: Plan) -> None:
    os.unlink(plan.site.control("locals"))
    assert plan(rcpthosts="", locals="old.example\n") == [
        "file control/locals: add mx.example.org", "file control/locals: add old.example",
    ]  # fmt: skip


# -- tcp.smtp --------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [
    ':allow,RELAYCLIENT=""', '0.0.0.0/0:allow,RELAYCLIENT=""', '::/0:allow,RELAYCLIENT=""',
    '1-255.:allow,RELAYCLIENT=""', '=:allow,RELAYCLIENT=""', '0/0:allow,RELAYCLIENT="@x"',
])  # fmt: skip
def test_a_rule_that_lets_everybody_relay_is_a_comment(line: str) -> None:
    report = Report()
    text = safe_rules(FoundFile("tcp.smtp", "etc/tcp.smtp", f"{line}\n".encode()), {}, report)
    assert text == f"# not taken: {line}\n"
    assert [(n.state, n.where) for n in report.notes] == [(State.LEFT, "etc/tcp.smtp:1")]


def test_other_rules_stay_and_their_variables_are_told() -> None:
    text = (
        '# ours\n10.1.:allow,RELAYCLIENT="",SPAMFILTER="x",FROB="1"\n'
        "no rule\n192.0.2.7:deny\n:allow\n"
    )
    report = Report()
    variables = {"RELAYCLIENT": "", "SPAMFILTER": "content filters"}
    found = safe_rules(FoundFile("tcp.smtp", "tcp.smtp", text.encode()), variables, report)
    assert found == text.replace("no rule", "# not taken: no rule")
    assert [(n.state, n.what) for n in report.notes] == [
        (State.WAITS, "SPAMFILTER"), (State.MEND, "FROB"), (State.LEFT, "no rule"),
    ]  # fmt: skip
