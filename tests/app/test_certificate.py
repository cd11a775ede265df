"""The certificates in force: seen at the next handshake, and kept where new ones cannot be used."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from indimail.app import certificate
from indimail.app.certificate import Certificate
from serve.desk import snapshot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "servercert.pem"
    trustme.CA().issue_cert("mx.example.com").private_key_and_cert_chain_pem.write_to_path(file)
    return file


def renew(path: Path, content: bytes) -> None:
    changed = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(changed, changed + 1))


def test_what_cannot_be_used_leaves_the_old_one_in_force_and_is_said_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = replace(snapshot().process, certificate=str(path))
    found = Certificate(lambda: process, os.path.basename)
    first = found.context()
    assert first is not None
    assert found.context() is first
    renew(path, b"nonsense")
    assert found.context() is first
    assert found.context() is first
    (said,) = caplog.messages
    assert said.startswith("certificate not changed: servercert.pem: found no certificate in it")


def test_who_may_not_read_the_library_for_client_certificates_goes_on_without(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = replace(snapshot().process, certificate=str(path))
    found = Certificate(lambda: process, os.path.basename)
    first = found.context()

    def unreadable(*_: object) -> None:
        raise ImportError("No module named 'OpenSSL'")

    process = replace(process, client_authorities=str(path))
    monkeypatch.setattr(certificate, "load_certificates", unreadable)
    assert found.context() is first
    assert caplog.messages == [
        "clients are asked for certificates from the next start on: No module named 'OpenSSL'"
    ]
