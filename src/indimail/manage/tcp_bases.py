"""The data bases beside the rule files of tcp/: made where the text is newer, gone where it is gone.

    for built in build_bases(disk, "/var/indimail/tcp"):
        built.path, built.mistakes          # of each that was made, or was to be made

Source: spec/smtp.md 1.4 (qmailctl cdb).  Not here: what a rule says (`policy.tcprules`).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from indimail.control.cdb import write_cdb
from indimail.control.files import read_control
from indimail.durable.disk import Disk
from indimail.mail.errors import Mistake
from indimail.policy.tcprules import compile_rules, parse_tcp_rules

MODE: Final = 0o664
# tcp.smtp, tcp.smtp.inside would be no such file, tcp-inside.smtp is one.
_NAME: Final = re.compile(r"tcp.*\.(?:smtp|qmtp|qmqp|imap|pop3|poppass)")


@dataclass(frozen=True, slots=True)
class Built:
    """A data base that was made, or removed; with `mistakes` the old one stays."""

    path: str
    mistakes: tuple[Mistake, ...] = ()
    is_removed: bool = False


def build_bases(disk: Disk, folder: str) -> Iterator[Built]:
    """Make what is older than its text, one after the other.  Raises OSError."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        text = name.removesuffix(".cdb")
        if not _NAME.fullmatch(text):
            continue
        if name != text:
            if not os.path.exists(os.path.join(folder, text)):
                disk.unlink(path)
                yield Built(path, is_removed=True)
        elif _is_newer(path):
            yield _build(disk, path)


def _is_newer(path: str) -> bool:
    """Tell whether a text is newer than its data base, as the server will see it."""
    try:
        return os.stat(path).st_mtime_ns > os.stat(f"{path}.cdb").st_mtime_ns
    except FileNotFoundError:
        return True


def _build(disk: Disk, path: str) -> Built:
    file, mistakes = read_control(path, path)
    rules, more = parse_tcp_rules(file.lines)
    wrong = (*mistakes, *more)
    if not wrong:
        write_cdb(disk, f"{path}.cdb", compile_rules(rules), MODE)
    return Built(f"{path}.cdb", wrong)
