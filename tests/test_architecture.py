"""The drawing of the packages, checked: who imports whom, who waits, who syncs, who catches all.

Each rule is a function from a parsed module to its offenders, `path:line: what is wrong`, and
`WRONG` shows one module that breaks it.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "indimail"

LAYERS = {
    "mail": 0, "wire": 0,
    "smtp": 1, "pop3": 1, "imap": 1, "policy": 1, "schedule": 1, "delivery": 1,
    "durable": 2, "control": 2, "accounts": 2, "queue": 2, "mailbox": 2, "trace": 2, "cluster": 2,
    "net": 2,
    "serve": 3, "manage": 3,
    "app": 4, "cli": 4,
}  # fmt: skip
STORES = [package for package, layer in LAYERS.items() if layer == 2 and package != "durable"]
# Imports within a layer; all others point downward.
SIDEWAYS = {("wire", "mail"), ("cli", "app")} | {(store, "durable") for store in STORES}
OUTSIDE = {"testing"}  # the simulated world imports what it likes, and nobody imports it

# All that values and decisions are made of: no I/O, no clock, no chance, no threads.
PURE = {
    "base64", "binascii", "collections", "collections.abc", "dataclasses", "enum", "functools",
    "hashlib", "hmac", "idna", "ipaddress", "math", "msgspec", "msgspec.structs", "re", "shlex",
    "struct", "typing",
}  # fmt: skip
# What these take of a module that can do more.
PURE_BUT = {
    "wire/sasl_client.py": {"scramp": {"ScramClient", "ScramException"}},  # with a nonce of ours
    "wire/sasl_server.py": {
        "scramp": {"ScramMechanism", "ScramException"},  # with a nonce of ours
        "scramp.core": {"ScramServer"},
        "scramp.utils": {"ServerError"},
    },
    "mail/clock.py": {"time": {"time", "monotonic"}},  # the port's one adapter, used by app/
    "mail/dates.py": {"time": {"localtime"}},  # turns a value into another, in the machine's zone
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}

WAITING = {"net", "serve", "app"}
SYNCS = {
    "fsync",
    "fdatasync",
    "syncfs",
    "sync_file_range",
    "msync",
    "flock",
    "lockf",
    "F_FULLFSYNC",
    "F_SETLK",
    "F_SETLKW",
    "F_OFD_SETLK",
    "F_OFD_SETLKW",
    "O_SYNC",
    "O_DSYNC",
}
EMPTY_NAMES = re.compile(r"Manager|Helper|Util|Base(?![a-z])|Handler")

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef

# The task boundaries: what escapes to there is a temporary failure, told once.
BOUNDARIES = {
    ("durable/committer.py", "_finish"),  # of the committer's thread
    ("durable/committer.py", "_tell"),  # of each reply and delivery that goes on after a round
    ("serve/attempt.py", "guarded"),  # of a delivery, which would keep its slot for ever
    ("app/supervise.py", "_become_worker"),  # of the worker's process
    ("app/residents.py", "_become"),  # of another user's process
    ("serve/remote.py", "_keeping_no_slot"),  # of a delivery to another host
    ("serve/peers.py", "_open"),  # of a connection, whose mail would wait for ever
    ("serve/lspawn.py", "_on_frame"),  # of a worker's request
    ("serve/guard.py", "_serve"),  # of the process that stays with a program
    ("app/logs.py", "emit"),  # logging's own: a handler never raises into who logs
    ("testing/disk.py", "until_the_crash"),  # the world is dead already
}

REVEALS = {
    "mail/secret.py",
    "mail/srs.py", "mail/batv.py",  # into a hash
    "wire/sasl_client.py",  # into an exchange
    "accounts/passwords.py", "accounts/scram.py", "accounts/scramkeys.py",  # to compare with
    "serve/verifying.py",  # the same
    "serve/checkpassword.py",  # into a pipe
    "accounts/changes.py",  # into its columns
    "app/build.py",  # the database's URL, to its library
    "cli/user_import.py",  # a file's passwords, to be hashed
    "cli/vuserinfo.py",  # the hash, as IndiMail shows it
    "manage/change.py",  # into the list of a change, which its owner alone can read
    "manage/importing/credentials.py",  # to see whether it is a hash
    "manage/user_csv.py",  # hashes, into a file that its owner alone can read
    "manage/users.py", "manage/user_change.py",  # lengths
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    """A parsed file; `path` is relative to the package."""

    path: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.partition("/")[0] if "/" in self.path else ""

    @property
    def layer(self) -> int | None:
        return LAYERS.get(self.package)


Offenders = Iterator[tuple[int, str]]
Check = Callable[[Module], Offenders]


@cache
def modules() -> list[Module]:
    paths = sorted(SOURCE.rglob("*.py"))
    return [Module(str(p.relative_to(SOURCE)), ast.parse(p.read_text())) for p in paths]


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Every import, also one in a function."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = node.module or ""
            if node.level:
                yield node.lineno, f"indimail.{module.package}.{name}"
            elif name == "indimail":
                yield from ((node.lineno, f"indimail.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, name


def points_downward(module: Module) -> Offenders:
    mine = module.package
    if mine in OUTSIDE or not mine:
        return
    if mine not in LAYERS:
        yield 1, f"the package {mine} has no layer"
        return
    for line, name in imports(module):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top != "indimail" or other in {mine, "", "__version__"}:
            continue
        down = other in LAYERS and LAYERS[other] < LAYERS[mine]
        if not down and (mine, other) not in SIDEWAYS:
            yield line, f"{mine} (layer {LAYERS[mine]}) imports {other}"


def is_pure(module: Module) -> Offenders:
    """Layers 0 and 1: time, names, answers and disk reach them as values."""
    if module.layer not in {0, 1}:
        return
    allowed = PURE_BUT.get(module.path, {})
    for line, name in imports(module):
        if not name.startswith("indimail") and name not in PURE | allowed.keys():
            yield line, f"imports {name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(name) if name in IMPURE_CALLS:
                    yield node.lineno, f"calls {name}"
                case ast.Attribute(ast.Name(of), name) if name not in allowed.get(of, {name}):
                    yield node.lineno, f"calls {of}.{name}"


def waits_where_it_may(module: Module) -> Offenders:
    if module.package in WAITING | OUTSIDE:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield node.lineno, "async"
    for line, name in imports(module):
        if name.partition(".")[0] in {"asyncio", "uvloop"}:
            yield line, f"imports {name}"


def syncs_in_durable(module: Module) -> Offenders:
    """What makes a promise true, and what makes an owner, is in one place to be looked at."""
    if module.package == "durable":
        return
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
                if name in SYNCS or (name == "sync" and _is_of_os(node)):
                    yield getattr(node, "lineno", 1), name


def _is_of_os(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os"


def has_a_telling_name(module: Module) -> Offenders:
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.ClassDef)
            and EMPTY_NAMES.search(node.name)
            and "logging.Handler" not in map(ast.unparse, node.bases)
        ):
            yield node.lineno, f"class {node.name}"
    if EMPTY_NAMES.search(Path(module.path).stem.title()):
        yield 1, "a module of that name"


def catches_what_it_expects(module: Module) -> Offenders:
    """`except Exception` only at a boundary; who cleans up and raises again catches nothing."""
    functions = [n for n in ast.walk(module.tree) if isinstance(n, FUNCTION)]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is not None and not _is_broad(node.type):
                continue
            last = node.body[-1]
            if isinstance(last, ast.Raise) and last.exc is None:
                continue
        elif not (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("suppress")
            and any(map(_is_broad, node.args))
        ):
            continue
        around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or 0)]
        name = around[-1].name if around else ""
        if (module.path, name) not in BOUNDARIES:
            yield node.lineno, f"catches everything in {name or 'the module'}"


def _is_broad(kind: ast.expr) -> bool:
    names = {n.id for n in ast.walk(kind) if isinstance(n, ast.Name)}
    return bool(names & {"Exception", "BaseException"})


def says_what_it_is(module: Module) -> Offenders:
    if not ast.get_docstring(module.tree):
        yield 1, "no docstring"


def reveals_where_it_may(module: Module) -> Offenders:
    """Where a secret becomes text again is known, and none of it is a log, a trace or an error."""
    if module.path in REVEALS:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr == "reveal":
            yield node.lineno, "reveals a secret"


CHECKS: list[Check] = [
    points_downward,
    is_pure,
    waits_where_it_may,
    syncs_in_durable,
    has_a_telling_name,
    catches_what_it_expects,
    says_what_it_is,
    reveals_where_it_may,
]


def offenders(check: Check, of: list[Module]) -> list[str]:
    return [f"src/indimail/{m.path}:{line}: {what}" for m in of for line, what in check(m)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_no_module(check: Check) -> None:
    assert offenders(check, modules()) == []


def test_every_exception_that_is_listed_is_still_needed() -> None:
    paths = {module.path for module in modules()}
    found = {
        (module.path, node.name)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, FUNCTION)
    }
    assert paths >= PURE_BUT.keys()
    assert found >= BOUNDARIES
    assert {m.path for m in modules() if "reveal" in ast.unparse(m.tree)} == REVEALS


WRONG: list[tuple[Check, str, str]] = [
    (points_downward, "mail/x.py", "from indimail.wire.lines import Inbox"),
    (points_downward, "policy/x.py", "import indimail.smtp.session"),
    (points_downward, "queue/x.py", "def f():\n    from indimail import accounts"),
    (points_downward, "accounts/x.py", "from indimail.serve.send import Send"),
    (points_downward, "durable/x.py", "from indimail.queue.port import Change"),
    (points_downward, "manage/x.py", "from indimail.serve.send import Send"),
    (points_downward, "app/x.py", "from indimail.cli.main import main"),
    (points_downward, "serve/x.py", "from indimail.testing.clock import FakeClock"),
    (points_downward, "new/x.py", ""),
    (is_pure, "policy/x.py", "import os"),
    (is_pure, "mail/dates.py", "import time\ntime.time()"),
    (is_pure, "smtp/x.py", "from random import random"),
    (is_pure, "delivery/x.py", "def f():\n    return open('/etc/passwd')"),
    (waits_where_it_may, "queue/x.py", "async def f(): ..."),
    (waits_where_it_may, "cli/x.py", "import asyncio"),
    (syncs_in_durable, "queue/x.py", "import os\nos.fsync(3)"),
    (syncs_in_durable, "trace/x.py", "from os import fdatasync"),
    (syncs_in_durable, "app/x.py", "import os\nos.sync()"),
    (syncs_in_durable, "app/x.py", "import os\nos.open('x', os.O_DSYNC)"),
    (syncs_in_durable, "app/x.py", "import fcntl\nfcntl.flock(3, 2)"),
    (has_a_telling_name, "serve/x.py", "class QueueManager: ..."),
    (has_a_telling_name, "serve/x.py", "class Handler(object): ..."),
    (has_a_telling_name, "serve/util.py", ""),
    (catches_what_it_expects, "serve/x.py", "try: ...\nexcept Exception: ..."),
    (catches_what_it_expects, "serve/x.py", "try: ...\nexcept (OSError, BaseException): ..."),
    (catches_what_it_expects, "serve/x.py", "try: ...\nexcept: ..."),
    (catches_what_it_expects, "serve/x.py", "with contextlib.suppress(Exception): ..."),
    (says_what_it_is, "serve/x.py", "import os"),
    (reveals_where_it_may, "serve/x.py", "print(account.password.reveal())"),
    (reveals_where_it_may, "app/x.py", "show = secret.reveal"),
]


@pytest.mark.parametrize(("check", "path", "source"), WRONG)
def test_what_breaks_a_rule_is_found(check: Check, path: str, source: str) -> None:
    assert len(offenders(check, [Module(path, ast.parse(source))])) == 1


RIGHT: list[tuple[Check, str, str]] = [
    (points_downward, "queue/x.py", "from indimail.durable.disk import Disk"),
    (points_downward, "wire/x.py", "from indimail.mail.errors import MailError"),
    (catches_what_it_expects, "queue/x.py", "try: ...\nexcept BaseException:\n    f()\n    raise"),
    (has_a_telling_name, "app/x.py", "class LineHandler(logging.Handler): ..."),
    (has_a_telling_name, "delivery/x.py", "class Based: ..."),
]


@pytest.mark.parametrize(("check", "path", "source"), RIGHT)
def test_what_is_allowed_is_not(check: Check, path: str, source: str) -> None:
    assert offenders(check, [Module(path, ast.parse(source))]) == []
