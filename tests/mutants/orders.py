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
OPENING: Final = "indimail/serve/opening.py"
DEBTS: Final = "indimail/serve/debts.py"
LOCAL: Final = "indimail/serve/local.py"
ATTEMPT: Final = "indimail/serve/attempt.py"
HANDS: Final = "indimail/serve/hands.py"
TRANSFER: Final = "indimail/smtp/transfer.py"
FORWARD: Final = "indimail/serve/forward.py"
SPOOL: Final = "indimail/queue/spool.py"
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
QUEUES: Final = "indimail/app/queues.py"
SERVE: Final = "indimail/cli/serve.py"
BEGIN: Final = """            run.execute("BEGIN IMMEDIATE")
            try:
                _write(run, changes)
"""
LSPAWN: Final = "indimail/serve/lspawn.py"
RESIDENTS: Final = "indimail/app/residents.py"
DUPLICATES: Final = "indimail/serve/duplicates.py"

ORDERS: Final = (
    Order(LSPAWN, "a copy is answered before its sync",
          'errand.text("name"), content, finished)\n',
          'errand.text("name"), content, lambda _: None)\n                finished(None)\n'),
    Order(LSPAWN, "a published name is answered before its sync",
          'self._hands.publish(errand.text("folder"), errand.text("name"), done)\n',
          'self._hands.publish(errand.text("folder"), errand.text("name"), lambda _: None)\n'
          '        done(None)\n'),
    Order(LSPAWN, "whoever connects is answered", "peer(sock).uid != self._asking", "False"),
    Order("indimail/serve/spawned.py", "another user's process is believed",
          "process.uid != self.who.uid", "False"),
    Order(DUPLICATES, "a mail is marked before its copy is there",
          "            told(claim)\n", "            claim.published()\n            told(claim)\n"),
    Order(ATTEMPT, "a mail whose copy did not come is marked",
          "self._claim is not None and failure is None", "self._claim is not None"),
    Order(RESIDENTS, "a worker connects before a process listens", "if found.listens:", "if True:"),
    Order(
        QUEUES,
        "a queue that another process owns is opened",
        "if lock is None:",
        "if False:",
    ),
    Order(
        BUILD,
        "a number that another process has is taken",
        "lock is None:\n            return False\n        self._locks",
        "False:\n            return False\n        self._locks",
    ),
    Order(QUEUES, "an id is given again after the clock was set back",
          "            means.ids.rise_above(send.largest_id())\n", ""),
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
    Order("indimail/mailbox/answered.py", "two mails at once are both answered",
          "DirectoryLock.wait(directory)", "DirectoryLock(os.open(directory, os.O_RDONLY))"),
    Order(
        "indimail/manage/site.py",
        "the instance is changed by two at once",
        "if not lock_file(fd, patience):",
        "if False:",
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
    Order("indimail/manage/routing.py", "a domain is received before it is routed",
          "        AddEntry(users_dir, entry),",
          "        *_received(site, domain),\n        AddEntry(users_dir, entry),"),
    Order("indimail/manage/change.py", "a change is made before its list is kept",
          "    write_atomic(stores.disk, path, [text.encode(\"ascii\")], 0o600)\n"
          "    _do(stores, writes, told)",
          "    _do(stores, writes, told)"),
    Order("indimail/manage/change.py", "a list is done with before its writes",
          "    for number, write in enumerate(writes, 2):",
          "    stores.disk.unlink(journal(stores.site))\n    for number, write in enumerate(writes, 2):"),
    Order("indimail/manage/change.py", "a change that is being made is completed by another",
          'with locked(stores.site, "the completion of a change", patience=0):', "if True:"),
    Order("indimail/manage/change.py", "a process that is to end goes on",
          "        write.do(stores)\n        _fail_at(left, number)\n",
          "        _fail_at(left, number)\n        write.do(stores)\n"),
    Order("indimail/manage/change.py", "a process that is to end keeps no list",
          "    _fail_at(left, 1)\n", ""),
    Order("indimail/manage/site.py", "a change is made on top of half of another",
          "        check_undisturbed(site)\n", ""),
    Order("indimail/manage/site.py", "who waits is not told who is at work",
          'f"{what} (process {os.getpid()})\\n".encode("utf-8", "replace")', 'b"somebody"'),
    Order("indimail/manage/row_writes.py", "a flag that the server set meanwhile goes",
          "row.flags & ~self.gone | self.given", "self.given"),
    Order("indimail/manage/row_writes.py", "the lock of an administrator goes with the quota's",
          "if Flag.BOUNCE_MAIL in self.given:", "if False:"),
    Order("indimail/manage/user_change.py", "mail may come before there is a home",
          "        *([MakeHome(account.directory)] if needs_home else []),  # before mail may come\n"
          "        *rows,\n",
          "        *rows,\n        *([MakeHome(account.directory)] if needs_home else []),\n"),
    Order("indimail/manage/autoreply.py", "a mail is answered before there is a text",
          "    return [\n        MakeDirectory(answered, 0o700),",
          '    return [\n        WriteFile(os.path.join(home, INSTRUCTIONS), ""),\n'
          "        MakeDirectory(answered, 0o700),"),
    Order("indimail/manage/autoreply.py", "a text goes before its replies end",
          "        *([RemoveFile(instructions)] if is_reply else []),\n"
          "        RemoveFile(os.path.join(home, TEXT)),\n",
          "        RemoveFile(os.path.join(home, TEXT)),\n"
          "        *([RemoveFile(instructions)] if is_reply else []),\n"),
    Order("indimail/manage/aliases.py", "a line goes before the one in its place is there",
          "return [*writes, TellAccount(name, domain)]",
          "return [*writes[::-1], TellAccount(name, domain)]"),
    Order("indimail/manage/aliases.py", "a line of a domain that went meanwhile",
          "refused = check_domain_is_ours(site, disk, domain)", "refused = None"),
    Order("indimail/manage/users.py", "a user of a domain that went meanwhile",
          "refused = check_domain_is_ours(site, disk, new.domain)", "refused = None"),
    Order("indimail/cli/change.py", "a change is planned while another is made",
          "    with alone(command.site, title):\n        writes = _planned(command, plan)\n",
          "    writes = _planned(command, plan)\n    with alone(command.site, title):\n"),
    Order("indimail/cli/change.py", "a change that was completed is made twice",
          "if is_completed(command, subject) and not again:", "if False:"),
    Order("indimail/cli/vmoduser.py", "more is added twice by who completes it",
          "if change.is_relative and is_completed(command, subject):", "if False:"),
    Order("indimail/accounts/engines.py", "a commit may be undone by its journal",
          'cursor.execute("PRAGMA synchronous=EXTRA")', 'cursor.execute("PRAGMA synchronous=FULL")'),
    Order("indimail/accounts/engines.py", "two change the accounts at once",
          '"BEGIN IMMEDIATE" if', '"BEGIN" if'),
    Order("indimail/accounts/schema.py", "a newer schema of the accounts is written to",
          "if version > VERSION:", "if False:"),
    Order("indimail/accounts/schema.py", "tables of accounts are changed without a copy",
          "        dialect.keep_copy(db, known, version)", "        pass"),
    Order("indimail/accounts/schema.py", "a version is written before what it says",
          "            revision.module.upgrade()\n            context.stamp(directory, revision.revision)",
          "            context.stamp(directory, revision.revision)\n            revision.module.upgrade()"),
    Order("indimail/accounts/schema.py", "IndiMail's tables have a version before what they lack",
          "        _make_missing(db, there)  # first: once there is a version, all is there\n", ""),
    Order("indimail/accounts/schema.py", "tables in the making count as IndiMail's",
          '        context.stamp(directory, "base")', "        pass"),
    Order("indimail/accounts/dialect.py", "a table is there before its indexes",
          'if db.dialect.name != "mysql":\n        table.create(db)', "if True:\n        table.create(db)"),
    Order("indimail/accounts/dialect.py", "a copy is there before its rows",
          '"_unfinished" if db.dialect.name == "mysql" else ""', '""'),
    Order(SQLITE, "commits are not synced (NORMAL)", '"synchronous", "FULL"', '"synchronous", "NORMAL"'),
    Order(SQLITE, "commits are not synced (OFF)", '"synchronous", "FULL"', '"synchronous", "OFF"'),
    Order(SQLITE, "no write-ahead log", '"wal") != "wal"', '"memory") != "memory"'),
    Order(SQLITE, "a log with a hole is gone on with",
          'db.pragma("wal_checkpoint", "TRUNCATE")[0]', "False"),
    Order(SQLITE, "zeros over commits", "if log.xFileSize():", "if False:"),
    Order(SQLITE, "a log that could not be emptied is gone on with",
          '"TRUNCATE")[0]:', '"TRUNCATE")[0] > 1:'),
    Order(SQLITE, "an SQLite that can lose commits", "require_sqlite(apsw.sqlite_lib_version())", "pass"),
    Order(SQLITE, "a newer schema is written to", "if version > SCHEMA_VERSION:", "if False:"),
    Order(SQLITE, "waiting rows are forgotten", "    AND state <> 'waiting' AND", "    AND"),
    Order(SQLITE, "an outcome is forgotten though its bounce is owed",
          "<> 'waiting' AND owed = ''", "<> 'waiting'"),
    Order(SQLITE, "the end of a recipient does not say what is owed",
          'rule, c.at, c.owed or "", peer)', 'rule, c.at, "", peer)'),
    Order(SQLITE, "a delay that is owed is not kept",
          'c.at, c.owed or "", _peer(c))', 'c.at, "", _peer(c))'),
    Order(SQLITE, "a delay is told of with every attempt",
          "delayed = delayed OR new.owed <> ''", "delayed = delayed"),
    Order(SQLITE, "another deferral ends the debt of a delay",
          "CASE new.owed WHEN '' THEN recipient.owed ELSE new.owed END", "new.owed"),
    Order(SQLITE, "a report of a delay ends the debt of a failure since",
          "WHERE (id, number, owed) IN (SELECT value->>0, value->>1, value->>2 FROM",
          "WHERE (id, number) IN (SELECT value->>0, value->>1 FROM"),
    Order(SQLITE, "forwards are queued though their recipient had ended",
          "if c.forwards and _waits(run, c) for f", "if c.forwards for f"),
    Order(SQLITE, "a debt is ended without its bounce",
          "        _accept(run, [c.report for c in reported if c.report is not None])\n", ""),
    Order(SQLITE, "a bounce is queued and stays owed",
          "run.execute(SETTLE, (_json([(c.id, *debt) for c in reported for debt in c.debts]),))",
          "pass"),
    Order(SQLITE, "forwards are in a transaction of their own",
          BEGIN,
          """            for own in [f for c in changes if type(c) is Finished for f in c.forwards]:
                run.execute("BEGIN IMMEDIATE")
                _accept(run, [own])
                run.execute("COMMIT")
            changes = [
                Finished(c.id, c.number, c.outcome, c.at, owed=c.owed) if type(c) is Finished else c
                for c in changes
            ]
            run.execute("BEGIN IMMEDIATE")
            try:
                _write(run, changes)
"""),
    Order(SQLITE, "a bounce is in a transaction of its own",
          BEGIN,
          """            for own in [c.report for c in changes if type(c) is Reported and c.report]:
                run.execute("BEGIN IMMEDIATE")
                _accept(run, [own])
                run.execute("COMMIT")
            changes = [
                Reported(c.id, c.debts, None) if type(c) is Reported else c for c in changes
            ]
            run.execute("BEGIN IMMEDIATE")
            try:
                _write(run, changes)
"""),
    Order(SQLITE, "a second outcome replaces the first", " AND recipient.state = 'waiting'\"\"\"", '"""'),
    Order(SEND, "250 before the commit",
          "queue.committer.submit(Accepted(message, recipients), committed)",
          "committed(None); queue.committer.submit(Accepted(message, recipients), lambda _: None)"),
    Order(SEND, "delivered before the commit", "        life = queue.life\n\n",
          "        life = queue.life\n        self._accepted(message, recipients, fits)\n\n"),
    Order(SEND, "in new/ before the mark is committed",
          "self._queue.mark(Staged(job.mail.message.id, step), job.life, done)",
          "done(); self._queue.mark(Staged(job.mail.message.id, step), job.life, lambda: None)"),
    Order(SEND, "the next step before the mark of this one is committed",
          "self._queue.mark(Stepped(job.mail.message.id, step), job.life, done)",
          "done(); self._queue.mark(Stepped(job.mail.message.id, step), job.life, lambda: None)"),
    Order(SEND, "a step that is done has no mark",
          "self._queue.mark(Stepped(job.mail.message.id, step), job.life, done)", "done()"),
    Order(SEND, "the outcome is told before its commit",
          "change, job.life, partial(self._ended, job, outcome, change, now), forwards",
          "change, job.life, self._ended(job, outcome, change, now) or (lambda: None), forwards"),
    Order(SEND, "the next attempt does not know of a staged copy",
          "_waiting(found), look.steps(queue_id)", "_waiting(found), []"),
    Order(SQLITE, "a step that is done begins an attempt before its time", "step WHERE NOT done ", "step "),
    Order(SEND, "forwards are left out of the commit that ends their delivery",
          "outcome, now, forwards, owed)", "outcome, now, (), owed)"),
    Order(SEND, "a final failure does not owe its bounce",
          "outcome, now, forwards, owed)", "outcome, now, forwards)"),
    Order(SEND, "a forward of a failed commit leaves its file",
          "change, now), forwards", "change, now)"),
    Order(DEBTS, "a bounce of a failed commit leaves its file", "life, settled, own)", "life, settled)"),
    Order(TRACED, "a restart lets go of an outcome whose report is owed",
          "                    if status.owed is None:\n", "                    if True:\n"),
    Order(FORWARD, "each of several addresses answers for success too",
          "        if dsn is Dsn.EXPANDED:\n", "        if False:\n"),
    Order(ATTEMPT, "an alias of one address answers for success, as that does",
          "if files + forwards + programs > 1 else None", "if files + forwards + programs > 0 else None"),
    Order(TRANSFER, "nobody tells of success at a server without DSN",
          "self._dsn = None if offer.dsn else Dsn.RELAYED", "self._dsn = None"),
    Order(TRANSFER, "success at a server with DSN is told twice",
          "self._dsn = None if offer.dsn else Dsn.RELAYED", "self._dsn = Dsn.RELAYED"),
    Order(OPENING, "what was made for a commit that failed leaves its file",
          "                self._perhaps += _spooled(own)\n", ""),
    Order(OPENING, "what was made for a queue that was closed leaves its file",
          "            self._discard(_spooled(own))  #", "            #"),
    Order(OPENING, "a file goes though its row may be there",
          "if self.store.message(id_) is None)", "if True)"),
    Order(DEBTS, "somebody is told twice, by two bounces",
          "        if queue_id in self._bouncing or len", "        if len"),
    Order(DEBTS, "a bounce is made for a queue that was closed",
          "debts, queued), life, settled,", "debts, queued), self._queue.life, settled,"),
    Order(DEBTS, "the next start does not know what is owed",
          "dict.fromkeys(self._queue.store.owed(), 0.0)", "{}"),
    Order(DEBTS, "a bounce is told before its commit",
          "self._queue.mark(Reported(queue_id, debts, queued), life, settled, own)",
          "settled(); self._queue.mark(Reported(queue_id, debts, queued), life, lambda: None, own)"),
    Order(DEBTS, "a row goes with the report of its delay, before its outcome is traced",
          "if dsn is not Dsn.DELAYED]", "]"),
    Order(DEBTS, "a success behind a bounce is forgotten until the next start",
          "            self._owed[queue_id] = self._clock.now()\n", "            pass\n"),
    Order(SEND, "a debt is let go before its bounce is queued",
          "            if change.owed is None:\n", "            if True:\n"),
    Order(SEND, "a delay that is owed is not in the commit that defers",
          "str(outcome.rule), now, owed,", "str(outcome.rule), now, None,"),
    Order(SEND, "the next start does not know of staged copies", "in self._queue.store.staged()", "in ()"),
    Order(OPENING, "what an older life says is marked",
          "        if life != self.life:", "        if False:"),
    Order(SEND, "a closed queue accepts",
          "        if queue.failure is not None:\n            queue.doubt",
          "        if False:\n            queue.doubt"),
    Order(OPENING, "what opened half is loaded twice", "            self._forget()  #", "            #"),
    Order(OPENING, "bodies that arrive are swept", "            if not self.life:", "            if True:"),
    Order(SEND, "outcomes are not recorded again", "        self.endings.recover()\n", ""),
    Order(SEND, "a failed commit does not close the queue",
          "                queue.doubt(message.id)\n                queue.fail(failure)",
          "                pass"),
    Order(OPENING, "what a failed commit left is delivered", "            self._take_back()\n", ""),
    Order(TRACED, "a body goes while others wait for it",
          "if self._queue.look.message(queue_id) is None:", "if True:"),
    Order(TRACED, "a body goes before its row",
          "self._queue.committer.add(traced, lambda failure: self._forgotten(ids, failure))",
          "self._queue.committer.add(traced, lambda failure: None); self._forgotten(ids, None)"),
    Order(TRACED, "rows go before the trace is synced", "if covered >= upto:", "if True:"),
    Order(TRACED, "rows go after a sync of the trace that failed",
          "isinstance(result, int) else -1", "isinstance(result, int) else upto"),
    Order(TRACED, "rows go before the files they came from",
          "if sources and self._remove_sources is not None:", "if False:"),
    Order(HANDS, "marked before the copy is synced",
          "(content.block, content.body))\n        except MailError as error:\n            done(error)\n"
          "            return\n        self._syncs.add(unsynced, done)",
          "(content.block, content.body))\n        except MailError as error:\n            done(error)\n"
          "            return\n        done(None)"),
    Order(HANDS, "marked before the large copy is synced", "self._syncs.add(result, done)", "done(None)"),
    Order(HANDS, "delivered before new/ is synced",
          "maildir.publish(self._disk, folder, name)\n        except MailError as error:\n"
          "            done(error)\n            return\n        self._syncs.add(unsynced, done)",
          "maildir.publish(self._disk, folder, name)\n        except MailError as error:\n"
          "            done(error)\n            return\n        done(None)"),
    Order(HANDS, "an mbox is told as written before it is",
          "            lambda: append_mbox(path, content.pieces(), from_line),",
          "            lambda: done(None) or append_mbox(path, content.pieces(), from_line),"),
    Order(ATTEMPT, "in new/ without a mark",
          "attempt.send.stage(attempt.job, self.step(), self.marked)", "self.marked()"),
    Order(ATTEMPT, "a copy that somebody removed counts as published",
          "attempt.send.stage(attempt.job, self.step(NO_BOOT), gone)",
          "attempt.send.stage(attempt.job, self.step(), gone)"),
    Order(LOCAL, "what an earlier attempt staged is not looked at",
          "message, step = job.mail.message, job.staged", "message, step = job.mail.message, None"),
    Order(ATTEMPT, "a staged copy is published under the mark of another boot",
          "            copy.stored(None)\n", "            copy.marked()\n"),
    Order(ATTEMPT, "a copy is made again though it is settled",
          "        self._done.append((step.place, step.name))\n", ""),
    Order(ATTEMPT, "what was made before is made again", "if step.done]", "if False]"),
    Order(ATTEMPT, "a mark takes the place of an earlier one",
          "1 + max(step.step for step in job.steps) if job.steps else 0", "0"),
    Order(ATTEMPT, "a mark leaves out every step of its place",
          "                    self._done.remove(done)\n", ""),
    Order(ATTEMPT, "what 99 left out is made by the next attempt",
          "if isinstance(action, Run) and done[1] == STOPPED:", "if False:"),
    Order(ATTEMPT, "a step that is made has no mark",
          "        self.send.step(self.job, step, self._go_on)", "        self._go_on()"),
    Order(ATTEMPT, "a copy that is made has no mark",
          "        self.send.step(self.job, copy.step(done=True), self._go_on)", "        self._go_on()"),
    Order(ATTEMPT, "a copy of several counts as the last of them",
          "counted, claim, last=self._is_last", "counted, claim, last=True"),
    Order(ATTEMPT, "a copy counts as the last though forwards follow",
          "len(self._decided.plan.actions) and not self._forwards", "len(self._decided.plan.actions)"),
    Order(ATTEMPT, "an attempt that fails forwards",
          "                    self._refuse(action)\n                    return\n",
          "                    if self._forwards:\n                        break\n"
          "                    self._refuse(action)\n                    return\n"),
    Order(ATTEMPT, "a loop goes on",
          "elif is_looping(header, self._decided.delivered_to, settings.max_delivered_to):",
          "elif False:"),
    Order(SPOOL, "a forward that could not be written leaves its file",
          "                self.discard(queue_id)\n", "                pass\n"),
    Order(FORWARD, "one of two forwards that could not be written leaves its file",
          "                spool.discard(draft.message.id)\n", "                pass\n"),
    Order(SPOOL, "what a crash left stays",
          "self._disk.unlink(os.path.join(self._folder, name))", "pass"),
    Order("indimail/mailbox/mbox.py", "two write to an mbox at once",
          "if not lock_file(fd, PATIENCE):", "if False:"),
    Order("indimail/mailbox/mbox.py", "half a mail stays in an mbox",
          "        undo.callback(_cut, fd, before)\n", ""),
    Order(TRANSACTION, "250 before the queue has the mail",
          "self._queue.accept(message, recipients, self._committed)",
          "self._committed(None); self._queue.accept(message, recipients, lambda _: None)"),
    Order(TRANSACTION, "250 after a seal that failed",
          "        if result is None:\n            assert self._body",
          "        if True:\n            assert self._body"),
    Order(INJECT, "0 after a seal that failed",
          "if result is None:\n            assert self._body",
          "if True:\n            assert self._body"),
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
