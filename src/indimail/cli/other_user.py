"""What root looks at as another user: in a child that becomes him, and says what it saw.

    look_as(1001, 1001)("/home/bob", names, "")      # as `serve.home.look`
    MailboxesAs(1001, 1001, mailboxes).held(deliver, counted=True)

The command acts as the service account by then, with root in reserve.  What the child says is read
as any answer of a user's process: no more is believed than can be checked.

Not here: the same for a running server (`serve.lspawn`).
"""

import os
from collections.abc import Callable
from typing import NoReturn, TypeVar

from indimail.app.identity import become
from indimail.delivery.dotqmail import Name
from indimail.delivery.plan import Deliver
from indimail.mail.errors import MailError, Temporary
from indimail.serve.errand import (
    LONGEST,
    Errand,
    Fields,
    failed,
    failure,
    pack,
    read_home,
    told_home,
    unpack,
)
from indimail.serve.home import Home, Look, look
from indimail.serve.locks import Held, Mailboxes
from indimail.serve.quota_errand import read_held, told_held
from indimail.wire.frames import BrokenFrame

Told = tuple[Fields, bytes]
T = TypeVar("T")


def is_root() -> bool:
    """Tell whether another user can be become."""
    return 0 in os.getresuid()


def look_as(uid: int, gid: int) -> Look:
    """Return who looks at a home as this user."""

    def look_there(home: str, names: tuple[Name, ...], owner_file: str) -> Home:
        def seen() -> Told:
            return told_home(look(home, names, owner_file), names)

        return _ask(uid, gid, seen, lambda answer: read_home(answer, names))

    return look_there


class MailboxesAs:
    """The mailboxes of this user, seen by him."""

    def __init__(self, uid: int, gid: int, mailboxes: Mailboxes) -> None:
        self._uid = uid
        self._gid = gid
        self._mailboxes = mailboxes

    def held(self, deliver: Deliver, *, counted: bool) -> Held:
        """Tell what a mailbox holds.  Raises MailError."""

        def seen() -> Told:
            return told_held(self._mailboxes.held(deliver, counted=counted)), b""

        return _ask(self._uid, self._gid, seen, read_held)


def _ask(uid: int, gid: int, ask: Callable[[], Told], read: Callable[[Errand], T]) -> T:
    """Return what this user finds.  Raises MailError."""
    said, says = os.pipe()
    child = os.fork()
    if not child:
        _answer(uid, gid, ask, says)
    os.close(says)
    with open(said, "rb") as file:
        frame = file.read(LONGEST + 4)
    os.waitpid(child, 0)
    try:
        answer = unpack(frame[4:])
        if error := failure(answer):
            raise error
        return read(answer)
    except BrokenFrame as error:
        raise Temporary(f"uid {uid}: no answer: {error}") from error


def _answer(uid: int, gid: int, ask: Callable[[], Told], says: int) -> NoReturn:
    """Be that user, and say what he finds."""
    try:
        os.seteuid(0)
        become(uid, gid)
        try:
            frame = pack(1, *ask())
        except (MailError, OSError) as error:
            frame = pack(1, failed(error))
        with open(says, "wb") as file:
            file.write(frame)
    finally:
        os._exit(0)
