"""Conversations as files: play the client's lines, write down what really happened.

    converse(SmtpConversation, script, read_size=7) == script

A script holds, a line each:

| line        | meaning                                                                   |
|-------------|---------------------------------------------------------------------------|
| ``# ...``   | a comment, usually the claim's source                                     |
| ``@ ...``   | how the server is set up, and what its policy answers                     |
| ``C: text`` | the client sends the text and CRLF; lines in a row are one pipelined batch |
| ``C> text`` | the client sends just this, with escapes (``\\r \\n \\0 \\xff``)               |
| ``D: word`` | something happens to the server: eof, timeout, shutdown, tls              |
| other       | what the server did: ``S:`` said, and the notes of its conversation class |

Where a client is under test (`plays` is ``S``), it is the server's lines that are sent.
`converse` returns the script as it went, so that a failure is a diff of two conversations.
"""

import codecs
from collections.abc import Callable, Sequence
from typing import Protocol


class Conversation(Protocol):
    """One connection to a server under test; lines that come back are as in the script."""

    def start(self) -> list[str]:
        """The client connected."""

    def send(self, data: bytes) -> list[str]:
        """The client's octets came, in one read."""

    def happen(self, word: str) -> list[str]:
        """A ``D:`` line."""


def converse(
    connect: Callable[[Sequence[str]], Conversation],
    script: str,
    read_size: int = 1 << 20,
    plays: str = "C",
) -> str:
    """Play a script and return it as it went; `connect` gets the ``@`` lines."""
    lines = script.splitlines()
    conversation = connect([line[1:].strip() for line in lines if line.startswith("@")])
    went: list[str] = []
    batch = b""
    waiting: list[str] | None = None  # what the server did that has not been written down

    def flush() -> None:
        nonlocal batch, waiting
        if waiting is None:
            return
        for at in range(0, len(batch), read_size):
            waiting += conversation.send(batch[at : at + read_size])
        went.extend(waiting)
        batch, waiting = b"", []

    for line in lines:
        kind = line[:2]
        if kind in {f"{plays}:", f"{plays}>"}:
            if waiting is None:
                waiting = conversation.start()
            if not batch:
                flush()
            went.append(line)
            batch += octets(line)
        elif kind == "D:":
            if waiting is None:
                waiting = conversation.start()
            flush()
            went.append(line)
            waiting = conversation.happen(line[2:].strip())
        elif kind[:1] in {"#", "@", ""}:
            flush()
            went.append(line)
        else:
            if waiting is None:
                waiting = conversation.start()
            flush()
    if waiting is None:
        waiting = conversation.start()
    flush()
    return "\n".join(went) + "\n"


def octets(line: str) -> bytes:
    """Return what a ``C:`` or ``C>`` line sends (``S:``, ``S>``)."""
    text = line[3:].encode()
    if line[1] == ":":
        return text + b"\r\n"
    return codecs.escape_decode(text)[0]


def shown(data: bytes) -> str:
    """Return octets as one printable line."""
    return repr(data)[2:-1]
