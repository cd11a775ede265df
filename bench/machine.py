"""What the figures were taken on: processor, kernel, versions, and what the disk alone can do.

describe(folder)  -> {"processor": ..., "file_and_sync_per_second": 4100.0, ...}
"""

import os
import platform
import subprocess
import time

from bench.postfix import version

PROBES = 300


def describe(folder: str) -> dict[str, str | int | float]:
    """Return a table's worth of facts; `folder` is on the disk that is measured."""
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory_mib": int(_first("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": platform.release(),
        "file_system": _file_system(folder),
        "python": platform.python_version(),
        "postfix": version(),
        "append_and_sync_per_second": _appends(folder),
        "file_and_sync_per_second": _files(folder),
    }


def _first(path: str, key: str) -> str:
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def _file_system(folder: str) -> str:
    command = ["stat", "-f", "-c", "%T", folder]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _appends(folder: str) -> float:
    """Return how often a second 4 KiB can be appended to a file and synced."""
    path = os.path.join(folder, "probe")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    begun = time.monotonic()
    for _ in range(PROBES):
        os.write(fd, bytes(4096))
        os.fdatasync(fd)
    seconds = time.monotonic() - begun
    os.close(fd)
    os.unlink(path)
    return PROBES / seconds


def _files(folder: str) -> float:
    """Return how many new files a second can be written and synced, one after the other."""
    begun = time.monotonic()
    for number in range(PROBES):
        fd = os.open(os.path.join(folder, f"probe-{number}"), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, bytes(1024))
        os.fsync(fd)
        os.close(fd)
    seconds = time.monotonic() - begun
    for number in range(PROBES):
        os.unlink(os.path.join(folder, f"probe-{number}"))
    return PROBES / seconds
