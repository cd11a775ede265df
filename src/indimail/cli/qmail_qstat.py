"""`qmail-qstat`: count the mails in all queues, while the server runs and while it does not.

    qmail-qstat        messages in queue: 2
                       messages in queue but not yet preprocessed: 0

The second number is always 0: a mail is routed when it is accepted.
"""

import argparse
import json
from typing import TYPE_CHECKING

from indimail.cli.qmail_qread import add_common, with_queues

if TYPE_CHECKING:
    from indimail.manage.outcomes import Queues


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the numbers."""
    return with_queues("qmail-qstat", args.root, lambda queues: _run(args, queues))


def _run(args: argparse.Namespace, queues: "Queues") -> None:
    counts = queues.counts()
    messages = sum(count.messages for _, count in counts)
    if args.json:
        by_queue = {
            name: {"messages": c.messages, "local": c.local, "remote": c.remote}
            for name, c in counts
        }
        print(json.dumps({"messages": messages, "unprocessed": 0, "queues": by_queue}))
        return
    print(f"messages in queue: {messages}")
    print("messages in queue but not yet preprocessed: 0")
