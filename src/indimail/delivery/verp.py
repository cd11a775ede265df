"""Variable envelope return paths: a sender that names the recipient whose copy it is.

    expanded("list-@example.com-@[]", "bob@example.org")  -> "list-bob=example.org@example.com"
    reduced("list-@example.com-@[]")                      -> "list-@example.com"

Source: spec/queue.md 4.2, 4.4 (``box-@host-@[]``).
"""

from typing import Final

MARK: Final = "-@[]"  # ends a reverse-path that is to be expanded for each recipient


def expanded(sender: str, recipient: str) -> str:
    """Return the sender of one recipient's copy; any other sender as it is."""
    if not sender.endswith(MARK):
        return sender
    box, at, host = sender.removesuffix(MARK).rpartition("@")
    if not at:
        return sender
    local, at, domain = recipient.rpartition("@")
    return f"{box}{local}={domain}@{host}" if at else f"{box}{recipient}@{host}"


def reduced(sender: str) -> str:
    """Return the address that a report about all recipients goes to."""
    return sender.removesuffix(MARK)
