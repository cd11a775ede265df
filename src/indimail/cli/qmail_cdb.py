"""`qmail-cdb`: compile a control file into its data base.

    qmail-cdb relaymailfrom       # control/relaymailfrom.cdb
    qmail-cdb -m morercpthosts    # and move the text away, to morercpthosts.bak

Keys are the lines, in lower case.  Nothing here needs a data base: texts are read.  Where both are there,
the newer one counts, but for relaymailfrom: of it both do, the data base first.

Exit codes: 0 done; 66 no such file; 78 a line that is no text; 77 not allowed.

Source: spec/smtp.md 3.6, 3.8.  Not here: tcp.smtp (`tcprules`, `qmailctl cdb`).
"""

import argparse
import os
from typing import Final

from indimail.cli.site import Failed, add_root, attempt, find_site, server_of
from indimail.control.cdb import write_cdb
from indimail.control.files import ControlFolder
from indimail.durable.disk import SystemDisk
from indimail.manage.notify import ControlsChanged
from indimail.manage.site import acting_as

PROGRAM: Final = "qmail-cdb"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-m", dest="move", action="store_true", help="move the text to NAME.bak")
    parser.add_argument("name", help="a control file that may also be a data base")
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Compile it."""
    return attempt(PROGRAM, lambda: _run(args), sysexits=True)


def _run(args: argparse.Namespace) -> int:
    name = args.name
    if "/" in name or name.startswith(".") or not name:
        raise Failed(f"{name}: expected the name of a control file", os.EX_USAGE)
    site, _ = find_site(args.root)
    disk = SystemDisk()
    with acting_as(site.uid, site.gid):
        controls = ControlFolder(site.places.control_dir, "control")
        file = controls[name]
        if not file.exists and not controls.mistakes:
            raise Failed(f"{file.name}: no such file", os.EX_NOINPUT)
        if controls.mistakes:
            raise Failed("\n".join(map(str, controls.mistakes)), os.EX_CONFIG)
        path = controls.locate(name)
        keys = dict.fromkeys(line.text.strip().lower().encode() for line in file.lines)
        write_cdb(disk, f"{path}.cdb", [(key, b"") for key in keys])
        if args.move:
            disk.rename(path, f"{path}.bak")
        server_of(PROGRAM, site)(ControlsChanged())
    return os.EX_OK
