"""What the parts of a worker work with: where the server is, and the worker's disk, clock and threads."""

import asyncio
from dataclasses import dataclass

from indimail.app.aside import Aside
from indimail.app.follow import Follower
from indimail.app.instance import Instance
from indimail.app.logs import LogLines
from indimail.durable.disk import SystemDisk
from indimail.mail.clock import SystemClock
from indimail.mail.ids import QueueIds
from indimail.net.recent import RecentTable
from indimail.trace.write import TraceWriter


@dataclass(frozen=True, slots=True)
class Place:
    """Where this server is: the instance, what of it was decided at the start, what workers share.

    `failures` and `logins` are those of AUTH; `secret` makes the salts of users who have none.
    """

    instance: Instance
    lines: LogLines
    workers: int
    uid: int
    failures: RecentTable
    logins: RecentTable
    secret: bytes


@dataclass(frozen=True, slots=True)
class Means:
    """What nearly every part needs."""

    place: Place
    number: int  # of the worker
    config: Follower
    loop: asyncio.AbstractEventLoop
    disk: SystemDisk
    clock: SystemClock
    aside: Aside
    ids: QueueIds
    trace: TraceWriter
