"""One server for the tests of a module, or a new one for a test; see tests/live.py."""

from collections.abc import Iterator

import pytest

from live import Instance, Server, copied, place


@pytest.fixture(scope="session")
def pattern() -> Iterator[str]:
    """An instance with domain and users as it was before its first start."""
    with place() as folder:
        root = Instance.make(f"{folder}/i").root
        copied(root, f"{folder}/pattern")
        yield folder


@pytest.fixture
def instance(pattern: str) -> Iterator[Instance]:
    """A new instance, for one test that starts it as it needs it."""
    yield copied(f"{pattern}/pattern", f"{pattern}/i")


@pytest.fixture
def server(instance: Instance) -> Iterator[Server]:
    """A new instance that runs with two workers."""
    with instance.serve() as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """An instance that runs for all tests of a module; they leave it as they found it."""
    with place() as folder, Instance.make(f"{folder}/i").serve() as running:
        yield running
