import pytest

from indimail.mail.errors import Misuse
from indimail.mail.reply import Reply


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply(250, "2.1.0", "ok"), b"250 2.1.0 ok\r\n"),
        (Reply(354, None, "go ahead"), b"354 go ahead\r\n"),
        (Reply(214, "2.0.0", "a", "b"), b"214-2.0.0 a\r\n214 2.0.0 b\r\n"),
        (Reply(250, None), b"250 \r\n"),
        (Reply(550, "5.1.1", "\u00fcser"), b"550 5.1.1 ?ser\r\n"),
    ],
)
def test_a_reply_goes_out_as_rfc_5321_has_it(reply, wire) -> None:
    assert reply.wire() == wire


def test_what_a_stranger_wrote_forges_no_second_line() -> None:
    reply = Reply(550, "5.1.1", "no user x\r\n250 2.0.0 ok\x00\x85\u2028")
    assert reply.wire() == b"550 5.1.1 no user x??250 2.0.0 ok???\r\n"


@pytest.mark.parametrize(
    ("code", "enhanced"), [(451, "5.3.0"), (250, "4.0.0"), (99, None), (600, None)]
)
def test_a_code_that_contradicts_the_enhanced_one_cannot_be_made(code, enhanced) -> None:
    with pytest.raises(Misuse):
        Reply(code, enhanced, "text")


def test_a_reply_is_a_value() -> None:
    assert Reply(451, "4.3.0", "x") == Reply(451, "4.3.0", "x")
    assert len({Reply(250, None, "a"), Reply(250, None, "a"), Reply(250, None, "b")}) == 2
    later = Reply(451, "4.3.0", "a", "b")
    assert (later.is_temporary, later.is_positive, str(later)) == (True, False, "451 4.3.0 a / b")
