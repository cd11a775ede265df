from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.control.toml import DEFAULT_TEXT, Given, ListenerTable, parse_toml, read_toml
from indimail.mail.errors import Mistake


def parse(text):
    return parse_toml(dedent(text).encode(), "indimail.toml")


def test_every_value_keeps_its_line():
    setup, mistakes = parse("""\
        # set-up
        [listener.smtp]
        address = "::"
        port = 2525

        [listener.smtp.variables]
        MAXPERIP = 25
        [variables]
        STARTTLS = true
        HIDE_HOST = false
        [process]
        workers = 2
        """)
    assert mistakes == []
    assert setup.listeners == {
        "smtp": ListenerTable(2, None, Given("::", 3), Given(2525, 4), {"MAXPERIP": Given("25", 7)})
    }
    assert setup.variables == {"STARTTLS": Given("1", 9), "HIDE_HOST": Given(None, 10)}
    assert setup.settings == {"process.workers": Given(2, 12)}


def test_all_mistakes_are_told_at_once():
    _, mistakes = parse("""\
        colour = "red"
        [process]
        workers = "two"
        workres = 2
        [listener.smtp]
        port = true
        [listener.smtp.variables]
        BAD = [1]
        "A B" = 1
        [variables]
        X = 1.5
        [database]
        url = 5
        """)
    assert mistakes == [
        Mistake("indimail.toml", 1, "section 'colour'",
                "one of process tls database dns remote relay listener variables"),
        Mistake("indimail.toml", 3, 'workers = "two"', "a whole number"),
        Mistake("indimail.toml", 4, "key 'workres'", "one of workers user log drain_seconds affinity"),
        Mistake("indimail.toml", 13, "url = 5", 'text in quotes ("...")'),
        Mistake("indimail.toml", 11, "1.5", "text, a number, true or false"),
        Mistake("indimail.toml", 6, "port = true", "a whole number"),
        Mistake("indimail.toml", 8, "a list", "text, a number, true or false"),
        Mistake("indimail.toml", 9, "'A B'", "the name of a variable (A-Z, 0-9, _)"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("[process]\nworkers = \n", 2, "'workers =' (invalid value)"),
        ("a = 1\na = 2\n", 2, "'a = 2' (cannot overwrite a value)"),
        ('x = """abc\n', 1, '\'x = """abc\' (unterminated string)'),
        ("[process\n", 1, "'[process' (expected ']' at the end of a table declaration)"),
    ],
)
def test_an_error_of_syntax_has_its_line(text, line, found):
    _, mistakes = parse_toml(text.encode(), "indimail.toml")
    assert mistakes == [Mistake("indimail.toml", line, found, "TOML")]


def test_octets_that_are_no_text_have_their_line():
    _, mistakes = parse_toml(b"# a\n# \xff\n", "indimail.toml")
    assert mistakes == [Mistake("indimail.toml", 2, "octet 0xff", "UTF-8 text")]


@pytest.mark.parametrize(
    "text",
    [
        'variables = { A = "x" }',
        'variables.A = "x"',
        '[variables]\nA = "x"',
        '[variables]\nB = """\nA = "no"\n"""\nA = "x"',
        '[process]\nuser = "A"\n[variables]\n"A" = "x"',
    ],
)
def test_a_line_is_found_however_the_key_is_written(text):
    setup, mistakes = parse_toml(text.encode(), "indimail.toml")
    last = len(text.split("\n"))
    assert (mistakes, setup.variables["A"]) == ([], Given("x", last))


def test_the_text_that_a_new_instance_gets_is_right_and_says_what_it_says():
    setup, mistakes = parse_toml(DEFAULT_TEXT.encode(), "indimail.toml")
    assert mistakes == []
    assert {name: given.value for name, given in setup.variables.items()} == {
        "CHECKRECIPIENT": "1", "STARTTLS": "1", "SMTPUTF8": "1",
    }  # fmt: skip
    assert (setup.listeners, setup.settings) == ({}, {})


def test_the_examples_in_that_text_are_right():
    text = "\n".join(
        line.removeprefix("#") if line.startswith(("#[", "#a", "#p", "#M", "#w", "#u", "#l", "#d",
                                                   "#c", "#k", "#s")) else line
        for line in DEFAULT_TEXT.split("\n")
    )  # fmt: skip
    setup, mistakes = parse_toml(text.encode(), "indimail.toml")
    assert mistakes == []
    assert list(setup.listeners) == ["smtp", "submission", "submissions"]
    assert len(setup.settings) == 10


def test_a_missing_file_is_an_empty_one(tmp_path):
    setup, mistakes = read_toml(f"{tmp_path}/indimail.toml", "indimail.toml")
    assert (setup.listeners, mistakes) == ({}, [])


@given(st.binary(max_size=60) | st.text('[]"=.\n #ab1tue{},', max_size=60).map(str.encode))
def test_any_octets_are_read_or_refused(octets):
    _, mistakes = parse_toml(octets, "indimail.toml")
    assert all(mistake.file == "indimail.toml" for mistake in mistakes)
