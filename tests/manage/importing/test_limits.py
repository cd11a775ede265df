"""Limits of another system as our columns."""

from typing import Any

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import NO_DEFAULT, Limits
from indimail.manage.importing.limits import (
    limit_writes,
    limits_of_file,
    parse_limits_file,
    read_limits,
)
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundDomain, FoundLimits
from indimail.manage.row_writes import SetLimits


class Rows:
    """A database with one table."""

    names = frozenset({"vlimits"})

    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = list(rows)

    def rows(self, _table: str) -> list[dict[str, Any]]:
        return self._rows

    def columns(self, _table: str) -> list[str]:
        return list(self._rows[0])

    def count(self, _table: str) -> int:
        return len(self._rows)


@pytest.mark.parametrize(("column", "stored", "value"), [
    ("maxpopaccounts", 10, 10), ("maxpopaccounts", -1, -1), ("maxpopaccounts", 1 << 40, (1 << 31) - 1),
    ("domain_expiry", 1_900_000_000, 1_900_000_000), ("domain_expiry", -1, -1),
    ("defaultquota", (1 << 64) - 1, NO_DEFAULT), ("defaultquota", 52_428_800, 52_428_800),
    ("defaultquota", -1, NO_DEFAULT), ("diskquota", -1, 0), ("diskquota", 5, 5),
    ("disable_pop", 1, 1), ("disable_pop", True, 1), ("disable_pop", 0, 0),
    ("perm_account", 7, 7), ("perm_account", 0xFF, 7), ("perm_maillist", 0o777, 0o777),
    ("maxmsgcount", -1, 0),
])  # fmt: skip
def test_a_column_holds_what_ours_can_hold(column: str, stored: object, value: int) -> None:
    row = {"domain": "Example.com", column: stored}
    (found,) = read_limits(Rows(row), "vlimits", Report())["example.com"]
    assert (found.name, found.values) == ("", {column: int(value)})


def test_a_row_may_be_of_one_user_and_what_is_null_stays_as_it_is() -> None:
    row = {"domain": "alice@example.com", "maxaliases": None, "maxforwards": "3"}
    (found,) = read_limits(Rows(row), "vlimits", Report())["example.com"]
    assert (found.name, found.values) == ("alice", {"maxforwards": 3})


def test_vpopmails_file_has_other_names_and_megabytes() -> None:
    text = (
        b"# limits\nmaxpopaccounts: 10\nmaxforwards 5\nquota: 20\ndefault_quota: 1000\n"
        b"disable_pop\ndisable_password_changing\ndisable_external_relay: 0\nrubbish: x\n"
    )
    assert parse_limits_file(text) == {
        "maxpopaccounts": 10, "maxforwards": 5, "diskquota": 20, "defaultquota": 1000,
        "disable_pop": 1, "disable_passwordchanging": 1, "disable_relay": 0,
    }  # fmt: skip
    report = Report()
    found = limits_of_file(text + b"delete_spam\n", "x", report)
    assert found.values["diskquota"] == 20 << 20
    assert [(note.state, note.what) for note in report.notes] == [(State.LEFT, "delete_spam")]


def test_limits_that_are_set_here_stay() -> None:
    accounts, report = MemoryAccounts(), Report()
    limits = [
        FoundLimits("a", "", {"maxaliases": 1}), FoundLimits("b", "alice", {"maxaliases": 2}),
        FoundLimits("c", "gone", {"maxaliases": 2}),
    ]  # fmt: skip
    domain = FoundDomain("example.com", "x", "/x", limits=limits)
    names = {"alice": None}
    writes = limit_writes(accounts, domain, names, report)
    assert writes == [
        SetLimits("", "example.com", (("maxaliases", 1),)),
        SetLimits("alice", "example.com", (("maxaliases", 2),)),
    ]
    assert [(n.state, n.where) for n in report.notes] == [(State.LEFT, "c")]
    accounts.set_limits("", "example.com", {"maxaliases": 1})
    accounts.set_limits("alice", "example.com", {"maxaliases": 9})
    report = Report()
    assert limit_writes(accounts, domain, names, report) == []
    assert [(n.state, n.where) for n in report.notes] == [(State.KEPT, "b"), (State.LEFT, "c")]
    assert accounts.limits("alice", "example.com") == Limits("alice", "example.com", maxaliases=9)
