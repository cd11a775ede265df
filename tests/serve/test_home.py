"""What is found in a home, and what is no file of it."""

import os
from pathlib import Path

import pytest

from indimail.delivery.dotqmail import Name, find_dotqmail_names
from indimail.serve.home import (
    LONGEST,
    MOST,
    Home,
    HomeMissing,
    HomeUnreadable,
    Listing,
    Listings,
    look,
    owner_file_of,
)

NAMES = find_dotqmail_names("-", "list-x")
OWNER = owner_file_of("-", "list-x")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tmp_path.chmod(0o750)
    return tmp_path


def test_the_first_name_that_is_a_file_is_meant(home: Path) -> None:
    (home / ".qmail-list-x").mkdir()
    (home / ".qmail-list-default").write_text("|sort\n")
    (home / ".qmail-list-default").chmod(0o640)
    (home / ".qmail-default").write_text("./Maildir/\n")
    found = look(str(home), NAMES, OWNER)
    assert found == Home(0o750, Name(".qmail-list-default", "x"), "|sort\n", 0o640)


def test_none_of_the_names_is_there(home: Path) -> None:
    assert look(str(home), NAMES, OWNER) == Home(0o750)


def test_a_link_to_a_file_is_that_file(home: Path) -> None:
    (home / "list").write_text("&bob\n")
    (home / ".qmail-list-x").symlink_to("list")
    assert look(str(home), NAMES, OWNER).text == "&bob\n"


def test_a_pipe_is_no_file_and_stops_nobody(home: Path) -> None:
    os.mkfifo(home / ".qmail-list-x")
    assert look(str(home), NAMES, OWNER).name is None


@pytest.mark.parametrize("name", [".qmail-other", ".qmail-list-x"])
def test_a_home_says_that_it_takes_mail_of_local_domains_alone(home: Path, name: str) -> None:
    (home / name).write_text("&bob\n")
    assert not look(str(home), NAMES, OWNER).local_only
    (home / ".localdomains").touch()
    assert look(str(home), NAMES, OWNER).local_only


@pytest.mark.parametrize(
    ("files", "owned", "verp"),
    [
        ((), False, False),
        (("-owner",), True, False),
        (("-owner", "-owner-default"), True, True),
        (("-owner-default",), False, False),
    ],
)
def test_owner_files_say_who_sends_what_is_forwarded(home: Path, files, owned, verp) -> None:
    for end in ("", *files):
        (home / f".qmail-list-x{end}").write_text("&bob\n")
    found = look(str(home), NAMES, OWNER)
    assert (found.owned, found.verp) == (owned, verp)


@pytest.mark.parametrize(
    ("dash", "ext", "name"),
    [
        ("-", "A.b-C", ".qmail-a:b-c-owner"),
        ("", "", ".qmail-owner"),
        ("-", "\0", ""),
        ("-", "x" * 250, ""),
    ],
)
def test_the_name_of_an_owner_file(dash: str, ext: str, name: str) -> None:
    assert owner_file_of(dash, ext) == name


def test_octets_that_are_no_text_are_kept(home: Path) -> None:
    (home / ".qmail-list-x").write_bytes(b"./b\xffx/\n")
    assert os.fsencode(look(str(home), NAMES, OWNER).text) == b"./b\xffx/\n"


def test_a_file_of_more_than_a_bound_keeps_the_mail_and_loses_no_line(home: Path) -> None:
    (home / ".qmail-list-x").write_text("&bob@example.org\n" * (LONGEST // 16))
    with pytest.raises(HomeUnreadable, match=r"\.qmail-list-x: more than"):
        look(str(home), NAMES, OWNER)


def test_there_is_no_home(home: Path) -> None:
    with pytest.raises(HomeMissing, match=r"Unable to switch to .*/none: No such file"):
        look(str(home / "none"), NAMES, OWNER)


def test_a_home_that_is_no_folder_keeps_the_mail(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(HomeUnreadable, match=r"Unable to switch to .*: Not a directory"):
        look(str(home / "file" / "x"), NAMES, OWNER)


def test_a_file_that_may_not_be_read_is_an_error_and_not_absent(home: Path) -> None:
    """EACCES on a name must not lead to the next one: its lines are not meant for this mail."""
    (home / ".qmail-list-x").symlink_to("/proc/self/mem")
    (home / ".qmail-default").write_text("./Maildir/\n")
    with pytest.raises(HomeUnreadable, match=r"Unable to open .*\.qmail-list-x"):
        look(str(home), NAMES, OWNER)


@pytest.mark.parametrize("error", [PermissionError, OSError])
def test_a_name_that_cannot_be_looked_at_keeps_the_mail(home: Path, monkeypatch, error) -> None:
    (home / ".qmail-default").write_text("./Maildir/\n")
    stat = os.stat

    def fails(path, *args, **kwargs):
        if str(path).endswith(".qmail-list-x"):
            raise error(5, "Input/output error")
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", fails)
    with pytest.raises(
        HomeUnreadable, match=r"Unable to open .*\.qmail-list-x: Input/output error"
    ):
        look(str(home), NAMES, OWNER)


# -- read once, for many -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        [],
        [".qmail-default"],
        [".qmail-list-x", ".qmail-list-default", ".qmail-list-x-owner"],
        [".qmail-list-default", ".qmail-list-x-owner", ".qmail-list-x-owner-default"],
        [".qmail-default", ".localdomains", "other"],
    ],
)
def test_a_listing_tells_what_a_look_does(home: Path, files: list[str]) -> None:
    (home / ".qmail-list").mkdir()
    for file in files:
        (home / file).write_text(f"./{file}/\n")
    listing = Listing.of(str(home))
    assert listing is not None
    for name in ("list-x", "list", "other-y", ""):
        names, owner = find_dotqmail_names("-", name), owner_file_of("-", name)
        assert listing.look(str(home), names, owner) == look(str(home), names, owner)


def test_a_home_of_very_many_files_is_not_listed(home: Path) -> None:
    for number in range(MOST + 1):
        (home / str(number)).touch()
    assert Listing.of(str(home)) is None


def test_a_home_that_is_missing_has_no_listing(home: Path) -> None:
    with pytest.raises(HomeMissing):
        Listing.of(str(home / "gone"))


def test_a_listing_is_read_again_after_a_moment_and_after_a_change(home: Path) -> None:
    listings = Listings(2.0)
    said = []
    for text, now, changes in (("a", 0.0, 1), ("b", 2.0, 1), ("c", 2.0, 2), ("d", 4.1, 2)):
        (home / ".qmail-default").write_text(f"&{text}\n")
        find = listings.find(str(home), now, changes)
        assert find is not None
        said.append(find(str(home), NAMES, OWNER).text)
    assert said == ["&a\n", "&a\n", "&c\n", "&d\n"]
