"""How many connections there are to one host, whatever domains its mail is for.

    slots = HostSlots()
    await slots.take(("192.0.2.1", 25), most=10)    # waits while there are ten; first come, first served
    slots.release(("192.0.2.1", 25))
    slots.is_wanted(("192.0.2.1", 25))              # somebody waits: leave soon

Not here: the connections to one next hop (`serve.peers`).
"""

import asyncio
from collections import deque

Where = tuple[str, int]


class HostSlots:
    """The connections of a worker, by address and port."""

    def __init__(self) -> None:
        self._open: dict[Where, int] = {}
        self._waiting: dict[Where, deque[asyncio.Future[None]]] = {}

    async def take(self, where: Where, most: int) -> None:
        """Take one, as soon as there are fewer than `most`."""
        taken = self._open.get(where, 0)
        if taken < most:
            self._open[where] = taken + 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(where, deque()).append(turn)
        await turn

    def release(self, where: Where) -> None:
        """Give one back, or to who waits for it."""
        waiting = self._waiting.get(where)
        if waiting:
            waiting.popleft().set_result(None)
            if not waiting:
                del self._waiting[where]
            return
        self._open[where] -= 1
        if not self._open[where]:
            del self._open[where]

    def is_wanted(self, where: Where) -> bool:
        """Tell whether somebody waits for one."""
        return where in self._waiting
