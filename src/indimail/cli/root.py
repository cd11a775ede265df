"""The option that every command of an instance has."""

import argparse

from indimail.app.instance import DEFAULT_ROOT


def add_root(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Declare --root."""
    parser.add_argument(
        "--root",
        metavar="DIR",
        default=default,
        help=f"the instance (INDIMAIL_ROOT, {DEFAULT_ROOT})",
    )
