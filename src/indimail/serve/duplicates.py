"""Which copies on their way would be duplicates: a mail waits while its like is being delivered.

    duplicates.ask(hands, inbox, digest, id, interval, told)   # told(Mark(...)): it is there
    told(claim)                                    # it is not: deliver it, and say what became of it
    claim.published()                              # in new/ for good: only now it is marked
    claim.gone()                                   # it did not come

A mail is marked last of all, so nothing is discarded for one that did not come: a crash before the
mark doubles a mail, and none loses one.  Of mails that come to one worker at once the first has the
claim, and the others are told once it is marked or gone, or after `PATIENCE`: then they are
delivered.  Those of two workers at once may both be.  Where the marks cannot be read or written,
all mail is delivered.

Calls are the event loop's, but for the claim's, which any thread makes.  `tick` is called every
second.

Source: spec/delivery.md 5.5 (6).  Not here: the marks (`mailbox.dupmd5`), what makes two mails
equal (`delivery.duplicate`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from indimail.durable.committer import Wake
from indimail.mail.clock import Clock
from indimail.mail.ids import QueueId
from indimail.mailbox.dupmd5 import Mark
from indimail.serve.hands import Hands

LOG: Final = logging.getLogger("indimail.duplicates")
PATIENCE: Final = 5.0  # seconds that a mail waits for its like


@dataclass(eq=False, slots=True)
class Claim:
    """A copy that is being delivered, and who waits to hear what becomes of it."""

    duplicates: "Duplicates"
    hands: Hands
    inbox: str
    digest: str
    id: QueueId
    interval: int
    until: float
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def published(self) -> None:
        """It is in new/ for good: mark it."""
        self.duplicates.wake(self._mark)

    def gone(self) -> None:
        """It did not come."""
        self.duplicates.wake(self.release)

    def _mark(self) -> None:
        mark = Mark(self.digest, int(self.duplicates.clock.now()), str(self.id))
        self.hands.add_mark(self.inbox, mark, self.interval, self._marked)

    def _marked(self, failure: Exception | None) -> None:
        _warn(failure)
        self.release()

    def release(self) -> None:
        """Let those who wait go on."""
        self.duplicates.drop(self)
        waiting, self.waiting = self.waiting, []
        for ask in waiting:
            ask()


class Duplicates:
    """What a worker is delivering of what may come twice."""

    def __init__(self, clock: Clock, wake: Wake) -> None:
        """`wake` leads to the event loop from any thread."""
        self.clock = clock
        self.wake = wake
        self._claims: dict[tuple[str, str], Claim] = {}

    def ask(
        self, hands: Hands, inbox: str, digest: str, id_: QueueId, interval: int,
        told: Callable[[Mark | Claim], None],
    ) -> None:  # fmt: skip
        """Tell whether a mail of this digest is in the Maildir, once that is known."""
        key = inbox, digest
        if (found := self._claims.get(key)) is not None:
            found.waiting.append(lambda: self.ask(hands, inbox, digest, id_, interval, told))
            return
        until = self.clock.steady() + PATIENCE
        claim = self._claims[key] = Claim(self, hands, inbox, digest, id_, interval, until)

        def looked(result: object) -> None:
            if isinstance(result, Mark):
                claim.release()
                told(result)
                return
            _warn(result)
            told(claim)

        hands.find_mark(inbox, digest, int(self.clock.now()), interval, looked)

    def drop(self, claim: Claim) -> None:
        """Forget a claim, unless it was given to another meanwhile."""
        key = claim.inbox, claim.digest
        if self._claims.get(key) is claim:
            del self._claims[key]

    def tick(self) -> None:
        """Let nobody wait for long."""
        now = self.clock.steady()
        for claim in list(self._claims.values()):
            if claim.until <= now:
                claim.release()


def _warn(failure: object) -> None:
    if isinstance(failure, Exception):
        LOG.warning("duplicates: %s", failure)
