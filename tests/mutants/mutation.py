"""Mutants of the server: one durable step removed or put in the wrong order in each.

    for mutant in removals(Path("src")) + orders(Path("src")): mutant.text   # the file's new content

Removals are found by name: every call of a sync, a seal or a lock is one, wherever it stands, so a
new one cannot be forgotten here.  Orders are written down: what was, what is instead, and the
promise it breaks.  One that no longer fits the code is an error, not a survivor.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Calls that make something durable, or that make one process the owner.
SYNCS: Final = re.compile(r"_?sync(_\w+)?|f(data)?sync|syncfs|flock|_?seal")


@dataclass(frozen=True)
class Mutant:
    """`file` is relative to the source folder; `promise` says what is broken."""

    file: str
    line: int
    promise: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.promise}"


@dataclass(frozen=True)
class Order:
    """A place in a file (it must occur once) and what stands there in the mutant."""

    file: str
    promise: str
    old: str
    new: str


def removals(source: Path) -> list[Mutant]:
    """Return a mutant for each call that `SYNCS` names, without that call."""
    found = []
    for path in sorted(source.rglob("*.py")):
        name = str(path.relative_to(source))
        if "/testing/" not in name:
            found += list(_without(name, path.read_text()))
    return found


def _without(name: str, text: str) -> Iterator[Mutant]:
    for call in sync_calls(ast.parse(text)):
        start, end = _offsets(text, call)
        instead = "0" if _called(call) == "syncfs" else "None"
        shown = " ".join(text[start:end].split())
        yield Mutant(name, call.lineno, f"without {shown}", text[:start] + instead + text[end:])


def sync_calls(tree: ast.AST) -> list[ast.Call]:
    """Return the calls of syncs, seals and locks, in order."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [call for call in calls if SYNCS.fullmatch(_called(call))]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _offsets(text: str, node: ast.expr) -> tuple[int, int]:
    """Return where a node is in the text; ast counts octets of UTF-8 in a line."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)


def orders(source: Path) -> list[Mutant]:
    """Return the mutants that are written down.  Raises ValueError for one that is out of date."""
    found = []
    for order in ORDERS:
        text = (source / order.file).read_text()
        if text.count(order.old) != 1:
            times = text.count(order.old)
            raise ValueError(f"{order.file}: {times} times, expected once: {order.old!r}")
        line = text[: text.index(order.old)].count("\n") + 1
        changed = text.replace(order.old, order.new)
        ast.parse(changed)
        found.append(Mutant(order.file, line, order.promise, changed))
    return found


SQLITE: Final = "indimail/queue/sqlite.py"
SEND: Final = "indimail/serve/send.py"
LOCAL: Final = "indimail/serve/local.py"
SMTPD: Final = "indimail/serve/smtpd.py"
INJECT: Final = "indimail/serve/inject.py"
MAILDIR: Final = "indimail/mailbox/maildir.py"
COMMITTER: Final = "indimail/durable/committer.py"
BATCH: Final = "indimail/durable/batch.py"

BUILD: Final = "indimail/app/build.py"

ORDERS: Final = (
    Order(
        BUILD,
        "a queue that another process owns is opened",
        "lock is None:\n            return False\n        name =",
        "False:\n            return False\n        name =",
    ),
    Order(
        BUILD,
        "a number that another process has is taken",
        "lock is None:\n            return False\n        self._locks",
        "False:\n            return False\n        self._locks",
    ),
    Order(
        "indimail/cli/serve.py",
        "a second server runs in an instance",
        "if lock is None:\n        raise",
        "if False:\n        raise",
    ),
    Order(
        "indimail/durable/lock.py",
        "a lock that another process has is taken",
        "            os.close(fd)\n            return None\n",
        "            pass\n",
    ),
    Order(
        "indimail/control/files.py",
        "a control file is changed by two at once",
        "DirectoryLock.wait(folder)",
        "DirectoryLock(os.open(folder, os.O_RDONLY))",
    ),
    Order(
        "indimail/manage/domains.py",
        "domains are changed by two at once",
        "DirectoryLock.wait(site.places.domains_dir)",
        "DirectoryLock(os.open(site.places.domains_dir, os.O_RDONLY))",
    ),
    Order(SQLITE, "commits are not synced (NORMAL)", '"synchronous", "FULL"', '"synchronous", "NORMAL"'),
    Order(SQLITE, "commits are not synced (OFF)", '"synchronous", "FULL"', '"synchronous", "OFF"'),
    Order(SQLITE, "no write-ahead log", '"wal") != "wal"', '"memory") != "memory"'),
    Order(SQLITE, "a log with a hole is gone on with", 'db.pragma("wal_checkpoint", "TRUNCATE")', "pass"),
    Order(SQLITE, "an SQLite that can lose commits", "require_sqlite(apsw.sqlite_lib_version())", "pass"),
    Order(SQLITE, "waiting rows are forgotten", "\n    AND state <> 'waiting'\"\"\"", '"""'),
    Order(SQLITE, "a second outcome replaces the first", " AND recipient.state = 'waiting'\"\"\"", '"""'),
    Order(SEND, "250 before the commit",
          "self._committer.submit(Accepted(message, recipients), committed)",
          "committed(None); self._committer.submit(Accepted(message, recipients), lambda _: None)"),
    Order(SEND, "in new/ before the mark is committed",
          "self._mark(Staged(job.mail.message.id, step), committed)",
          "committed(None); self._mark(Staged(job.mail.message.id, step), lambda _: None)"),
    Order(SEND, "the outcome is told before its commit",
          "self._mark(change, committed)",
          "committed(None); self._mark(change, lambda _: None)"),
    Order(SEND, "outcomes are not recorded again", "        self._retrace()\n", ""),
    Order(SEND, "a failed commit does not close the queue",
          "                self._doubtful.append(message.id)\n                self._close(_as_ours(failure))",  # noqa: E501
          "                pass"),
    Order(SEND, "what a failed commit left is delivered", "        self._take_back()\n", ""),
    Order(SEND, "a body goes while others wait for it",
          "if self._look.message(queue_id) is None:", "if True:"),
    Order("indimail/serve/traced.py", "rows go before the trace is synced",
          "if covered >= upto:", "if True:"),
    Order(LOCAL, "marked before the copy is synced",
          "self.syncs.add(unsynced, copy.staged)", "copy.staged(None)"),
    Order(LOCAL, "marked before the large copy is synced",
          "self.local.syncs.add(result, self.staged)", "self.staged(None)"),
    Order(LOCAL, "in new/ without a mark",
          "self.send.stage(self.job, step, self.marked)", "self.marked()"),
    Order(LOCAL, "delivered before new/ is synced",
          "self.local.syncs.add(unsynced, self.published)", "self.published(None)"),
    Order(LOCAL, "what an earlier attempt staged is not looked at",
          "        step = job.staged\n", "        step = None\n"),
    Order(LOCAL, "a staged copy is published under the mark of another boot",
          "result.folder, result.name, NO_RULE).staged(None)",
          "result.folder, result.name, NO_RULE).marked()"),
    Order(SMTPD, "250 before the queue has the mail",
          "self._queue.accept(message, recipients, self.committed)",
          "self.committed(None); self._queue.accept(message, recipients, lambda _: None)"),
    Order(INJECT, "0 before the queue has the mail",
          "self._queue.accept(message, self._recipients, committed)",
          "committed(None); self._queue.accept(message, self._recipients, lambda _: None)"),
    Order(MAILDIR, "a copy that was seen is published again", "    if seen:\n", "    if False:\n"),
    Order(MAILDIR, "a mark of another boot is believed",
          "same_boot and staged_age <= DAY", "staged_age <= DAY"),
    Order(COMMITTER, "told before the round has run",
          "self._run([item for item, _ in round_])",
          "self._wake(partial(_tell, round_, None)); self._run([item for item, _ in round_])"),
    Order(COMMITTER, "a failed round is told as done", "failure = error", "failure = None"),
    Order(
        COMMITTER,
        "the rest of a large round is overlooked",
        "if len(self._awaited) or left >= MANY or (left and self._due == NEVER):",
        "if False:",
    ),
    Order(
        COMMITTER,
        "what comes after a leisurely round is overlooked",
        "            self._gathering = False  # before they are taken, as above\n",
        "",
    ),
    Order(BATCH, "the names above are taken for granted", "above = self._above(folders)", "above = set()"),
    Order(BATCH, "what a failed syncfs lost is taken for durable",
          "self._doubt_until = self._steady() + PENANCE", "pass"),
    Order("indimail/trace/write.py", "a torn line swallows the next record",
          "self._is_torn = self._disk.exists(self._path)", "self._is_torn = False"),
)  # fmt: skip
