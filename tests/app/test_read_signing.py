"""The files of SRS and BATV, from the control directory to what they lead to."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from indimail.app.configuration import load
from indimail.app.instance import Instance
from indimail.mail.address import Address
from indimail.mail.errors import ConfigErrors
from indimail.mail.verdict import Rule
from indimail.policy.signing import Signing, signed

EVE, ANA = Address("eve", "example.net"), Address("ana", "example.com")
NOW = 1_577_836_860.0


def loaded(
    root: Path, files: Mapping[str, str], environ: Mapping[str, str] | None = None
) -> Signing:
    for name, content in {"me": "mx.example.com\n", "rcpthosts": "example.com\n", **files}.items():
        (root / "control").mkdir(exist_ok=True)
        (root / "control" / name).write_text(content)
    snapshot = load(Instance(str(root)), environ or {})
    found: Signing = pickle.loads(pickle.dumps(snapshot.signing))
    assert snapshot.remote.signing == snapshot.signing
    return found


def test_without_files_nothing_is_marked(tmp_path: Path) -> None:
    assert not loaded(tmp_path, {})
    assert not loaded(tmp_path, {"srs_secrets": "x\n", "batvnosignlocals": "example.com\n"})


def test_rewritten_senders_follow_the_files(tmp_path: Path) -> None:
    files = {"srs_domain": "# ours\nSRS.example.com\n", "srs_secrets": "tops3cr3t\nolder\n"}
    srs = loaded(tmp_path, files).srs
    assert srs is not None
    assert (srs.domain, srs.rule) == ("srs.example.com", Rule("control/srs_domain", 2))
    assert (srs.max_age, srs.hash_length, srs.hash_min, srs.always) == (7, 4, 4, False)
    assert srs.rewritten(EVE, NOW).local.startswith("SRS0=")
    assert "tops3cr3t" not in repr(srs)
    more = {
        "srs_maxage": "21\n", "srs_hashlength": "6\n", "srs_hashmin": "5\n",
        "srs_separator": "+\n", "srs_alwaysrewrite": "1\n",
    }  # fmt: skip
    srs = loaded(tmp_path, files | more).srs
    assert srs is not None
    assert (srs.max_age, srs.hash_length, srs.hash_min, srs.always) == (21, 6, 5, True)
    assert srs.rewritten(EVE, NOW).local.startswith("SRS0+")


def test_a_variable_names_another_file(tmp_path: Path) -> None:
    files = {"srs_domain": "srs.example.com\n", "other": "srs.example.org\n", "srs_secrets": "x\n"}
    srs = loaded(tmp_path, files, {"SRS_DOMAIN": "other"}).srs
    assert srs is not None
    assert (srs.domain, srs.rule) == ("srs.example.org", Rule("control/other", 1))
    assert loaded(tmp_path, files, {"SRS_DOMAIN": ""}).srs != srs
    assert loaded(tmp_path, files, {"SRS_DOMAIN": "missing"}).srs is None


def test_it_holds_for_the_server_and_not_for_a_client(tmp_path: Path) -> None:
    (tmp_path / "tcp").mkdir()
    (tmp_path / "tcp" / "tcp.smtp").write_text('192.0.2.1:allow,SRS_MAXAGE="other"\n')
    loaded(tmp_path, {"srs_domain": "srs.example.com\n", "srs_secrets": "x\n"})
    notices = load(Instance(str(tmp_path)), {}).notices
    assert "tcp/tcp.smtp:1: SRS_MAXAGE: has no effect for some clients only" in notices


def test_signatures_follow_the_files(tmp_path: Path) -> None:
    files = {"batvkey": "key\n", "rcpthosts": "example.com\nquiet.example\n"}
    lists = {"batvnosignlocals": "quiet.example\n", "batvnosignremote": ".list.example\n"}
    signing = loaded(tmp_path, files | lists)
    assert signing.batv is not None
    assert (signing.batv.rule, signing.batv.stale) == (Rule("control/batvkey", 1), 7)
    assert signed(ANA, EVE, signing, NOW) != ANA
    for sender, recipient in [
        (EVE, ANA), (Address("ana", "quiet.example"), EVE), (ANA, Address("x", "a.list.example")),
    ]:  # fmt: skip
        assert signed(sender, recipient, signing, NOW) == sender
    assert "key=***" in repr(signing.batv)
    for more, environ in (({"batvkeystale": "3\n"}, {}), ({}, {"BATVKEYSTALE": "3"})):
        late = loaded(tmp_path, files | more, environ).batv
        assert late is not None
        assert late.stale == 3


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"srs_domain": "srs.example.com\n"},
         "control/srs_secrets: found none, expected a secret, as srs_domain is set"),
        ({"srs_domain": "srs example\n", "srs_secrets": "x\n"},
         "control/srs_domain:1: found 'srs example', expected a host name"),
        ({"srs_domain": "srs.example.com\n", "srs_secrets": "x\n", "srs_hashmin": "6\n"},
         "control/srs_hashmin:1: found 6, expected no more than the 4 of srs_hashlength"),
        ({"srs_hashlength": "3\n"},
         "control/srs_hashlength:1: found '3', expected a whole number from 4 to 27 (characters)"),
        ({"srs_separator": "==\n"}, "control/srs_separator:1: found '==', expected one of = + -"),
        ({"batvkeystale": "1000\n"},
         "control/batvkeystale:1: found '1000', expected a whole number from 0 to 999 (days)"),
        ({"batvkey": "key\n", "batvnosignremote": "a@b\n"},
         "control/batvnosignremote:1: found 'a@b', expected a domain, or .domain for its"
         " sub-domains"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_them_is_told(tmp_path: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, files)
    assert [str(mistake) for mistake in raised.value.mistakes] == [told]
