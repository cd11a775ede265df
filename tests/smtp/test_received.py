import pytest

from indimail.smtp.received import Origin, protocol_word, received_line

DATE = "Mon, 23 Nov 2026 23:15:00 +0000"
PLAIN = Origin("", "192.0.2.7", "laptop", "", "mx.example.com", "ESMTP")


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (PLAIN, " (HELO laptop) (192.0.2.7)\n  by mx.example.com with ESMTP"),
        (
            Origin("mx.example.net", "192.0.2.7", "laptop", "", "mx.example.com", "ESMTPS",
                   "TLSv1.3 AES bits=256"),
            " from mx.example.net (HELO laptop) (192.0.2.7)\n"
            "  by mx.example.com with ESMTPS (TLSv1.3 AES bits=256)",
        ),
        (
            Origin("MX.example.net", "192.0.2.7", "mx.example.NET", "eve", "mx", "ESMTPSA"),
            " from MX.example.net (eve@192.0.2.7)\n  by mx with ESMTPSA",
        ),
        (Origin("a", "192.0.2.7", "b", "c", "mx", "ESMTP", hide_host=True), " with ESMTP"),
    ],
)  # fmt: skip
def test_the_line_tells_who_brought_the_mail(origin, line) -> None:
    expected = f"Received: indimail-mta smtpd 7{line}; {DATE}\n"
    assert received_line(7, origin, DATE) == expected.encode()


@pytest.mark.parametrize("evil", ["x)\r\nSubject: y", "a\tb", "(x", "\u00fc;", "a\nb"])
def test_no_helo_ends_its_word_or_the_line(evil) -> None:
    line = received_line(7, Origin("", "192.0.2.7", evil, "", "mx", "ESMTP"), DATE)
    assert line.count(b"\n") == 2
    assert line.count(b"(") == line.count(b")") == 2
    assert line.isascii()


def test_the_protocol_word_has_the_prefix_and_the_endings_of_the_spec() -> None:
    words = [protocol_word(tls=t, authenticated=a, utf8=u)
             for u in (False, True) for t in (False, True) for a in (False, True)]  # fmt: skip
    assert words == [
        "ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA",
        "UTF8ESMTP", "UTF8ESMTPA", "UTF8ESMTPS", "UTF8ESMTPSA",
    ]  # fmt: skip
