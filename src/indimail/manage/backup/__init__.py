"""A copy of a running instance, and an instance made of it.

    DIR/manifest.json      what it is: written last, so a backup without it is none
    DIR/files.jsonl        each file, directory and link: path, mode, owner, size, SHA-256
    DIR/files/control/me   the files, where they lie below a root
    DIR/files/rows.jsonl   the user database, a row a line (`accounts.rows`)
    DIR/files/queue/queue1/queue.db, mess/...

The order of copying is what makes it consistent (docs/adr/0032): what mail comes from before what it
goes to, all queues at one moment, then users and configuration, then mailboxes, then the trace.

Not here: text for a terminal (`cli.backup`, `cli.restore`).
"""
