"""What a world is given: a configuration, plans by the name of the user, hands that run no program.

foresight.decide("example.com-alice@example.com").plan       -> Plan((Deliver(...),))
ScriptedHands(world).run(program, done)                      # ends as the script says
ScriptedRemote(world).start(jobs, send)                      # the same
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from indimail.app.configuration import load
from indimail.app.instance import Instance
from indimail.delivery.environment import Addressee
from indimail.delivery.headers import delivered_to
from indimail.delivery.program import Ended
from indimail.durable.committer import Done
from indimail.serve.foresight import Decided
from indimail.serve.hands import Content, OwnHands, Program
from indimail.serve.job import Job
from indimail.serve.send import Send
from indimail.serve.snapshot import Configuration, Snapshot
from indimail.testing.clock import FakeClock

from .script import DELAYWARN, REMOTE, is_foreseen, plan_of

if TYPE_CHECKING:
    from .world import World


@cache
def configuration() -> Snapshot:
    """Read a plain configuration, once: example.com is ours."""
    with tempfile.TemporaryDirectory() as root:
        control = Path(root, "control")
        control.mkdir()
        Path(control, "me").write_text("mx.example.com\n")
        Path(control, "rcpthosts").write_text("example.com\n")
        Path(control, "virtualdomains").write_text("example.com:example.com\n")
        Path(control, "delaywarn").write_text(f"{DELAYWARN}\n")
        Path(control, "bouncemaxbytes").write_text("0\n")  # a large mail makes a large bounce
        return load(Instance(root), {})


class Fixed(Configuration):
    """A configuration that nobody changes."""

    @property
    def current(self) -> Snapshot:
        return configuration()

    def when_fresh(self, go_on: Callable[[], None]) -> bool:
        return True


class Silent:
    """Log lines that nobody reads."""

    def add(self, line: str) -> None: ...

    def urgent(self, line: str) -> None: ...


class ScriptedHands(OwnHands):
    """Copies are real; programs end as the script says, and an mbox is what the ledger counts."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.disk, world.syncs, world.aside, self._run)
        self._world = world

    def _run(self, program: Program, done: Callable[[Ended | Exception], None]) -> None:
        what = f"{program.command} {_user(program.environment['RECIPIENT'])}"
        self._work(what, program.content, lambda code: done(Ended(code, f"exit {code} of {what}")),
                   done)  # fmt: skip

    def append(self, path: str, content: Content, from_line: str, done: Done) -> None:
        self._work(path, content, lambda _: done(None), done)

    def _work(
        self, what: str, content: Content, done: Callable[[int], None],
        failed: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        def ended(result: object) -> None:
            if isinstance(result, Exception):
                failed(result)
            else:
                assert isinstance(result, int)
                done(result)

        ledger = self._world.ledger
        self._world.aside(lambda: ledger.run(what, b"".join(content.pieces())), ended)


class ScriptedRemote:
    """Other hosts that say what the script lets them; the rest never answers."""

    at_once = 100

    def __init__(self, world: "World") -> None:
        self._world = world

    def start(self, jobs: Sequence[Job], send: Send) -> None:
        for job in jobs:
            outcome = REMOTE.get(job.recipient.address.rpartition("@")[2])
            if outcome is not None:
                self._world.after(2.0, partial(send.finish, job, outcome))


class ScriptedForesight:
    """Plans by the name of the user."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def cached(self, target: str) -> Decided | None:
        return self.decide(target) if is_foreseen(_user(target)) else None

    def decide(self, target: str) -> Decided:
        plan = plan_of(_user(target), self._clock.now())
        local, _, host = target.rpartition("@")
        who = Addressee("indimail", "/home", local, host, local)
        return Decided(plan, delivered_to(target), who, 89, 89, (), 0.0, (0, 0))


def _user(target: str) -> str:
    return target.partition("@")[0].rpartition("example.com-")[2]
