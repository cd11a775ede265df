"""valias's changes (spec/delivery.md 2)."""

import os
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.manage.aliases import LineChange, plan_alias_change, plan_alias_lines
from indimail.manage.row_writes import AddAlias, RemoveAlias
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount
from manage.site_tree import QuickDisk, carried_out, make_site

EMPTY = Refused("You cannot have an empty alias line", 1)
FORMS = "&user@domain, user@domain, /path/of/a/Maildir/ or | program"
SALES = ("sales", "example.com")


@pytest.fixture
def accounts() -> MemoryAccounts:
    return MemoryAccounts()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(str(tmp_path / "i"))


def refusal(accounts: MemoryAccounts, *lines: str | None, name: str = "sales") -> Refused:
    outcome = plan_alias_lines(accounts, name, "example.com", LineChange(*lines))
    assert isinstance(outcome, Refused)
    return outcome


@pytest.mark.parametrize("line", [
    "&bob@example.org", "bob@example.org", "&Bham", "/srv/list/Maildir/", "/srv/list",
    "| /usr/bin/true", "|true",
])  # fmt: skip
def test_a_line_of_each_form_is_added_once(site: Site, accounts: MemoryAccounts, line: str) -> None:
    new, gone = LineChange(new=line), LineChange(gone=line)
    carried_out(site, accounts, QuickDisk(), plan_alias_lines(accounts, *SALES, new))
    assert refusal(accounts, line) == Refused(
        f"sales@example.com: the line [{line}] is there already", 255, 73
    )
    assert accounts.aliases(*SALES) == [line]
    carried_out(site, accounts, QuickDisk(), plan_alias_lines(accounts, *SALES, gone))
    assert accounts.aliases(*SALES) == []


@pytest.mark.parametrize("line", [
    "bob", "./Maildir/", "# comment", "bob@a@b", "&bob @example.org", "|", "&", "@example.org",
    "&bob@example.org\n&eve@example.org", "&a,b\t@example.org",
])  # fmt: skip
def test_a_line_that_no_delivery_understands_is_refused(
    accounts: MemoryAccounts, line: str
) -> None:
    wanted = Refused(f"invalid alias line {line!r}: expected {FORMS}", 1)
    assert refusal(accounts, line) == wanted
    accounts.add_alias(*SALES, "&a@example.org")
    assert refusal(accounts, line, "&a@example.org") == wanted


def test_what_is_empty_long_or_missing_is_refused(accounts: MemoryAccounts) -> None:
    for line in ("", "  "):
        assert refusal(accounts, line) == EMPTY
        assert refusal(accounts, None, line) == EMPTY
        assert refusal(accounts, "&a@b.c", line) == EMPTY
        assert refusal(accounts, line, "&a@b.c") == EMPTY
    long = Refused("alias line of 191 characters: at most 190", 1)
    assert refusal(accounts, "/" + "x" * 190) == long
    assert refusal(accounts, "&a@b.c", name="a" * 41) == Refused("Name too long", 100)
    none = Refused("sales@example.com: no line [&a@b.c]; its lines: none", 1, 67)
    assert refusal(accounts, None, "&a@b.c") == none
    assert refusal(accounts, "&d@e.f", "&a@b.c") == none
    accounts.add_alias(*SALES, "&x@y.z")
    there = Refused("sales@example.com: no line [&a@b.c]; its lines: &x@y.z", 1, 67)
    assert refusal(accounts, None, "&a@b.c") == there


def test_a_line_is_put_in_another_s_place_first_the_new_one(accounts: MemoryAccounts) -> None:
    accounts.add_alias(*SALES, "&a@b.c")
    new, gone, tell = AddAlias(*SALES, "&d@e.f"), RemoveAlias(*SALES, "&a@b.c"), TellAccount(*SALES)
    replaced = LineChange("&d@e.f", "&a@b.c")
    assert plan_alias_lines(accounts, *SALES, replaced) == [new, gone, tell]
    accounts.add_alias(*SALES, "&d@e.f")  # also where it is there
    assert plan_alias_lines(accounts, *SALES, replaced) == [new, gone, tell]
    itself = LineChange("&a@b.c", "&a@b.c")
    assert plan_alias_lines(accounts, *SALES, itself) == [AddAlias(*SALES, "&a@b.c"), tell]


def test_a_domain_that_is_not_ours_has_no_lines(site: Site, accounts: MemoryAccounts) -> None:
    change = LineChange(new="&a@b.c")
    outcome = plan_alias_change(site, accounts, QuickDisk(), "sales", "example.net", change)
    assert outcome == Refused("example.net: No such domain", 1, os.EX_NOHOST)
