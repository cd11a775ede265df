"""The orders that promises rest on, and how each is broken.

    Order(SEND, "250 before the commit", old, new)

What was, what is instead, and the promise it breaks: a commit, a check or a wait that comes late, or
not at all.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Order:
    """A place in a file (it must occur once) and what stands there in the mutant."""

    file: str
    promise: str
    old: str
    new: str


SQLITE: Final = "indimail/queue/sqlite.py"
SEND: Final = "indimail/serve/send.py"
LOCAL: Final = "indimail/serve/local.py"
TRANSACTION: Final = "indimail/serve/transaction.py"
INJECT: Final = "indimail/serve/inject.py"
MAILDIR: Final = "indimail/mailbox/maildir.py"
COMMITTER: Final = "indimail/durable/committer.py"
BATCH: Final = "indimail/durable/batch.py"
TRACED: Final = "indimail/serve/traced.py"
ADOPT: Final = "indimail/serve/adopt.py"
HANDOVER: Final = "indimail/serve/handover.py"
TRACE: Final = "indimail/trace/write.py"
BUILD: Final = "indimail/app/build.py"
SERVE: Final = "indimail/cli/serve.py"

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
    Order(BUILD, "an id is given again after the clock was set back",
          "            self.ids.rise_above(send.largest_id())\n", ""),
    Order(
        SERVE,
        "a second server runs in an instance",
        "if lock is None:\n        raise",
        "if False:\n        raise",
    ),
    Order(SERVE, "listeners of a killed server are told", '        self._remove("listeners.json")\n', ""),
    Order(SERVE, "listeners are told before anybody accepts",
          "        self._write(\"serve.pid\"", "        self.ready()\n        self._write(\"serve.pid\""),
    Order(SERVE, "listeners are told while it ends",
          'in ("listeners.json", "inject.sock")', 'in ("inject.sock",)'),
    Order("indimail/app/supervise.py", "ready when one worker is",
          "all(w.ready for w in", "any(w.ready for w in"),
    Order("indimail/app/supervise.py", "a command returns before the workers know of its change",
          "                if not waiting:\n", "                if True:\n"),
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
    Order("indimail/control/files.py", "a name before its contents",
          "        disk.sync_file(new)\n        disk.rename(new, path)\n",
          "        disk.rename(new, path)\n        disk.sync_file(path)\n"),
    Order("indimail/queue/submission.py", "a spool file's name before its contents",
          "        disk.sync_file(hidden)\n        disk.rename(hidden, path)\n",
          "        disk.rename(hidden, path)\n        disk.sync_file(path)\n"),
    Order("indimail/cli/maildirdeliver.py", "a copy is published before it is synced",
          "        syncs.run([staged])\n", ""),
    Order("indimail/cli/maildirdeliver.py", "exit 0 before the copy's name is synced",
          "syncs.run([publish(disk, folder, name)])", "publish(disk, folder, name)"),
    Order("indimail/manage/domains.py", "a domain is received before it is routed",
          "    entry = domain_entry(", "    _receive(site, disk, domain)\n    entry = domain_entry("),
    Order("indimail/accounts/sql.py", "a commit may be undone by its journal",
          '"PRAGMA synchronous=EXTRA"', '"PRAGMA synchronous=FULL"'),
    Order("indimail/accounts/sql.py", "two count a home at once",
          '"BEGIN IMMEDIATE" if', '"BEGIN" if'),
    Order(SQLITE, "commits are not synced (NORMAL)", '"synchronous", "FULL"', '"synchronous", "NORMAL"'),
    Order(SQLITE, "commits are not synced (OFF)", '"synchronous", "FULL"', '"synchronous", "OFF"'),
    Order(SQLITE, "no write-ahead log", '"wal") != "wal"', '"memory") != "memory"'),
    Order(SQLITE, "a log with a hole is gone on with", 'db.pragma("wal_checkpoint", "TRUNCATE")', "pass"),
    Order(SQLITE, "an SQLite that can lose commits", "require_sqlite(apsw.sqlite_lib_version())", "pass"),
    Order(SQLITE, "a newer schema is written to", "if version > SCHEMA_VERSION:", "if False:"),
    Order(SQLITE, "waiting rows are forgotten", "\n    AND state <> 'waiting'\"\"\"", '"""'),
    Order(SQLITE, "a second outcome replaces the first", " AND recipient.state = 'waiting'\"\"\"", '"""'),
    Order(SEND, "250 before the commit",
          "self._committer.submit(Accepted(message, recipients), committed)",
          "committed(None); self._committer.submit(Accepted(message, recipients), lambda _: None)"),
    Order(SEND, "delivered before the commit", "        life = self.life\n\n",
          "        life = self.life\n        self._accepted(message, recipients, fits)\n\n"),
    Order(SEND, "in new/ before the mark is committed",
          "self._mark(Staged(job.mail.message.id, step), committed)",
          "committed(None); self._mark(Staged(job.mail.message.id, step), lambda _: None)"),
    Order(SEND, "the outcome is told before its commit",
          "self._mark(change, committed)",
          "committed(None); self._mark(change, lambda _: None)"),
    Order(SEND, "the next attempt does not know of a staged copy",
          "                self._steps[job.key] = step\n", ""),
    Order(SEND, "the next start does not know of staged copies", "in self._store.staged()", "in ()"),
    Order(SEND, "what an older life says is marked",
          "        if job.life != self.life:\n            return\n        message,", "        message,"),
    Order(SEND, "a closed queue accepts",
          "        if self.failure is not None:\n            self._doubtful",
          "        if False:\n            self._doubtful"),
    Order(SEND, "what opened half is loaded twice",
          "            self._forget_work()  #", "            #"),
    Order(SEND, "bodies that arrive are swept", "        if not self.life:", "        if True:"),
    Order(SEND, "outcomes are not recorded again", "        self._retrace()\n", ""),
    Order(SEND, "a failed commit does not close the queue",
          "                self._doubtful.append(message.id)\n                self._close(_as_ours(failure))",  # noqa: E501
          "                pass"),
    Order(SEND, "what a failed commit left is delivered", "        self._take_back()\n", ""),
    Order(SEND, "a body goes while others wait for it",
          "if self._look.message(queue_id) is None:", "if True:"),
    Order(SEND, "a body goes before its row",
          "self._committer.add(traced, lambda failure: self._forgotten(ids, failure))",
          "self._committer.add(traced, lambda failure: None); self._forgotten(ids, None)"),
    Order(TRACED, "rows go before the trace is synced", "if covered >= upto:", "if True:"),
    Order(TRACED, "rows go after a sync of the trace that failed",
          "isinstance(result, int) else -1", "isinstance(result, int) else upto"),
    Order(TRACED, "rows go before the files they came from",
          "if sources and self._remove_sources is not None:", "if False:"),
    Order(LOCAL, "marked before the copy is synced",
          "self.syncs.add(unsynced, copy.staged)", "copy.staged(None)"),
    Order(LOCAL, "marked before the large copy is synced",
          "self.local.syncs.add(result, self.staged)", "self.staged(None)"),
    Order(LOCAL, "in new/ without a mark",
          "self.send.stage(self.job, self._step(self.local.boot), self.marked)", "self.marked()"),
    Order(LOCAL, "delivered before new/ is synced",
          "self.local.syncs.add(unsynced, self.published)", "self.published(None)"),
    Order(LOCAL, "a copy that somebody removed counts as published",
          "self._step(NO_BOOT)", "self._step(self.local.boot)"),
    Order(LOCAL, "what an earlier attempt staged is not looked at",
          "        step = job.staged\n", "        step = None\n"),
    Order(LOCAL, "a staged copy is published under the mark of another boot",
          "result.place, result.name, NO_RULE).staged(None)",
          "result.place, result.name, NO_RULE).marked()"),
    Order(TRANSACTION, "250 before the queue has the mail",
          "self._queue.accept(message, recipients, self._committed)",
          "self._committed(None); self._queue.accept(message, recipients, lambda _: None)"),
    Order(TRANSACTION, "250 after a seal that failed",
          "        if result is None:\n            assert self._body",
          "        if True:\n            assert self._body"),
    Order(INJECT, "0 after a seal that failed",
          "elif result is None:\n            self._busy = True",
          "elif True:\n            self._busy = True"),
    Order(ADOPT, "adopted again though a row names it", "known = self._adopted()", "known = set()"),
    Order(ADOPT, "a row does not name the file it came from",
          "body.size, taken, name,", 'body.size, taken, "",'),
    Order(ADOPT, "a file goes though its commit failed",
          "                done = partial(self._committed,",
          "                self._taken.append(name)\n                done = partial(self._committed,"),
    Order(ADOPT, "a file is read where others can change its name",
          "return os.path.join(self._claimed, name)", "return os.path.join(self.spool, name)"),
    Order(HANDOVER, "250 before the owner's commit",
          "self._aside(lambda: self._ask(message, recipients), told)",
          "self._aside(lambda: self._ask(message, recipients), print); told(self.name)"),
    Order(HANDOVER, "250 for an owner's refusal", "if receipt.code == QUEUED:", "if True:"),
    Order(HANDOVER, "given to another though one may have it",
          "if receipt.code != REFUSED_FOR_NOW:", "if False:"),
    Order(INJECT, "0 before the queue has the mail",
          "self._queue.accept(message, self._recipients, committed)",
          "committed(None); self._queue.accept(message, self._recipients, lambda _: None)"),
    Order(MAILDIR, "a copy that was seen is published again", "    if seen:\n", "    if False:\n"),
    Order(MAILDIR, "half a copy is taken for the copy", "return disk.size(path) == size", "return True"),
    Order(MAILDIR, "a mark of another boot is believed",
          "same_boot and staged_age <= DAY", "staged_age <= DAY"),
    Order(COMMITTER, "told before the round has run",
          "self._run([item for item, _ in round_])",
          "self._wake(partial(_tell, round_, None, {})); self._run([item for item, _ in round_])"),
    Order(COMMITTER, "an item that failed alone is told as done", "failure or alone.get(place)", "failure"),
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
    Order(BATCH, "a copy that is gone is told as durable", "dict(_failed(batch, missing))", "{}"),
    Order(BATCH, "what a failed syncfs lost is taken for durable",
          "self._doubt_until = self._steady() + PENANCE", "pass"),
    Order(TRACE, "what a failed sync lost is not written again",
          "again, self._retained = list(self._retained), deque()", "again, self._retained = [], deque()"),
    Order(TRACE, "what a failed sync lost is covered", "                return self._covered\n",
          "                return handed\n"),
    Order(TRACE, "what could not be written is covered",
          "return self._encoded[0].before if self._encoded else self._taken", "return self._taken"),
    Order(TRACE, "a torn line swallows the next record",
          "self._is_torn = self._disk.exists(self._path)", "self._is_torn = False"),
)  # fmt: skip
