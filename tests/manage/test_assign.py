"""users/assign and its data base (spec/delivery.md 3)."""

from pathlib import Path

import pytest

from indimail.control.cdb import read_cdb
from indimail.durable.disk import SystemDisk
from indimail.mail.errors import ConfigErrors
from indimail.manage.assign import (
    add_entry,
    build_records,
    compile_assign,
    domain_entry,
    has_domain,
    owner_of_domain,
)

ENTRY = "+example.com-:example.com:555:556:/d/example.com:-::"


def test_a_virtual_domain_is_a_wildcard_line() -> None:
    assert domain_entry("example.com", 555, 556, "/d/example.com") == ENTRY


def test_a_line_goes_before_the_dot_once(tmp_path: Path) -> None:
    disk, folder = SystemDisk(), str(tmp_path)
    (tmp_path / "assign").write_text("=root:alias:7:8:/a:-:root:\n.\n")
    assert not has_domain(disk, folder, "example.com")
    assert add_entry(disk, folder, ENTRY)
    assert not add_entry(disk, folder, ENTRY)
    assert (tmp_path / "assign").read_text() == f"=root:alias:7:8:/a:-:root:\n{ENTRY}\n.\n"
    assert has_domain(disk, folder, "example.com")
    assert not has_domain(disk, folder, "example.co")
    assert owner_of_domain(disk, folder, "example.com") == 555
    assert owner_of_domain(disk, folder, "example.org") is None


def test_a_missing_file_is_made_with_its_dot(tmp_path: Path) -> None:
    add_entry(SystemDisk(), str(tmp_path), ENTRY)
    assert (tmp_path / "assign").read_text() == f"{ENTRY}\n.\n"


def test_the_records_of_the_data_base() -> None:
    text = f"=Root:alias:7:8:/a:-:root:\n{ENTRY}\n+:alias:7:8:/a:-::\n.\nnot read\n"
    assert build_records(text.encode()) == [
        (b"!root\0", b"alias\x007\x008\0/a\0-\0root\0"),
        (b"!example.com-", b"example.com\x00555\x00556\0/d/example.com\0-\0\0"),
        (b"!", b"alias\x007\x008\0/a\0-\0\0"),
        (b"", b"-"),
    ]


@pytest.mark.parametrize("text", [
    b"", b"=a:b:1:2:/h:-:e:\n", b"=a:b:1:2:/h:-\n.\n", b"=:b:1:2:/h:-:e:\n.\n",
    b"=a:b:1\0:2:/h:-:e:\n.\n", b"a:b:1:2:/h:-:e:\n.\n",
])  # fmt: skip
def test_what_qmail_newu_refuses_is_refused(text: bytes) -> None:
    with pytest.raises(ConfigErrors):
        build_records(text)


def test_a_wrong_line_leaves_the_old_data_base(tmp_path: Path) -> None:
    disk, folder = SystemDisk(), str(tmp_path)
    add_entry(disk, folder, ENTRY)
    compile_assign(disk, folder)
    (tmp_path / "assign").write_text("broken\n.\n")
    with pytest.raises(ConfigErrors, match="users/assign:1"):
        compile_assign(disk, folder)
    base = read_cdb(str(tmp_path / "cdb"), "users/cdb")
    assert base.get(b"!example.com-") is not None
