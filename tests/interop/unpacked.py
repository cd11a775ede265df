"""Debian packages that exclude those of this machine, unpacked for tests alone.

    with Unpacked(folder, ("exim4-base", "exim4-daemon-light"), users=("Debian-exim",)) as room:
        room.command("/usr/sbin/exim4", "-bdf")     # to be started: it runs in there

Each `Unpacked` is this machine's file system with the packages laid over it, in a mount and process
namespace of its own, as root: nothing of it is seen outside, and it is gone with its process.  The
one place shared with the tests is `folder`.  No script of a package runs.  Their files are downloaded
once, into ``var/debian``.

Source: unshare(1), mount(8) (overlay), apt-get(8), dpkg-deb(1).
"""

import fcntl
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from support import needs_root

CACHE = Path(__file__).resolve().parent.parent.parent / "var" / "debian"

# The users are made in the overlay; dpkg's links of /lib and /bin have to stay.  The shell stays, too:
# it is killed with `unshare`, which a setuid program like Exim would not be, and all others with it.
ENTER = """
set -e
mkdir -p "$1/over"
mount -t tmpfs over "$1/over"
mkdir "$1/over/new" "$1/over/work" "$1/over/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/over/new,workdir=$1/over/work" overlay "$1/over/root"
for file in $2; do
    dpkg-deb --fsys-tarfile "$file" | tar -x --keep-directory-symlink -C "$1/over/root"
done
for user in $3; do
    useradd --root "$1/over/root" --system --no-create-home --shell /usr/sbin/nologin "$user"
done
mkdir -p "$1/over/root$1"
mount --bind "$1" "$1/over/root$1"
mount --rbind /dev "$1/over/root/dev"
mount -t proc proc "$1/over/root/proc"
root="$1/over/root"
shift 3
chroot "$root" "$@" || exit
"""


class Unpacked:
    """A place in which some packages are installed."""

    def __init__(self, folder: str, packages: Sequence[str], users: Sequence[str]) -> None:
        """`folder` is an existing directory; skips the test where the packages cannot be had."""
        needs_root()
        self._folder = folder
        self._files = [str(_file_of(package)) for package in packages]
        self._users = users

    def command(self, *command: str) -> list[str]:
        """Return what runs a command in there; all that it started is killed with it."""
        return [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--",
            "sh", "-c", ENTER, "enter", self._folder, " ".join(self._files),
            " ".join(self._users), *command,
        ]  # fmt: skip


def _file_of(package: str) -> Path:
    """Return a package's file, downloaded where it is not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        for refresh in (False, True):
            if found := sorted(CACHE.glob(f"{package}_*.deb")):
                return found[-1]
            if refresh:
                _apt("update", "-q")
            _apt("download", "-q", package)
    if found := sorted(CACHE.glob(f"{package}_*.deb")):
        return found[-1]
    pytest.skip(f"apt-get download {package}: failed in {CACHE}")


def _apt(*arguments: str) -> None:
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", *arguments], cwd=CACHE, env=environ, capture_output=True,
                   check=False)  # fmt: skip
