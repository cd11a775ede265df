"""One server for all tests of a module, on both families, with a certificate; see tests/live.py."""

import ssl
from collections.abc import Iterator

import pytest
import trustme

from live import HOST, Instance, Server, place
from server.conftest import instance, pattern  # noqa: F401  the same for this folder


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What a client needs that trusts our certificate."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[Server]:
    with place() as folder:
        made = Instance.make(f"{folder}/i")
        certify(made, authority)
        environ = {"REQUIREAUTH": "0"}  # strangers may use submissions too; test_auth.py has logins
        with made.serve("smtp=[::]:0", "submissions=[::]:0", environ=environ) as running:
            yield running


def certify(of: Instance, authority: trustme.CA) -> None:
    """Give the instance a new certificate."""
    issued = authority.issue_cert(HOST, "localhost", "127.0.0.1", "::1")
    pem = issued.private_key_and_cert_chain_pem.bytes().decode()
    of.write("certs/servercert.pem", pem)
