"""Which queues there are on disk.

    found_queues("/var/indimail/queue")       -> ["/var/indimail/queue/queue1", ...queue2]

A queue is a directory that has a database; queue2 comes before queue10.
"""

import os

from indimail.queue.sqlite import database_of


def found_queues(base: str, *named: str) -> list[str]:
    """Return the queues below `base`, and those of `named`.  Raises OSError for `base`."""
    try:
        names = os.listdir(base)
    except FileNotFoundError:
        names = []
    wanted = {os.path.join(base, name) for name in names} | {path for path in named if path}
    found = [path for path in wanted if os.path.exists(database_of(path))]
    return sorted(found, key=lambda path: (len(path), path))
