"""The Received line of reception, as spec/smtp.md 12 has it."""

import pytest

from indimail.smtp.received import Origin, protocol_word, received_line

DATE = "Mon, 23 Nov 2026 23:15:00 +0000"
STRANGER = Origin("", "192.0.2.7", "laptop", "", "mx.example.com", "ESMTP")


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (STRANGER, "smtpd 7 (HELO laptop) (192.0.2.7)\n  by mx.example.com with ESMTP"),
        (
            Origin("mx.example.net", "192.0.2.7", "MX.example.net", "", "mx", "ESMTP"),
            "smtpd 7 from mx.example.net (192.0.2.7)\n  by mx with ESMTP",
        ),
        (
            Origin("pc", "::1", "", "ana", "mx", "ESMTPSA", tls="TLSv1.3 AES bits=256"),
            "smtpd 7 from pc (ana@::1)\n  by mx with ESMTPSA (TLSv1.3 AES bits=256)",
        ),
    ],
)
def test_the_line_of_a_client(origin: Origin, line: str):
    assert received_line(7, origin, DATE) == f"Received: indimail-mta {line}; {DATE}\n".encode()


def test_a_hidden_host():
    hidden = Origin("pc", "::1", "laptop", "ana", "mx", "ESMTP", hide_host=True)
    assert received_line(7, hidden, DATE) == (
        f"Received: indimail-mta smtpd 7 with ESMTP; {DATE}\n".encode()
    )


@pytest.mark.parametrize(
    ("tls", "authenticated", "utf8", "word"),
    [
        (False, False, False, "ESMTP"),
        (True, False, False, "ESMTPS"),
        (True, True, False, "ESMTPSA"),
        (False, True, True, "UTF8ESMTPA"),
    ],
)
def test_the_protocol_word(tls: bool, authenticated: bool, utf8: bool, word: str):
    assert protocol_word(tls=tls, authenticated=authenticated, utf8=utf8) == word


def test_a_client_cannot_add_a_word_or_a_line():
    evil = Origin("pc", "::1", "a)\r\nX: (b;c", "", "mx", "ESMTP")
    assert received_line(7, evil, DATE).startswith(
        b"Received: indimail-mta smtpd 7 from pc (HELO a???X: ?b?c) (::1)\n  by mx"
    )
