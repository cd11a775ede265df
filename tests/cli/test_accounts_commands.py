"""init, vadddomain, vadduser, vpasswd, vuserinfo: texts, exit codes, owners (spec/delivery.md 2)."""

import contextlib
import os
import pty
import signal
import sqlite3
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from cli.accounts_commands import Ran, Terminal
from indimail.accounts.passwords import verify
from indimail.accounts.scram import Mechanism, Scram, parse_scram
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.cli.terminal import ask_password
from indimail.mail.secret import Secret
from live import until

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

SHA512 = (
    "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/"
    "cZ/1GM/O6IND4WQhG."
)


def accounts(terminal: Terminal) -> SqlAccounts:
    return SqlAccounts(sqlite_url(f"{terminal.root}/db/indimail.db"))


def password_of(terminal: Terminal, name: str) -> Secret:
    found = accounts(terminal).find(name, "example.com")
    assert found is not None
    return found.password


@pytest.fixture
def domain(terminal: Terminal) -> Terminal:
    assert terminal("vadddomain", "example.com", "secret", "-h", "MD5").code == 0
    return terminal


def test_init_again_changes_nothing(terminal: Terminal) -> None:
    assert terminal("init") == Ran(0, f"{terminal.root}: nothing to do\n", "")


def test_init_keeps_the_accounts_where_it_is_told(folder: str, terminal: Terminal) -> None:
    """What may be no secret for others is read from standard input, and kept in a closed file."""
    terminal.root = f"{folder}/other"
    url = f"sqlite:///{folder}/other/users.db"
    ran = terminal("init", "--me", "mx.example.org", "--database", "-", stdin=f"{url}\n")
    assert ran.code == 0
    toml = Path(f"{terminal.root}/indimail.toml")
    assert toml.read_text().endswith(f'[database]\nurl = "{url}"\n')
    assert stat.S_IMODE(toml.stat().st_mode) == 0o600
    assert terminal("vadddomain", "example.com", "secret", "-h", "MD5").code == 0
    assert SqlAccounts(url).find("postmaster", "example.com") is not None
    assert not Path(f"{terminal.root}/db/indimail.db").exists()
    ran = terminal("init", "--database", "sqlite:///elsewhere.db")
    assert ran == Ran(
        0, f"{terminal.root}: nothing to do\n",
        f"indimail init: {toml} stays as it was: edit it to change the database\n",
    )  # fmt: skip


def test_a_wrong_url_of_the_database_is_told_without_it(terminal: Terminal) -> None:
    ran = terminal("init", "--database", "mysql://u:s3cret@db")
    assert (ran.code, ran.out) == (64, "")
    assert ran.err.startswith("indimail init: --database: expected sqlite:///path, mysql://")
    toml = Path(f"{terminal.root}/indimail.toml")
    toml.write_text('# here\n[database]\nurl = "mysql://u:s3cret@db"\n')
    ran = terminal("vuserinfo", "postmaster@example.com")
    assert (ran.code, ran.out) == (78, "")
    assert ran.err.startswith("vuserinfo: indimail.toml:3: [database] url: expected sqlite:///")
    assert "s3cret" not in ran.err


def test_the_password_of_the_database_leaves_the_process_list(tmp_path: Path) -> None:
    program = (
        "import sys; from indimail.cli.process_list import hide_argument\n"
        "hide_argument(sys.argv[1]); print(open('/proc/self/cmdline').read(), sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "mysql://u:s3cret@db/x", "next"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    shown, _, given = done.stdout.rstrip("\n").rpartition(" ")
    assert given == "mysql://u:s3cret@db/x"
    assert shown.split("\0")[-3:] == ["*" * len(given), "next", ""]


def test_init_wants_a_host_name(terminal: Terminal) -> None:
    ran = terminal("init", "--me", "no host")
    assert (ran.code, ran.err) == (
        64,
        "indimail init: --me no host: expected a host name with its domain\n",
    )


def test_a_domain_is_added_with_its_aliases(terminal: Terminal) -> None:
    assert terminal("vadddomain", "example.com", "secret") == Ran(
        0,
        "Adding alias abuse@example.com --> postmaster@example.com\n"
        "Adding alias mailer-daemon@example.com --> postmaster@example.com\n",
        "",
    )
    assert verify(password_of(terminal, "postmaster"), b"secret")
    assert terminal("vadddomain", "example.com", "secret") == Ran(
        255, "", "vadddomain: adddomain: domain example.com exists\n"
    )


@pytest.mark.parametrize(("arguments", "code", "err"), [
    (["vadddomain", "Example.com"], 100,
     "vadddomain: warning: domain [Example.com] has an uppercase character\n"),
    (["vadddomain", "example"], 111, "vadddomain: invalid domain: example\n"),
    (["vadddomain", "a_b.example", "x"], 100, "vadddomain: Invalid domain a_b.example\n"),
    (["vadddomain", "a.example", "x", "-h", "ROT13"], 100, "vadddomain: wrong hash method ROT13: "
     "DES MD5 SHA-256 SHA-512 YESCRYPT ARGON2ID\n"),
    (["vadddomain", "a.example", "x", "-q", "much"], 100,
     "vadddomain: invalid quota [much]: expected 50M, 50M,1000 or NOQUOTA\n"),
    (["vadddomain", "-f", "a.example"], 69, "vadddomain: -f: not yet: vfilter\n"),
    (["vadddomain", "-D", "db", "a.example"], 69, "vadddomain: -D: not yet: the cluster\n"),
    (["vadduser"], 1, "vadduser: Please input email\n"),
    (["vadduser", "alice@example.com"], 1, "vadduser: Please input password\n"),
    (["vadduser", "Alice@example.com"], 100,
     "vadduser: warning: email [Alice@example.com] has an uppercase character\n"),
    (["vadduser", "alice@example.net"], 1, "vadduser: example.net: No such domain\n"),
    (["vadduser", "alice"], 1, "vadduser: mx.example.org: No such domain\n"),
    (["vadduser", "a..b@example.com"], 100, "vadduser: iadduser: successive periods not allowed "
     "in local-part See RFC-5322\n"),
    (["vadduser", "postmaster@example.com"], 100,
     "vadduser: iadduser: username postmaster@example.com exists\n"),
    (["vpasswd", "alice"], 1, "vpasswd: alice: No domain specified\n"),
    (["vpasswd", "alice@example.net"], 1, "vpasswd: example.net: No such domain\n"),
    (["vpasswd", "alice@example.com"], 1, "vpasswd: alice@example.com: No such user\n"),
    (["vuserinfo", "alice@example.com"], 1, "vuserinfo: alice@example.com: No such user\n"),
])  # fmt: skip
def test_what_is_refused(domain: Terminal, arguments: list[str], code: int, err: str) -> None:
    assert domain(*arguments) == Ran(code, "", err)
    assert len(accounts(domain).users("example.com")) == 1


@pytest.mark.parametrize(
    ("name", "code"), [("vadddomain", 100), ("vpasswd", 1), ("vuserinfo", 100)]
)
def test_without_arguments_the_use_is_shown(terminal: Terminal, name: str, code: int) -> None:
    ran = terminal(name)
    assert ran.code == code
    assert ran.err.startswith(f"usage: {name} [-")


def test_a_password_comes_from_the_first_line_of_stdin(domain: Terminal) -> None:
    assert domain("vadduser", "alice@example.com", stdin="from stdin\nmore\n") == Ran(0, "", "")
    assert verify(password_of(domain, "alice"), b"from stdin")
    assert domain("vpasswd", "alice%example.com", stdin="another").code == 0
    assert verify(password_of(domain, "alice"), b"another")


def test_a_password_that_is_no_utf_8_counts_by_its_octets(domain: Terminal) -> None:
    assert domain("vadduser", "alice@example.com", stdin=b"caf\xe9\n") == Ran(0, "", "")
    assert verify(password_of(domain, "alice"), b"caf\xe9")
    for method in ("ARGON2ID", "SHA-512"):  # an argument comes so
        assert domain("vpasswd", "-h", method, "alice@example.com", "na\udcefve").code == 0
        assert verify(password_of(domain, "alice"), b"na\xefve")


@pytest.mark.parametrize("name", ["A\nB", "A\udcff", "A\x1b[31m"])
def test_a_full_name_is_printable(domain: Terminal, name: str) -> None:
    assert domain("vadduser", "-c", name, "alice@example.com", "x") == Ran(
        100, "", "vadduser: iadduser: a name is printable text\n"
    )


@pytest.mark.parametrize("hashed", ["$6$caf\udce9", "$6$a\nb", "$6$\x00"])
def test_an_encrypted_password_is_printable_ascii(domain: Terminal, hashed: str) -> None:
    assert domain("vadduser", "-e", "alice@example.com", hashed) == Ran(
        65, "", "vadduser: an encrypted password is printable ASCII\n"
    )


def test_the_longest_password_has_128_characters(domain: Terminal) -> None:
    assert domain("vadduser", "alice@example.com", "p" * 129) == Ran(
        100, "", "vadduser: iadduser: Name too long\n"
    )
    assert domain("vadduser", "alice@example.com", "p" * 128).code == 0
    assert domain("vpasswd", "alice@example.com", "p" * 129) == Ran(
        100, "", "vpasswd: ipasswd: Password too long\n"
    )
    assert verify(password_of(domain, "alice"), b"p" * 128)
    for method in ("SHA-512", "ARGON2ID"):  # of 511 octets at most, which is what crypt(3) takes
        longest = "\N{GRINNING FACE}" * 127 + "\N{EURO SIGN}"
        assert domain("vpasswd", "-h", method, "alice@example.com", longest).code == 0
        assert verify(password_of(domain, "alice"), longest.encode())
        assert domain("vpasswd", "-h", method, "alice@example.com", longest[0] * 128) == Ran(
            100, "", "vpasswd: ipasswd: Password too long\n"
        )


def test_homes_lie_where_an_absolute_path_says(domain: Terminal) -> None:
    """Of a relative one nobody could say below what."""
    for command, name in (("vadddomain", "a.example"), ("vadduser", "alice@example.com")):
        assert domain(command, "-B", "homes", name, "x") == Ran(
            64, "", f"{command}: -B homes: expected an absolute path\n"
        )
    assert not os.path.exists(f"{domain.root}/domains/a.example")
    Path(domain.root, "domains/example.com/.base_path").write_text("homes\n")
    assert domain("vadduser", "alice@example.com", "x").code == 0
    assert os.path.isdir(f"{domain.root}/homes/A2E/example.com/alice/Maildir")


@pytest.mark.slow
def test_a_real_terminal_is_asked_shows_nothing_and_may_be_left(domain: Terminal) -> None:
    """Ctrl-C and Ctrl-D change nothing, and show no traceback."""
    domain("vadduser", "alice@example.com", "before")
    for typed, code, said in (
        ("\x03", 130, ""),
        ("\x04", 1, "vpasswd: Please input password"),
        ("\n\n", 1, "vpasswd: Please input password"),
    ):
        left, shown = at_a_terminal(domain.root, "vpasswd", "alice@example.com", typed=typed)
        assert (left, shown.split(": ")[0]) == (code, "New IndiMail password for alice@example.com")
        assert said in shown
        assert "Traceback" not in shown
        assert verify(password_of(domain, "alice"), b"before")
    code, shown = at_a_terminal(
        domain.root, "vpasswd", "alice@example.com", typed="one\ntwo\nthree\nthree\n"
    )
    assert code == 0
    assert "Passwords do not match, try again" in shown
    assert not any(password in shown for password in ("one", "two", "three"))
    assert verify(password_of(domain, "alice"), b"three")


def at_a_terminal(root: str, *command: str, typed: str) -> tuple[int, str]:
    """Run a command at a terminal of its own; each line is typed when it is asked for."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored, where the tests run behind a shell
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        arguments = [sys.executable, "-m", "indimail.cli.main", *command, "--root", root]
        os.execve(sys.executable, arguments, environment)
    shown, lines = "", typed.splitlines(keepends=True)
    while True:
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # its end
            break
        if lines and shown.endswith(": "):
            os.write(terminal, lines.pop(0).encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_a_terminal_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["one", "two", "three", "three"])
    prompts: list[str] = []

    def getpass(prompt: str) -> str:
        prompts.append(prompt)
        return next(typed)

    monkeypatch.setattr("getpass.getpass", getpass)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert ask_password("New IndiMail password for postmaster: ") == "three"
    assert prompts[0] == prompts[2] == "New IndiMail password for postmaster: "


def test_a_hash_is_stored_as_it_is_with_e(domain: Terminal) -> None:
    domain("vadduser", "-e", "alice@example.com", SHA512)
    assert password_of(domain, "alice").reveal() == SHA512


def test_a_random_password_is_printed_and_works(domain: Terminal) -> None:
    ran = domain("vadduser", "-r", "12", "alice@example.com")
    assert ran.out.startswith("Password is ")
    assert len(ran.out.split()[2]) == 12
    assert verify(password_of(domain, "alice"), ran.out.split()[2].encode())


@pytest.mark.parametrize(
    ("option", "start"), [("SHA-512", "$6$"), ("1", "$1$"), ("YESCRYPT", "$y$")]
)
def test_a_hash_method_by_name_or_number(domain: Terminal, option: str, start: str) -> None:
    domain("vadduser", "-h", option, "alice@example.com", "x")
    assert password_of(domain, "alice").reveal().startswith(start)


def column_of(terminal: Terminal, name: str = "alice") -> Scram:
    found = accounts(terminal).find(name, "example.com")
    assert found is not None
    return parse_scram(found.scram)


def test_keys_for_scram_are_stored_beside_the_hash(domain: Terminal) -> None:
    salt = b64encode(b"0123456789ab").decode()
    for command, mechanism, iterations in (
        (["vadduser"], Mechanism.SHA256, 65_536),
        (["vpasswd", "-m", "SCRAM-SHA-1"], Mechanism.SHA1, 65_536),
        (["vpasswd", "-S", salt, "-I", "4096"], Mechanism.SHA256, 4096),
        (["vmoduser", "-m", "SCRAM-SHA-1", "-P", "x"], Mechanism.SHA1, 65_536),
    ):
        given = [] if command[0] == "vmoduser" else ["x"]
        assert domain(*command, "alice@example.com", *given) == Ran(0, "", "")
        found = column_of(domain)
        assert found.clear is None
        assert found.keys is not None
        assert (found.keys.mechanism, found.keys.iterations) == (mechanism, iterations)
        assert (found.keys.salt == b"0123456789ab") is ("-S" in command)
        assert verify(password_of(domain, "alice"), b"x")
    assert column_of(domain, "postmaster").keys is not None
    domain("vpasswd", "-m", "none", "alice@example.com", "x")
    assert column_of(domain) == Scram()


def test_the_clear_text_is_kept_for_cram_md5_where_it_is_asked_for(domain: Terminal) -> None:
    for command in (
        ["vadduser", "-C", "alice@example.com", "hunter2"],
        ["vpasswd", "-C", "-m", "none", "alice@example.com", "hunter2"],
        ["vmoduser", "-C", "-P", "hunter2", "alice@example.com"],
    ):
        assert domain(*command) == Ran(0, "", "")
        found = column_of(domain)
        assert found.clear == Secret("hunter2")
        assert (found.keys is None) is ("none" in command)
        assert verify(password_of(domain, "alice"), b"hunter2")
    domain("vpasswd", "alice@example.com", "another")  # what was kept of the old one goes
    assert column_of(domain).clear is None
    domain("vmoduser", "-e", SHA512, "alice@example.com")
    assert column_of(domain) == Scram()


def test_a_password_that_scram_does_not_take_has_no_keys(domain: Terminal) -> None:
    assert domain("vadduser", "alice@example.com", stdin=b"caf\xe9\n").code == 0
    assert column_of(domain) == Scram()
    assert domain("vpasswd", "-C", "alice@example.com", "p" * 100).code == 0
    assert column_of(domain) == Scram(clear=Secret("p" * 100))  # no room for both


def test_what_cannot_be_stored_so_changes_nothing(domain: Terminal) -> None:
    domain("vadduser", "alice@example.com", "before")
    for (command, *options), code, err in (
        (["vpasswd", "-m", "SCRAM-MD5"], 100,
         "wrong SCRAM method SCRAM-MD5: SCRAM-SHA-1 SCRAM-SHA-256 none"),
        (["vpasswd", "-e", "-C"], 64,
         "-C and -m need the password itself, not one that is encrypted"),
        (["vpasswd", "-S", "c2hvcnQ="], 64, "-S c2hvcnQ=: expected 12 to 32 octets in base64"),
        (["vpasswd", "-S", "?"], 64, "-S ?: expected 12 to 32 octets in base64"),
        (["vpasswd", "-I", "4095"], 64, "-I 4095: expected 4096 to 10000000"),
        (["vpasswd", "-m", "SCRAM-SHA-256"], 65, "this password cannot be stored so: it is too "
         "long, or has characters that SCRAM does not take"),
    ):  # fmt: skip
        ran = domain(command, *options, "alice@example.com", stdin="bell\x07\n")
        assert ran == Ran(code, "", f"{command}: {err}\n")
    assert verify(password_of(domain, "alice"), b"before")


@pytest.mark.slow
def test_a_password_given_as_argument_leaves_the_process_list(domain: Terminal) -> None:
    """While the command waits for the database, nobody reads it in /proc."""
    domain("vadduser", "alice@example.com", "before")
    for command in (
        ["vpasswd", "alice@example.com", "hunter2"],
        ["vadduser", "-q", "50M", "bob@example.com", "hunter2"],
        ["vmoduser", "-vPhunter2", "alice@example.com"],
        ["vmoduser", "-P", "hunter2", "alice@example.com"],
    ):
        with contextlib.closing(sqlite3.connect(f"{domain.root}/db/indimail.db")) as other:
            other.execute("begin exclusive")
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            running = subprocess.Popen(
                [sys.executable, "-m", "indimail.cli.main", *command, "--root", domain.root],
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            shown = Path(f"/proc/{running.pid}/cmdline")
            until(lambda path=shown: b"xxx" in path.read_bytes())
            assert running.poll() is None
            assert b"hunter2" not in shown.read_bytes()
            assert command[0].encode() in shown.read_bytes()
            other.rollback()
            assert running.wait() == 0
        name = "bob" if command[0] == "vadduser" else "alice"
        assert verify(password_of(domain, name), b"hunter2")


def test_a_password_is_in_no_output_and_no_file(domain: Terminal) -> None:
    """Whether it is taken or refused; but for -C, which is told to keep it."""
    for command in (
        ["vadduser", "-v", "alice@example.com", "hunter2"],
        ["vadduser", "alice@example.com", "hunter2"],
        ["vpasswd", "-v", "alice@example.com", "hunter2"],
        ["vpasswd", "alice@example.net", "hunter2"],
        ["vpasswd", "-h", "ROT13", "alice@example.com", "hunter2"],
        ["vpasswd", "-r", "0", "alice@example.com", "hunter2"],
        ["vpasswd", "alice@example.com", "hunter2" * 20],
        ["vmoduser", "-v", "-P", "hunter2", "alice@example.com"],
        ["vmoduser", "-e", "hunter2\x07", "alice@example.com"],
        ["vadddomain", "-v", "example.net", "hunter2"],
        ["vadddomain", "example.com", "hunter2"],
        ["vuserinfo", "alice@example.com"],
    ):
        ran = domain(*command)
        assert "hunter2" not in ran.out + ran.err
    files = [path for path in Path(domain.root).rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if b"hunter2" in path.read_bytes()] == []


def test_a_domain_is_the_instance_s_and_lies_with_the_others(terminal: Terminal) -> None:
    owner, place = os.stat(terminal.root), f"{terminal.root}/domains"
    who = f"uid={owner.st_uid}/gid={owner.st_gid}, who owns the instance and all domains"
    for option, value, code, said in (
        ("-u", "nobody-of-that-name", 100, "user nobody-of-that-name not found in /etc/passwd"),
        ("-u", "daemon", 69, f"-u: expected {who}"),
        ("-i", "1", 69, f"-i: expected {who}"),
        ("-g", "1", 69, f"-g: expected {who}"),
        ("-d", "/srv", 69, f"-d /srv: domains lie in {place}; DOMAINDIR moves it"),
    ):
        ran = terminal("vadddomain", option, value, "-e", "example.com", SHA512)
        assert ran == Ran(code, "", f"vadddomain: {said}\n")
    assert os.listdir(place) == []
    numbers = ["-i", str(owner.st_uid), "-g", str(owner.st_gid), "-d", terminal.root]
    assert terminal("vadddomain", *numbers, "-e", "example.com", SHA512).code == 0


def test_the_use_of_vpasswd_is_printed_with_h(domain: Terminal) -> None:
    assert domain("vpasswd", "-H", "postmaster@example.com", "x") == domain("vpasswd")


def test_the_domain_s_hash_method_is_remembered(domain: Terminal) -> None:
    domain("vadduser", "alice@example.com", "x")
    assert password_of(domain, "alice").reveal().startswith("$1$")


def test_an_inactive_user_with_a_quota_and_a_full_name(domain: Terminal) -> None:
    domain("vadduser", "-i", "-q", "50M,10", "-c", "Alice B.", "alice@example.com", "x")
    found = accounts(domain).find("alice", "example.com")
    assert found is not None
    assert (found.active, found.quota, found.gecos) == (False, "52428800,10", "Alice B.")


def test_an_alias_domain_is_its_real_one(domain: Terminal) -> None:
    os.symlink("example.com", f"{domain.root}/domains/example.net")
    assert domain("vadduser", "alice@example.net", "x").code == 0
    assert password_of(domain, "alice")


def test_who_is_shown_is_counted_anew(domain: Terminal) -> None:
    domain("vadduser", "-e", "-q", "50M", "alice@example.com", SHA512)
    maildir = Path(domain.root, "mail/A2E/example.com/alice/Maildir")
    (maildir / "new/1.x,S=2048").touch()
    assert domain("vuserinfo", "-q", "alice@example.com").code == 0
    assert (maildir / "maildirsize").read_text() == "52428800S\n2048 1\n"


def test_a_directory_without_an_instance(folder: str, terminal: Terminal) -> None:
    terminal.root = f"{folder}/none"
    assert terminal("vadddomain", "example.com") == Ran(
        66, "", f"vadddomain: {folder}/none: no instance here; `indimail init` makes one\n"
    )


def test_a_database_whose_file_is_gone_is_not_made_anew(domain: Terminal) -> None:
    """An empty one would tell of every user that he does not exist."""
    path = f"{domain.root}/db/indimail.db"
    os.rename(path, f"{domain.root}/away")
    for command in (["vuserinfo", "postmaster@example.com"], ["vadduser", "a@example.com", "x"]):
        ran = domain(*command)
        assert (ran.code, ran.out) == (75, "")
        assert "indimail.db: no such file; `indimail init` makes one" in ran.err
    assert not os.path.exists(path)
    os.rename(f"{domain.root}/away", path)
    assert domain("vuserinfo", "-n", "postmaster@example.com").code == 0


def test_a_broken_setting_stops_before_anything_is_written(domain: Terminal) -> None:
    Path(domain.root, "indimail.toml").write_text("[nonsense]\n")
    ran = domain("vadduser", "alice@example.com", "x")
    assert ran.code == 78
    assert "indimail.toml:1" in ran.err


def test_every_file_belongs_to_the_service_account(domain: Terminal) -> None:
    domain("vadduser", "alice@example.com", "x")
    owner = os.stat(domain.root)
    assert owner.st_uid != 0
    for folder, folders, files in os.walk(domain.root):
        for name in folders + files:
            found = os.lstat(os.path.join(folder, name))
            assert (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid), name
    assert stat.S_IMODE(os.stat(f"{domain.root}/db/indimail.db").st_mode) == 0o600


def test_only_root_and_the_owner_may_run_it(
    domain: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.stat(domain.root)
    monkeypatch.setattr("os.geteuid", lambda: owner.st_uid + 1)
    who = f"uid={owner.st_uid}/gid={owner.st_gid}"
    assert domain("vadduser", "alice@example.com", "x") == Ran(
        100, "", f"vadduser: you must be root or domain user ({who}) to run this program\n"
    )
