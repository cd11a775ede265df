"""What a server costs: CPU seconds and memory of its whole process tree.

    clock = CpuClock(); Popen([*clock.wrapper(), *command]); clock.seconds(pid)
    memory(pid)     # PSS, octets

CPU time is read from a control group of the server's own where one can be made (cgroup2, as
root): it counts every process that ever lived in it.  Elsewhere it is the sum over /proc of the
living tree with the children each has waited for.  PSS shares common pages among those who map
them, so that forked workers are not counted double (smaps_rollup).
"""

import contextlib
import os
import signal
import tempfile
import time

_TICKS = os.sysconf("SC_CLK_TCK")


class CpuClock:
    """The CPU time of one process tree."""

    def __init__(self) -> None:
        """Start without a control group: `wrapper` makes one."""
        self._group = ""

    @property
    def source(self) -> str:
        return "cgroup2" if self._group else "/proc"

    def wrapper(self) -> list[str]:
        """Return the words in front of a command that put it into a new group as it starts."""
        root = _cgroup2()
        if root and not self._group:
            with contextlib.suppress(OSError):
                self._group = tempfile.mkdtemp(prefix="indimail-bench-", dir=root)
        if not self._group:
            return []
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self._group]

    def seconds(self, pid: int) -> float:
        """Return the CPU time of everything that was started so far."""
        if not self._group:
            return _tree_seconds(pid)
        with open(os.path.join(self._group, "cpu.stat"), encoding="ascii") as lines:
            fields = dict(line.split() for line in lines)
        return int(fields["usage_usec"]) / 1e6

    def close(self) -> None:
        """Remove the group; whoever is still in it after two seconds was left behind, and ends."""
        for attempt in range(200):
            try:
                if self._group:
                    os.rmdir(self._group)
                break
            except OSError:
                time.sleep(0.02)
                if attempt == 100:
                    self._end_members()
        self._group = ""

    def _end_members(self) -> None:
        """Kill what this clock's command started and left."""
        with open(os.path.join(self._group, "cgroup.procs"), encoding="ascii") as lines:
            for line in lines:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(line), signal.SIGKILL)


def _cgroup2() -> str:
    """Return where the unified control groups are mounted, or nothing."""
    with open("/proc/mounts", encoding="utf-8") as lines:
        for line in lines:
            _, folder, kind, *_ = line.split()
            if kind == "cgroup2" and os.access(folder, os.W_OK):
                return folder
    return ""


def tree(pid: int) -> list[int]:
    """Return a process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def _stat(pid: int) -> list[str]:
    """Return /proc/PID/stat from the state on (proc(5) field 3); nothing where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _tree_seconds(pid: int) -> float:
    ticks = 0
    for member in tree(pid):
        fields = _stat(member)
        ticks += sum(map(int, fields[11:15]))  # utime stime cutime cstime
    return ticks / _TICKS


def memory(pid: int) -> int:
    """Return the tree's proportional set size in octets."""
    total = 0
    for member in tree(pid):
        with contextlib.suppress(OSError), open(f"/proc/{member}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    total += int(line.split()[1]) * 1024
                    break
    return total
