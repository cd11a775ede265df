"""Run a command as its program would, in this process."""

import io
from dataclasses import dataclass
from importlib import import_module

import pytest

from indimail.cli.main import Parser


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs commands on one instance."""

    def __init__(self, root: str, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch):
        self.root = root
        self._capture = capture
        self._patch = patch

    def __call__(self, name: str, *arguments: str, stdin: str | bytes = "") -> Ran:
        module = import_module(f"indimail.cli.{name}")
        parser = Parser(prog=name)
        module.add_arguments(parser)
        octets = stdin.encode() if isinstance(stdin, str) else stdin
        self._patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(octets)))
        self._capture.readouterr()
        try:
            code = module.run(parser.parse_args([*arguments, "--root", self.root]))
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
        printed = self._capture.readouterr()
        return Ran(code, printed.out, printed.err)
