"""Becoming another user, for good.

    become(1001, 1001)      # after it, root is out of reach

Source: DESIGN 5; setresuid(2), initgroups(3).
"""

import os
import pwd
import signal


def become(uid: int, gid: int) -> None:
    """Drop root, if we are; files that are made from here on are their owner's alone."""
    if os.geteuid() == 0:
        try:
            os.initgroups(pwd.getpwuid(uid).pw_name, gid)
        except KeyError:
            os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    os.umask(0o077)  # SQLite makes its files by it, and mail is its owner's alone
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
