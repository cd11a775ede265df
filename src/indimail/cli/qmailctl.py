"""`qmailctl cdb|reload|flush|queue|stat|stop`: what an operator asks of a server, in a word.

    qmailctl cdb         building /var/indimail/tcp/tcp.smtp.cdb: OK
    qmailctl reload      the configuration is read again, as each change is anyway
    qmailctl flush       all mail that waits is tried now
    qmailctl queue       how many mails wait, and each of them
    qmailctl stat        who runs, and how many connections there are
    qmailctl stop        the server ends; running conversations have their time

`cdb` makes the data base of a rule file in tcp/ only where the text is newer, and removes one without a
text.  A server reads the text too: `cdb` is for other programs, and for who is used to it.

Exit codes: 0 done; 1 a file was not built, or the server did not do it; 66 no instance; 77 not allowed.

Source: spec/smtp.md 1.4; qmailctl of IndiMail.  Not here: starting (`indimail serve`, systemd).
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

from indimail.app.instance import find_root, missing, open_instance
from indimail.cli.root import add_root

PROGRAM: Final = "qmailctl"
FAILED: Final = 1
ENDS: Final = 45.0  # seconds: a conversation has 30 to end, and commits follow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=sorted(ACTIONS), help="what is to be done")
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    root = find_root(args.root, os.environ)
    if nothing := missing(root):
        return _failed(nothing, os.EX_NOINPUT)
    return ACTIONS[args.action](root)


def _cdb(root: str) -> int:
    from indimail.cli.site import attempt  # noqa: PLC0415 - slow to import

    return attempt(PROGRAM, lambda: _build(root), sysexits=True)


def _build(root: str) -> int:
    from indimail.cli.site import find_site, server_of  # noqa: PLC0415
    from indimail.durable.disk import SystemDisk  # noqa: PLC0415
    from indimail.manage.notify import ControlsChanged  # noqa: PLC0415
    from indimail.manage.site import acting_as  # noqa: PLC0415
    from indimail.manage.tcp_bases import build_bases  # noqa: PLC0415

    site, _ = find_site(root)
    code = os.EX_OK
    with acting_as(site.uid, site.gid):
        for built in build_bases(SystemDisk(), site.places.tcp_dir):
            if built.is_removed:
                print(f"removing {built.path}: no {os.path.basename(built.path)[:-4]}")
                continue
            print(f"building {built.path}: {'FAILED' if built.mistakes else 'OK'}")
            for mistake in built.mistakes:
                print(mistake, file=sys.stderr)
                code = FAILED
        server_of(PROGRAM, site)(ControlsChanged())
    return code


def _reload(root: str) -> int:
    answer = _asked(root, "reload")
    if isinstance(answer, int):
        return answer
    if answer.get("ok") is True:
        print("configuration read")
        return os.EX_OK
    return _failed(
        "the configuration has mistakes (indimail check-config); the old one stays", FAILED
    )


def _flush(root: str) -> int:
    answer = _asked(root, "flush")
    if isinstance(answer, int):
        return answer
    print("all mail that waits is tried now")
    return os.EX_OK


def _queue(root: str) -> int:
    from indimail.cli import qmail_qread, qmail_qstat  # noqa: PLC0415 - slow to import

    for module in (qmail_qstat, qmail_qread):
        parser = argparse.ArgumentParser(prog=PROGRAM)
        module.add_arguments(parser)
        if code := int(module.run(parser.parse_args(["--root", root]))):
            return code
    return os.EX_OK


def _stat(root: str) -> int:
    answer = _asked(root, "status")
    if isinstance(answer, int):
        return answer
    instance = open_instance(root, os.environ)
    print(
        f"server: up (pid {_pid(instance.run) or 'unknown'}), {answer['connections']} connections"
    )
    workers = answer["workers"]
    for number, pid in sorted(workers.items()) if isinstance(workers, dict) else ():
        print(f"worker {number}: up (pid {pid})")
    for name, (host, port) in sorted(_listeners(instance.run).items()):
        print(f"listener {name}: {host} port {port}")
    return os.EX_OK


def _stop(root: str) -> int:
    instance = open_instance(root, os.environ)
    answer = _asked(root, "status")  # somebody answers there: the pid is not of another program
    if isinstance(answer, int):
        return answer
    pid = _pid(instance.run)
    if not pid:
        return _failed(f"{instance.run}/serve.pid: no number in it", FAILED)
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + ENDS
    while os.path.exists(os.path.join(instance.run, "serve.pid")):
        if time.monotonic() > end:
            return _failed(f"the server (pid {pid}) does not end", FAILED)
        time.sleep(0.05)
    print("stopped")
    return os.EX_OK


def _asked(root: str, question: str) -> dict[str, object] | int:
    from indimail.cli.qmail_tcpto import NOBODY, asked  # noqa: PLC0415 - slow to import

    answer = asked(PROGRAM, root, question)
    return FAILED if answer == NOBODY else answer


def _pid(run: str) -> int:
    try:
        with open(os.path.join(run, "serve.pid"), encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _listeners(run: str) -> dict[str, tuple[str, int]]:
    try:
        with open(os.path.join(run, "listeners.json"), encoding="ascii") as file:
            return {name: (str(host), int(port)) for name, (host, port) in json.load(file).items()}
    except (OSError, ValueError):
        return {}


def _failed(reason: str, code: int) -> int:
    print(f"{PROGRAM}: {reason}", file=sys.stderr)
    return code


ACTIONS: Final[dict[str, Callable[[str], int]]] = {
    "cdb": _cdb,
    "flush": _flush,
    "queue": _queue,
    "reload": _reload,
    "stat": _stat,
    "stop": _stop,
}
