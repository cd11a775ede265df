"""valias's changes (spec/delivery.md 2)."""

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.manage.aliases import add_line, remove_line, replace_line
from indimail.manage.site import Refused

EMPTY = Refused("You cannot have an empty alias line", 1)
FORMS = "&user@domain, user@domain, /path/of/a/Maildir/ or | program"


@pytest.mark.parametrize("line", [
    "&bob@example.org", "bob@example.org", "&Bham", "/srv/list/Maildir/", "/srv/list",
    "| /usr/bin/true", "|true",
])  # fmt: skip
def test_a_line_of_each_form_is_added_once(line: str) -> None:
    accounts = MemoryAccounts()
    assert add_line(accounts, "sales", "example.com", line) is None
    assert add_line(accounts, "sales", "example.com", line) == Refused(
        f"sales@example.com: the line [{line}] is there already", 255
    )
    assert accounts.aliases("sales", "example.com") == [line]
    assert remove_line(accounts, "sales", "example.com", line) is None
    assert accounts.aliases("sales", "example.com") == []


@pytest.mark.parametrize("line", [
    "bob", "./Maildir/", "# comment", "bob@a@b", "&bob @example.org", "|", "&", "@example.org",
    "&bob@example.org\n&eve@example.org", "&a,b\t@example.org",
])  # fmt: skip
def test_a_line_that_no_delivery_understands_is_refused(line: str) -> None:
    accounts = MemoryAccounts()
    wanted = Refused(f"invalid alias line {line!r}: expected {FORMS}", 1)
    assert add_line(accounts, "sales", "example.com", line) == wanted
    accounts.add_alias("sales", "example.com", "&a@example.org")
    assert replace_line(accounts, "sales", "example.com", "&a@example.org", line) == wanted
    assert accounts.aliases("sales", "example.com") == ["&a@example.org"]


def test_what_is_empty_long_or_missing_is_refused() -> None:
    accounts = MemoryAccounts()
    for line in ("", "  "):
        assert add_line(accounts, "sales", "example.com", line) == EMPTY
        assert remove_line(accounts, "sales", "example.com", line) == EMPTY
        assert replace_line(accounts, "sales", "example.com", line, "&a@b.c") == EMPTY
        assert replace_line(accounts, "sales", "example.com", "&a@b.c", line) == EMPTY
    long = Refused("alias line of 191 characters: at most 190", 1)
    assert add_line(accounts, "sales", "example.com", "/" + "x" * 190) == long
    assert add_line(accounts, "a" * 41, "example.com", "&a@b.c") == Refused("Name too long", 100)
    none = Refused("sales@example.com: no line [&a@b.c]; its lines: none", 1)
    assert remove_line(accounts, "sales", "example.com", "&a@b.c") == none
    assert replace_line(accounts, "sales", "example.com", "&a@b.c", "&d@e.f") == none
    accounts.add_alias("sales", "example.com", "&x@y.z")
    there = Refused("sales@example.com: no line [&a@b.c]; its lines: &x@y.z", 1)
    assert remove_line(accounts, "sales", "example.com", "&a@b.c") == there


def test_a_line_is_put_in_another_s_place() -> None:
    accounts = MemoryAccounts()
    accounts.add_alias("sales", "example.com", "&a@b.c")
    assert replace_line(accounts, "sales", "example.com", "&a@b.c", "&d@e.f") is None
    assert accounts.aliases("sales", "example.com") == ["&d@e.f"]
