"""spec/delivery.md 3 (qmail-getpw): longest user first, never root, else alias."""

import pytest

from indimail.delivery.assign import AssignEntry
from indimail.delivery.getpw import SystemUser, alias_entry, candidates, entry_of, takes_mail
from indimail.mail.verdict import Rule


@pytest.mark.parametrize(
    ("local", "names"),
    [
        ("bob", ("bob",)),
        ("Bob-List-owner", ("bob-list-owner", "bob-list", "bob")),
        ("bob-", ("bob-", "bob")),
        ("-bob", ("-bob",)),
        ("", ()),
        ("x" * 31, ("x" * 31,)),
        ("x" * 32, ()),
        (f"bob-{'x' * 40}", ("bob",)),
        ("bob\udcff-a", ("bob\udcff-a", "bob\udcff")),
    ],
)
def test_names_to_look_for(local: str, names: tuple[str, ...]) -> None:
    assert candidates(local) == names


@pytest.mark.parametrize(
    ("uid", "owner", "takes"),
    [(1000, 1000, True), (0, 0, False), (1000, 0, False), (1000, None, False)],
)
def test_root_and_who_does_not_own_his_home_gets_no_mail(
    uid: int, owner: int | None, takes: bool
) -> None:
    assert takes_mail(SystemUser("bob", uid, 100, "/home/bob", owner)) is takes


BOB = SystemUser("bob", 1000, 100, "/home/bob", 1000)


@pytest.mark.parametrize(
    ("local", "dash", "ext"), [("bob", "", ""), ("BOB-List-x", "-", "List-x"), ("bob-", "-", "")]
)
def test_what_is_behind_the_user_is_the_extension(local: str, dash: str, ext: str) -> None:
    assert entry_of(local, BOB) == AssignEntry(
        "bob", 1000, 100, "/home/bob", dash, ext, Rule("/etc/passwd", key="bob")
    )


def test_who_is_nobody_is_an_extension_of_alias() -> None:
    assert alias_entry("Info-x", 89, 88, "/srv/alias") == AssignEntry(
        "alias", 89, 88, "/srv/alias", "-", "Info-x", Rule("alias")
    )
