"""vpopmail's file of users: its lines, its flags."""

import pytest

from importing_trees import HASHES, MD5
from indimail.accounts.port import Flag
from indimail.mail.secret import Secret
from indimail.manage.importing.report import Note, Report, State
from indimail.manage.importing.source import FoundUser
from indimail.manage.importing.vpasswd import parse_vpasswd, translate_flags

WHERE = "domains/example.com/vpasswd"
HOME = "/home/vpopmail/domains/example.com/alice"


def read(text: str | bytes) -> tuple[list[FoundUser], list[Note]]:
    report = Report()
    octets = text if isinstance(text, bytes) else text.encode()
    return parse_vpasswd(octets, WHERE, report), report.notes


def test_a_line_has_seven_fields_and_an_eighth_for_the_password_as_it_is() -> None:
    users, notes = read(f"alice:{MD5}:1:0:Alice:{HOME}:50S,9C\nbob:{MD5}:1:0:Bob:/b:NOQUOTA:geheim")
    assert users == [
        FoundUser(f"{WHERE}:1", "alice", Secret(MD5), 0, "Alice", HOME, "50S,9C"),
        FoundUser(
            f"{WHERE}:2", "bob", Secret(MD5), 0, "Bob", "/b", "NOQUOTA", clear=Secret("geheim")
        ),
    ]
    assert notes == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", ""])
def test_ends_of_lines_may_be_of_any_kind(end: str) -> None:
    line = f"alice:{MD5}:1:0:Alice:{HOME}:NOQUOTA"
    users, notes = read(line + end + f"bob:{MD5}:1:0::/b:NOQUOTA{end}" if end else line)
    assert [user.quota for user in users] == ["NOQUOTA"] * len(users) != []
    assert notes == []


@pytest.mark.parametrize(
    "line", ["alice", f"alice:{MD5}:0:0:A:/a", f"a:{MD5}:0:0:A:B:/a:NOQUOTA:x"]
)
def test_another_number_of_fields_is_told_without_the_hash(line: str) -> None:
    users, (note,) = read(line)
    assert users == []
    assert (note.state, note.where) == (State.LEFT, f"{WHERE}:1")
    assert MD5 not in str(note)


def test_latin_1_is_utf_8_from_here_on_and_told() -> None:
    users, (note,) = read(f"alice:{MD5}:0:0:J\xfcrgen:/a:NOQUOTA\n".encode("latin-1"))
    assert users[0].gecos == "Jürgen"
    assert note.state is State.CHANGED
    assert read(f"alice:{MD5}:0:0:Jürgen:/a:NOQUOTA\n")[0][0].gecos == "Jürgen"


@pytest.mark.parametrize(
    ("bits", "flags", "unknown"),
    [
        (0, Flag(0), []),
        (0x01, Flag.NO_PASSWD_CHNG, []),
        (0x7F, Flag(0x7F), []),
        (0x80, Flag.V_USER0, []),
        (0x100, Flag.V_USER1, []),
        (0x200, Flag.V_USER2, []),
        (0x400, Flag.V_USER3, []),
        (0x800, Flag.NO_SMTP, []),
        (0x1000, Flag.QA_ADMIN, []),
        (0x2000, Flag.V_OVERRIDE, []),
        (0x802, Flag.NO_SMTP | Flag.NO_POP, []),
        (0x4000, Flag(0), ["NO_SPAMASSASSIN"]),
        (0x8000 | 0x40000, Flag(0), ["DELETE_SPAM", "NO_MAILDROP"]),
        (0x30008, Flag.NO_IMAP, ["SA_ADMIN", "SA_EXPERT"]),
        (1 << 19, Flag(0), ["0x80000"]),
    ],
)
def test_flags_have_other_bits_there(bits: int, flags: Flag, unknown: list[str]) -> None:
    assert translate_flags(bits) == (flags, unknown)


def test_a_flag_without_equivalent_and_one_that_is_no_number_are_told() -> None:
    text = f"a:{MD5}:0:{0x4000 | 0x10}:A:/a:NOQUOTA\nb:{MD5}:0:x:B:/b:NOQUOTA\n"
    users, (unknown, wrong) = read(text)
    assert [user.flags for user in users] == [Flag.BOUNCE_MAIL, Flag(0)]
    assert (unknown.state, unknown.what) == (State.LEFT, "a: NO_SPAMASSASSIN")
    assert (wrong.state, wrong.where) == (State.MEND, f"{WHERE}:2")


def test_hashes_of_every_age_come_as_they_are() -> None:
    text = "".join(f"u{n}:{hash_}:0:0:U:/u:NOQUOTA\n" for n, hash_ in enumerate(HASHES.values()))
    users, notes = read(text)
    assert [user.password.reveal() for user in users] == list(HASHES.values())
    assert notes == []
