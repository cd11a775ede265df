"""Where a home lies: BASE_PATH / group / domain / [bucket /] user.

    group("alice")             -> 'A2E'
    next_bucket("z")           -> '0/0'
    home("/mail", "alice", "example.com", "")  -> '/mail/A2E/example.com/alice'

Sources: spec/delivery.md 1.2, spec/cluster-users.md 6.2.  Not here: the counters
(`accounts.port`), making the directories (`manage.layout`).
"""

from typing import Final

GROUPS: Final = ("A2E", "F2K", "L2P", "Q2S", "T2Zsym")
USERS_PER_LEVEL: Final = 100

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LEVELS: Final = 3
_GROUP_OF: Final = {
    letter: group
    for group, letters in zip(GROUPS, ("abcde", "fghijk", "lmnop", "qrs"), strict=False)
    for letter in letters
}


def group(name: str) -> str:
    """Return the group of a user name; what does not begin with a letter a to s is T2Zsym."""
    return _GROUP_OF.get(name[:1].lower(), "T2Zsym")


def next_bucket(bucket: str) -> str:
    """Return the bucket after this one; the last of the third level is used for ever."""
    digits = bucket.split("/") if bucket else []
    for place in reversed(range(len(digits))):
        at = ALPHABET.index(digits[place]) + 1
        if at < len(ALPHABET):
            return "/".join([*digits[:place], ALPHABET[at], *"0" * (len(digits) - place - 1)])
    return "/".join("0" * (len(digits) + 1)) if len(digits) < _LEVELS else bucket


def bucket_after(count: int, bucket: str, users_per_level: int) -> str:
    """Return the bucket of the user that made `count` users of a group, given the last bucket."""
    return bucket if count % max(users_per_level, 1) else next_bucket(bucket)


def home(base: str, name: str, domain: str, bucket: str) -> str:
    """Return the home of a user."""
    return "/".join(filter(None, (base, group(name), domain, bucket, name)))


def counter_table(filesystem: str, group_name: str) -> str:
    """Return the name of the counter table: ``dir_control_home_A2E``, ``dir_controlroot_T2Z``.

    The file system is the mount point with ``/`` as ``_``, or ``root``.
    """
    prefix = filesystem.rstrip("/").replace("/", "_") or "root"
    return f"dir_control{prefix}_{group_name[:3]}"
