"""The two ways out of a queue."""

from enum import StrEnum


class Channel(StrEnum):
    """How a recipient leaves the queue."""

    LOCAL = "local"
    REMOTE = "remote"
