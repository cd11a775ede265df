import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.errors import CopyGone, MailboxFull, Temporary
from indimail.serve.errand import Errand, failed, failure, pack, unpack
from indimail.serve.home import HomeMissing
from indimail.wire.frames import BrokenFrame

HEAD = 4


def test_what_is_packed_is_unpacked() -> None:
    fields = {"op": "store", "name": "a\udcff", "age": 1.5, "more": True, "list": [["x", None]]}
    frame = pack(7, fields, b"\0octets")
    assert unpack(frame[HEAD:]) == Errand(7, fields, b"\0octets")


@pytest.mark.parametrize("kind", [Temporary, MailboxFull, CopyGone, HomeMissing])
def test_a_failure_keeps_its_kind_and_text(kind: type[Exception]) -> None:
    found = failure(Errand(1, failed(kind("why"))))
    assert type(found) is kind
    assert str(found) == "why"


def test_an_unknown_failure_is_temporary() -> None:
    assert type(failure(Errand(1, failed(OSError(5, "Input/output error"))))) is Temporary
    assert type(failure(Errand(1, {"failure": "Misuse", "text": "x"}))) is Temporary
    assert failure(Errand(1, {})) is None


@pytest.mark.parametrize(
    "fields", [{"text": 1}, {"failure": []}, {"failure": "Temporary", "text": 3}]
)
def test_a_field_of_another_kind_is_no_answer(fields: dict[str, object]) -> None:
    errand = Errand(1, fields)
    with pytest.raises(BrokenFrame):
        errand.text("text") and failure(errand)
        failure(errand)


@given(st.binary())
def test_any_octets_are_an_errand_or_a_broken_frame(frame: bytes) -> None:
    try:
        errand = unpack(frame)
    except BrokenFrame:
        return
    assert isinstance(errand.fields, dict)
