"""spec/delivery.md 4 (environment) and 5.5 (what vdelivermail leaves of it)."""

import pytest

from indimail.delivery.environment import Addressee, Lines, environment, of_virtual

BOB = Addressee("bob", "/home/bob", "bob-Lists-a-b-c-d", "mx.mail.example.com", "Lists-a-b-c-d")
LINES = Lines("Return-Path: <eve@example.net>\n", "Delivered-To: x\n", "From eve Thu\n")


def found(who: Addressee = BOB) -> dict[str, str]:
    return environment(who, "eve@example.net", "bob-owner@mx.example.com", LINES)


def test_the_variables_of_a_program() -> None:
    assert found() == {
        "SENDER": "eve@example.net",
        "NEWSENDER": "bob-owner@mx.example.com",
        "RECIPIENT": "bob-Lists-a-b-c-d@mx.mail.example.com",
        "USER": "bob",
        "HOME": "/home/bob",
        "HOST": "mx.mail.example.com",
        "HOST2": "mx.mail.example",
        "HOST3": "mx.mail",
        "HOST4": "mx",
        "LOCAL": "bob-Lists-a-b-c-d",
        "EXT": "Lists-a-b-c-d",
        "EXT2": "a-b-c-d",
        "EXT3": "b-c-d",
        "EXT4": "c-d",
        "DTLINE": "Delivered-To: x\n",
        "RPLINE": "Return-Path: <eve@example.net>\n",
        "UFLINE": "From eve Thu\n",
        "QQEH": "",
    }


@pytest.mark.parametrize(
    ("host", "cut"),
    [("localhost", ("localhost",) * 3), ("a.b", ("a", "a", "a")), ("a.b.c", ("a.b", "a", "a"))],
)
def test_a_short_host_is_cut_as_often_as_it_has_dots(host: str, cut: tuple[str, ...]) -> None:
    variables = found(Addressee("bob", "/", "bob", host, ""))
    assert tuple(variables[f"HOST{n}"] for n in (2, 3, 4)) == cut


@pytest.mark.parametrize(
    ("ext", "rest"), [("", ("", "", "")), ("a", ("", "", "")), ("a-b", ("b", "", ""))]
)
def test_what_is_behind_the_dashes_of_an_extension(ext: str, rest: tuple[str, ...]) -> None:
    variables = found(Addressee("bob", "/", f"bob-{ext}", "h", ext))
    assert tuple(variables[f"EXT{n}"] for n in (2, 3, 4)) == rest


@pytest.mark.parametrize("default", [None, "", "b-c"])
def test_default_is_set_where_a_default_file_is_used(default: str | None) -> None:
    who = Addressee("bob", "/", "bob-a-b-c", "h", "a-b-c", default)
    assert found(who).get("DEFAULT") == default


def test_no_value_ends_early_where_c_reads_it() -> None:
    who = Addressee("bob", "/", "bob-\0x", "h", "\0x")
    assert all("\0" not in value for value in found(who).values())


@pytest.mark.parametrize(
    ("command", "keeps"),
    [
        ("/usr/bin/autoresponder -q msg dir", True),
        ("forward bob@example.net", True),
        ("./condredirect bob@example.net true", True),
        ("sort", False),
        ("sh -c forward", False),
        ("", False),
    ],
)
def test_lines_that_vdelivermail_keeps_for_programs_that_put_them_in_front(
    command: str, keeps: bool
) -> None:
    left = of_virtual(found(), command)
    assert ("RPLINE" in left, "DTLINE" in left) == (keeps, keeps)
    assert {*found()} - {*left} <= {"RPLINE", "DTLINE"}
