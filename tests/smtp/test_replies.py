import pytest

from indimail.mail.reply import Reply
from indimail.smtp.replies import not_recognized, text_reply


@pytest.mark.parametrize(
    ("code", "text", "enhanced"),
    [
        (503, "MAIL first (#5.5.1)", "5.5.1"),
        (553, "sorry, without authentication #5.7.1", "5.7.1"),
        (421, "contradicts (#5.7.1)", "4.7.1"),
        (250, "names none", "2.0.0"),
        (550, "version 1.2.3 is no code", "5.0.0"),
    ],
)
def test_the_code_in_front_is_the_texts_with_the_class_of_the_reply(code, text, enhanced):
    assert text_reply(code, text) == Reply(code, enhanced, text)


def test_an_echoed_command_is_short_and_ascii():
    reply = not_recognized(b"F\xff" + b"o" * 2000, b"\x00" * 2000)
    assert reply.text.startswith("command F?OOO")
    assert len(reply.wire()) < 512
    assert reply.wire().isascii()
