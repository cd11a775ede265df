"""How far connections to other hosts are protected: what the files in certs/ say."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme

from indimail.mail.errors import ConfigErrors
from indimail.serve.peertls import PeerTls
from indimail.smtp.hop import Tls

HOST = "mx.example.net"


@pytest.mark.parametrize(
    ("files", "no_tls", "tls", "rule"),
    [
        ([], [], Tls.OFFERED, ""),
        ([], [HOST], Tls.NEVER, f"control/notlshosts[{HOST}]"),
        ([f"notlshosts/{HOST}"], [], Tls.NEVER, f"certs/notlshosts/{HOST}"),
        (["notlshosts/other.example"], ["other.example"], Tls.OFFERED, ""),
        ([f"tlshosts/{HOST}.pem"], [], Tls.VERIFIED, f"certs/tlshosts/{HOST}.pem"),
        ([f"tlshosts/{HOST}.pem"], [HOST], Tls.VERIFIED, f"certs/tlshosts/{HOST}.pem"),
        (["tlshosts/other.example.pem"], [], Tls.OFFERED, ""),
        (["tlshosts/exhaustivelist"], [], Tls.NEVER, "certs/tlshosts/exhaustivelist"),
        ([f"tlshosts/{HOST}.pem", "tlshosts/exhaustivelist"], [], Tls.VERIFIED,
         f"certs/tlshosts/{HOST}.pem"),
    ],
)  # fmt: skip
def test_what_the_files_say(
    tmp_path: Path, files: Sequence[str], no_tls: Sequence[str], tls: Tls, rule: str
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(trustme.CA().cert_pem.bytes())
    found = PeerTls(str(tmp_path)).rule(HOST, frozenset(no_tls))
    assert (found.tls, str(found.rule)) == (tls, rule)


def test_a_rule_is_the_same_as_long_as_its_files_are(tmp_path: Path) -> None:
    rules = PeerTls(str(tmp_path))
    path = tmp_path / f"tlshosts/{HOST}.pem"
    path.parent.mkdir()
    found = [rules.rule(HOST, ())]
    for _ in range(2):
        path.write_bytes(trustme.CA().cert_pem.bytes())
        found += [rules.rule(HOST, ()), rules.rule(HOST, ())]
    assert found[1] == found[2] != found[3] == found[4]
    assert found[0] not in found[1:]


@pytest.mark.parametrize("name", [f"tlshosts/{HOST}.pem", "clientcert.pem"])
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "tlshosts").mkdir()
    (tmp_path / name).write_text("no certificate")
    with pytest.raises(ConfigErrors, match=f"^certs/{name}: "):
        PeerTls(str(tmp_path)).rule(HOST, ())


def test_a_host_that_is_no_name_of_a_file_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    (tmp_path / "tlshosts").mkdir()
    assert PeerTls(str(tmp_path)).rule("../x", ()).tls is Tls.OFFERED
