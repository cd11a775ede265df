"""Paths of one place in another, in texts of any kind; what only looks like one stays."""

import pytest

from indimail.manage.backup.moved import Moved
from indimail.manage.backup.setup import owned, with_database, without_locations

MOVED = Moved([("/var/indimail", "/srv/new"), ("/var/indimail/etc", "/srv/new"),
               ("/home/mail", "/srv/new/mail"), ("/srv/new", "/never")])  # fmt: skip


@pytest.mark.parametrize(("path", "new"), [
    ("/var/indimail", "/srv/new"),
    ("/var/indimail/mail/A2E/example.com/alice", "/srv/new/mail/A2E/example.com/alice"),
    ("/var/indimail/etc/control/me", "/srv/new/control/me"),
    ("/home/mail/A2E", "/srv/new/mail/A2E"),
    ("/var/indimail2/x", "/var/indimail2/x"),
    ("/home/mailer", "/home/mailer"),
    ("relative", "relative"),
    ("", ""),
])  # fmt: skip
def test_a_path_is_where_the_longest_old_one_went(path: str, new: str) -> None:
    assert MOVED.path(path) == new


@pytest.mark.parametrize(("text", "new"), [
    ("| /var/indimail/sbin/vdelivermail '' bounce-no-mailbox",
     "| /srv/new/sbin/vdelivermail '' bounce-no-mailbox"),
    ("| x '/var/indimail/a' \"/home/mail\"", "| x '/srv/new/a' \"/srv/new/mail\""),
    ("+d-:d:5:5:/var/indimail/domains/d:-::", "+d-:d:5:5:/srv/new/domains/d:-::"),
    ("/var/indimail", "/srv/new"),
    ("a=/var/indimail/x,/home/mail/y", "a=/srv/new/x,/srv/new/mail/y"),
    ("/var/indimail.old /x/var/indimail", "/var/indimail.old /x/var/indimail"),
    ("/var/indimails", "/var/indimails"),
    ("no path at all \udcff", "no path at all \udcff"),
])  # fmt: skip
def test_a_text_names_the_new_paths(text: str, new: str) -> None:
    assert MOVED.text(text) == new


def test_a_place_that_stays_changes_nothing() -> None:
    moved = Moved([("/var/indimail", "/var/indimail")])
    assert moved.path("/var/indimail/x") == "/var/indimail/x"
    assert moved.octets(b"/var/indimail/x") == b"/var/indimail/x"


def test_entries_of_the_old_owner_are_the_new_ones() -> None:
    text = b"+a-:a:555:555:/d/a:-::\n=joe:joe:1000:1000:/home/joe:::\n+b-:b:555:1:/d/b:-::\n.\n"
    assert owned(text, (555, 555), (5555, 5556)) == (
        b"+a-:a:5555:5556:/d/a:-::\n=joe:joe:1000:1000:/home/joe:::\n+b-:b:555:1:/d/b:-::\n.\n"
    )


TOML = """\
# kept
[variables]
QUEUE_BASE = "/q"
CHECKRECIPIENT = "1"     # kept too
BASE_PATH = "mail2"

[database]
# a comment
url = "mysql://indimail:old@host/indimail"
"""


def test_variables_that_place_parts_go_and_the_rest_stays() -> None:
    assert without_locations(TOML) == TOML.replace('QUEUE_BASE = "/q"\n', "").replace(
        'BASE_PATH = "mail2"\n', ""
    )


@pytest.mark.parametrize(("text", "url", "new"), [
    (TOML, "", TOML.replace('url = "mysql://indimail:old@host/indimail"\n', "")),
    (TOML, "postgresql://a@b/c", TOML.replace(
        '[database]\n# a comment\nurl = "mysql://indimail:old@host/indimail"\n',
        '[database]\nurl = "postgresql://a@b/c"\n# a comment\n')),
    ("[process]\nworkers = 1\n", "postgresql://a@b/c",
     '[process]\nworkers = 1\n\n[database]\nurl = "postgresql://a@b/c"\n'),
    ("[database]", "postgresql://a@b/c", '[database]\nurl = "postgresql://a@b/c"\n'),
    ("", "", ""),
])  # fmt: skip
def test_the_database_is_the_one_that_was_given(text: str, url: str, new: str) -> None:
    assert with_database(text, url) == new
