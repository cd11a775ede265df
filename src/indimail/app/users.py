"""Who works for which user of the system: this worker, or a process of that user.

    users = Users(means, channel, syncs)
    users.hands(uid, gid); users.quotas(uid, gid); users.look_as(entry)
    users.listening(message)                # the supervisor's word about a user's process
    users.tick()                            # once a second

Not here: such a process as a worker sees it (`serve.spawned`), its start (`app.residents`).
"""

import os
from collections.abc import Callable

from indimail.app.channel import Channel, Listening, Spawn
from indimail.app.means import Means
from indimail.delivery.assign import AssignEntry
from indimail.delivery.dotqmail import Name
from indimail.delivery.program import Ended
from indimail.durable.batch import Unsynced
from indimail.durable.committer import Committer
from indimail.mail.errors import MailError
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.serve.hands import Hands, OwnHands, Program
from indimail.serve.home import Home, HomeUnreadable, Look, look
from indimail.serve.quota import MailboxQuotas, OwnQuotas
from indimail.serve.snapshot import QuotaSettings
from indimail.serve.spawned import Spawned, SpawnedHands, SpawnedQuotas, Who
from indimail.serve.watched import WatchedHomes


class Users:
    """Hands, looks and quotas, by user."""

    def __init__(self, means: Means, channel: Channel, syncs: Committer[Unsynced]) -> None:
        self._uid = means.place.uid
        self._config = means.config
        self._loop = means.loop
        self._channel = channel
        self._spawned: dict[Who, Spawned] = {}
        self.watched = WatchedHomes()
        self._own_hands = OwnHands(means.disk, syncs, means.aside, self._run)
        sizes = MaildirSizes(means.disk, means.clock)
        self._own_quotas = OwnQuotas(
            sizes, self.quota_settings, means.disk, means.clock, means.aside
        )

    def hands(self, uid: int, gid: int) -> Hands:
        """Return who works in the homes of a user."""
        return self._own_hands if uid == self._uid else self._others(Who(uid, gid))

    def look_as(self, entry: AssignEntry) -> Look:
        """Return who looks at a home; where nobody can, the look says whose rule it is."""
        if entry.uid == self._uid:
            return look

        def look_there(home: str, names: tuple[Name, ...], owner_file: str) -> Home:
            spawned = self._process_of(Who(entry.uid, entry.gid))
            try:
                return spawned.look(home, names, owner_file)
            except HomeUnreadable:
                raise
            except MailError as error:
                raise HomeUnreadable(f"{entry.rule}: {error}") from error

        return look_there

    def quotas(self, uid: int, gid: int) -> MailboxQuotas:
        """Return the quotas of a user's mailboxes."""
        if uid == self._uid:
            return self._own_quotas
        return SpawnedQuotas(self._process_of(Who(uid, gid)), self.quota_settings)

    def quota_settings(self) -> QuotaSettings:
        """Return what is said of quotas now."""
        return self._config.current.quota

    def listening(self, message: Listening) -> None:
        """Take the supervisor's word about a user's process."""
        self._process_of(Who(message.uid, message.gid)).told(message.path, message.error)

    def tick(self) -> None:
        """Once a second: who has nothing to do is let go."""
        for spawned in list(self._spawned.values()):
            spawned.tick()

    def close(self) -> None:
        """Let all processes go."""
        for spawned in self._spawned.values():
            spawned.close()

    def _run(self, program: Program, done: Callable[[Ended | Exception], None]) -> None:
        """Run a program of ours where a fork is cheap."""
        self._others(Who(self._uid, os.getegid())).run(program, done)

    def _others(self, who: Who) -> SpawnedHands:
        return SpawnedHands(self._process_of(who), lambda: self._config.current.queue.programs)

    def _process_of(self, who: Who) -> Spawned:
        """Return a user's process, also where it does not run."""
        found = self._spawned.get(who)
        if found is None:
            found = Spawned(who, self._loop, self._ask_for, self._idle, self.watched)
            found = self._spawned.setdefault(who, found)  # threads come here too
        return found

    def _ask_for(self, who: Who, instead_of: int) -> None:
        self._channel.send(Spawn(who.uid, who.gid, instead_of))

    def _idle(self) -> float:
        return self._config.current.queue.lspawn_idle
