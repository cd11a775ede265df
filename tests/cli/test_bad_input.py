"""Bad input of every argument: a clear error, an exit code, and no trace on disk or in a table.

Each row of `ROWS` is a command with one bad word, {kind}; `BAD` has the bad words of a kind.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from crash.commands import HASH, furnished
from crash.stage import Stage
from indimail.cli.main import Parser

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

HASHED = "--hashed --postmaster-password-file {root}/../hash"
LONG = "x" * 300
ODD = ["a\nb", "a\x1b[31mb", "a\x7fb", "a\u202eb", "a\udcffb", "a\tb"]  # as in a name
PATHS = ["", "relative", "..", "../x", "/a/../b", *(f"/srv/{odd}" for odd in ODD)]

BAD = {
    # The domain of an address, or a domain itself, that is to be there.
    "domain": [
        "", ".", "..", "../example.com", "/etc", "example.com/..", "Example.com", "example.net.",
        "no.example", "exa mple.com", "example.com ", "bücher.example", "xn--bcher-kva.example",
        "@example.com", "example..com", f"{LONG}.example", *(f"{odd}.example" for odd in ODD),
    ],
    # One that is to be made.
    "new": [
        "", ".", "..", "../new.example", "/etc", "new.example/..", "New.example", "new.example.",
        ".new.example", "-new.example", "new.example-", "new", "new..example", "ne w.example",
        "bücher.example", "192.0.2.1", "[192.0.2.1]", "new.example:25", "a@new.example",
        f"{'x' * 64}.example", f"{LONG}.example", "example.com", "example.net",
        *(f"{odd}.example" for odd in ODD),
    ],
    # The address of a user who is to be there.
    "email": [
        "", "@", "@example.com", "alice@", "alice", "Alice@example.com", "alice@Example.com",
        "alice@no.example", "nobody@example.com", "alice@@example.com", "a@b@example.com",
        "alice@..", "alice@../example.com", "../alice@example.com", "alice/../bob@example.com",
        "al ice@example.com", " alice@example.com", "alice@example.com ", "alicé@example.com",
        "alice@bücher.example", f"{LONG}@example.com", f"alice@{LONG}.example",
        *(f"{odd}@example.com" for odd in ODD), *(f"alice@{odd}.example" for odd in ODD),
    ],
    # One that is to be made.
    "newmail": [
        "", "@", "@example.com", "carol@", "Carol@example.com", "carol@Example.com",
        "carol@no.example", "alice@example.com", "carol@..", "carol@../example.com", ".@example.com",
        "..@example.com", "../carol@example.com", "a/../carol@example.com", "/carol@example.com",
        ".carol@example.com", "carol.@example.com", "ca..rol@example.com", "ca:rol@example.com",
        "ca@rol@example.com", " carol@example.com", "ca(rol@example.com", "carol@example.com ",
        "çarol@example.com", "carol@bücher.example", f"{'x' * 41}@example.com",
        f"{LONG}@example.com", *(f"{odd}@example.com" for odd in ODD),
    ],
    "quota": ["", " ", "much", "5Q", "-5", "50M,", "50M,x", "50M,5,5", "5 0M", "9" * 40, *ODD],
    "gecos": ["a:b", LONG, *ODD],
    "hash": ["", "ROT13", "9", LONG, *ODD],
    "scram": ["ROT13", "SHA-256", LONG, *ODD],
    "number": ["", "x", "0", "-1", "1.5", "1e3", *ODD],
    "base": ["relative", "..", "../x", "/a/../b", *(f"/srv/{odd}" for odd in ODD), f"/{LONG}"],
    "path": [*PATHS, "/", "{root}", "{root}/db/x", "{root}/mail/A2E/example.com/bob/x", f"/{LONG}"],
    "file": ["", "/nowhere", "{root}", "/nowhere/\udcff"],
    "mail": ["", "news", "../news", "/nowhere", "{root}", "{root}/../empty"],
    "maildir": ["", "/nowhere", "{root}", "{root}/control/me", "a\udcffb"],
    "line": [
        "", " ", "bob", "&", "|", "./Maildir/", "#x", "&a b@example.com", "@example.com", "a@b@c",
        f"/{LONG}", "&a\nb@example.com", *(f"&{odd}@example.com" for odd in ODD),
    ],
    "instruction": [
        "", " ", "bounce", "../x", "/nowhere", "relative", "a@b@c", "$(id)@example.com", "a:b",
        "x:y:z:1", "`id`", LONG, *ODD, *(f"{odd}@example.com" for odd in ODD),
    ],
    "date": ["../%Y", "/x", "..", ".x", LONG, *ODD],
    "password": ["", LONG],
    "hashed": ["", "ä", LONG, *ODD],
    "ip": ["", "192.0.2", "999.0.2.1", "192.0.2.1/24", "::g", "localhost", "192.0.2.1 ", *ODD],
    "days": ["", "x", "0", "-5", "1.5", *ODD],
    "age": ["", "x", "-5", "1.5", *ODD],
    "count": ["", "x", "-2", "1.5", "9" * 30, *ODD],
    "me": ["", ".", "..", "a b", "a/b", "mx_", "bücher.example", f"{LONG}.example", *ODD],
    "list": ["", "news", "../news", "/nowhere", "{root}"],
    "alias": ["", "@", "@example.com", "carol@", "Carol@example.com", "carol@no.example",
              "../carol@example.com", f"{'x' * 41}@example.com", *(f"{odd}@example.com" for odd in ODD)],
    "size": ["", " ", "much", "5Q", "-5", "9" * 40, *ODD],
    "step": ["", " ", "much", "5Q", "+", "-", "+x", "-50M", "+5M,1", "9" * 40, "+" + "9" * 40, *ODD],
    "far": ["", "x", "1.5", "9" * 30, "-" + "9" * 30, *ODD],
    "letters": ["", "2", "-", "pZ", *ODD],
    "choice": ["", "2", "x", *ODD],
}  # fmt: skip

ROWS = [
    "vadddomain -e {new} HASH", "vadddomain -e -q {quota} new.example HASH",
    "vadddomain -e -B {base} new.example HASH", "vadddomain -e -l {number} new.example HASH",
    "vadddomain -h {hash} new.example pw", "vadddomain -m {scram} new.example pw",
    "vadddomain new.example {password}", "vadddomain -e new.example {hashed}",
    "vadddomain -e -E {instruction} new.example HASH", "vadddomain -r {number} new.example",
    "vadduser -e {newmail} HASH", "vadduser -e -q {quota} carol@example.com HASH",
    "vadduser -e -c {gecos} carol@example.com HASH", "vadduser -e -B {base} carol@example.com HASH",
    "vadduser -e -l {number} carol@example.com HASH", "vadduser -h {hash} carol@example.com pw",
    "vadduser -m {scram} carol@example.com pw", "vadduser carol@example.com {password}",
    "vadduser -e carol@example.com {hashed}", "vadduser -r {number} carol@example.com",
    "vadduser -I {number} carol@example.com pw", "vadduser -S {hash} carol@example.com pw",
    "vgroup -a -e {newmail} HASH", "vgroup -a -e -c {gecos} sales2@example.com HASH",
    "vgroup -i {line} team@example.com", "vgroup -d {line} team@example.com",
    "vgroup -u {line} -o &alice@example.com team@example.com",
    "vgroup -u &bob@example.com -o {line} team@example.com", "vgroup -i &bob@example.com {email}",
    "vmoduser -p {email}", "vmoduser -q {step} alice@example.com",
    "vmoduser -c {gecos} alice@example.com", "vmoduser -P {password} alice@example.com",
    "vmoduser -e {hashed} alice@example.com", "vmoduser -P x -h {hash} alice@example.com",
    "vmoduser -D {date} alice@example.com", "vmoduser -l {file} alice@example.com",
    "vsetuserquota {email} 5M", "vsetuserquota alice@example.com {quota}",
    "vpasswd -e {email} HASH", "vpasswd alice@example.com {password}",
    "vpasswd -e alice@example.com {hashed}", "vpasswd -h {hash} alice@example.com x",
    "vmoddomain -h delete {domain}", "vmoddomain -h {instruction} example.com",
    "vmoddomain -H {hash} example.com", "vmoddomain -l {choice} example.com",
    "vmoddomain -f {choice} -h delete example.com",
    "valias -i &bob@example.com {alias}", "valias -i {line} new@example.com",
    "valias -d {line} sales@example.com", "valias -u {line} -i &bob@example.com sales@example.com",
    "valias -u &alice@example.com -i {line} sales@example.com",
    "vdeldomain {domain}", "vdeluser {email}", "vaddaliasdomain {new} example.com",
    "vaddaliasdomain new.example {domain}", "vrenamedomain {domain} new.example",
    "vrenamedomain example.com {new}", "vrenameuser {email} zoe@example.com",
    "vrenameuser alice@example.com {newmail}", "vmoveuserdir {email} {root}/elsewhere",
    "vmoveuserdir alice@example.com {path}",
    "vbulletin -f {mail} example.com", "vbulletin -f {root}/../news {domain}",
    "vbulletin -a -f {root}/../news {domain}", "vbulletin -f {root}/../news -S {list} example.com",
    "vbulletin -f {root}/../news -e {list} example.com",
    "vdeloldusers -i -d {domain}", "vdeloldusers -i -a {days} -d example.com",
    "vdeloldusers -u {age} -d example.com", "vdeloldusers -t {age} -d example.com",
    "vcalias {domain}", "vcaliasrev {domain}", "resetquota -q 5M {maildir}",
    "resetquota -q {quota} {root}/mail/A2E/example.com/bob", "vipmap -i {ip} example.com",
    "vipmap -i 192.0.2.1 {domain}", "vipmap -d {ip} example.com", "vreorg -d {domain}",
    "vlimit -A 5 {domain}", "vlimit -A {count} example.com", "vlimit -Q {size} example.com",
    "vlimit -e {choice} example.com", "vlimit -n {far} example.com", "vlimit -M {count} example.com",
    "vlimit -q {size} example.com", "vlimit -g {letters} example.com", "vpurge {domain} 5 100",
    "vpurge example.com {days} 100", "vpurge example.com 5 {days}",
    "vuserinfo {email}", "vdominfo {domain}", "printdir {domain}",
    "init --me {me}",
    "domain add {new} HASHED", "domain add new.example --quota {quota} HASHED",
    "domain add new.example --default {instruction} HASHED",
    "domain add new.example --base {base} HASHED",
    "domain add new.example --users-per-level {number} HASHED",
    "domain add new.example --hash-method {hash} --random 20",
    "domain add new.example --random {number}", "domain set {domain} --default delete",
    "domain set example.com --default {instruction}", "domain set example.com --hash-method {hash}",
    "domain del {domain}", "domain rename {domain} new.example", "domain rename example.com {new}",
    "domain show {domain}", "user add {newmail} --hashed --password-file {root}/../hash",
    "user add carol@example.com --quota {quota} --random 20",
    "user add carol@example.com --name {gecos} --random 20",
    "user add carol@example.com --base {base} --random 20",
    "user add carol@example.com --users-per-level {number} --random 20",
    "user add carol@example.com --scram {scram} --random 20",
    "user add carol@example.com --random {number}", "user add carol@example.com --password-file {file}",
    "user set {email} --inactive", "user set alice@example.com --quota {step}",
    "user set alice@example.com --name {gecos}", "user set alice@example.com --flag {choice}",
    "user set alice@example.com --no-flag {choice}",
    "user set alice@example.com --date-folders {date}", "user set alice@example.com --reply {file}",
    "user passwd {email} --random 20", "user passwd alice@example.com --password-file {file}",
    "user del {email}", "user rename {email} zoe@example.com",
    "user rename alice@example.com {newmail}", "user show {email}", "user list --domain {domain}",
    "user import {file}", "user export --domain {domain}",
    "alias add {alias} &bob@example.com", "alias add new@example.com {line}",
    "alias del sales@example.com {line}", "alias list --domain {domain}",
]  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with furnished() as made:
        Path(made.root, "..", "empty").touch()
        yield made


@pytest.fixture(scope="module")
def kept(stage: Stage) -> list[str]:
    return traces(stage)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(stage: Stage, words: list[str]) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code and what it printed."""
    module = import_module(f"indimail.cli.{words[0]}")
    parser = Parser(prog=words[0])
    module.add_arguments(parser)
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("sys.stdin", io.StringIO())
        try:
            code = module.run(parser.parse_args([*words[1:], "--root", stage.root]))
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def faults(row: str, ran: tuple[int, str, str]) -> Iterator[str]:
    """Tell what is not as it has to be."""
    code, out, err = ran
    program = row.split()[0]
    if not 0 < code <= 255:
        yield f"exit {code}"
    if out and "usage" not in out:
        yield f"printed {out!r}"
    lines = err.splitlines()
    if not any(line.startswith((program, f"indimail {program}")) for line in lines) and (
        not lines or not lines[0].startswith("usage: ")
    ):
        yield f"no error of its own: {err!r}"
    if not all(line.isprintable() for line in err.split("\n")):
        yield f"an error that cannot be printed: {err!r}"


@pytest.mark.parametrize("row", ROWS)
def test_bad_input_is_told_and_leaves_no_trace(
    stage: Stage, kept: list[str], elsewhere: Path, row: str
) -> None:
    kind = next(kind for kind in BAD if f"{{{kind}}}" in row)
    said = {bad: run(stage, words(stage, row, kind, bad)) for bad in BAD[kind]}
    wrong = [f"{bad!r}: {fault}" for bad, ran in said.items() for fault in faults(row, ran)]
    if traces(stage) != kept:
        for bad in BAD[kind]:
            stage.put_back()
            run(stage, words(stage, row, kind, bad))
            found = set(traces(stage)) ^ set(kept)
            wrong += [f"{bad!r} left a trace: {line}" for line in sorted(found)]
        stage.put_back()
    assert not wrong, "\n" + "\n".join(wrong)
    assert os.listdir(elsewhere) == []


def words(stage: Stage, row: str, kind: str, bad: str) -> list[str]:
    """Return the words of a command, one of them bad."""
    return [
        word.replace(f"{{{kind}}}", bad).replace("{root}", stage.root).replace("HASH", HASH)
        for word in row.replace("HASHED", HASHED).split()
    ]


def traces(stage: Stage) -> list[str]:
    """Return all that is in the instance, its database and beside it."""
    beside = sorted(os.listdir(os.path.dirname(stage.root)))
    return [*stage.state(), *beside]
