import email
from email.message import Message
from email.policy import compat32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.sevenbit import Stays, to_seven_bit


def message(text):
    return text.encode("latin-1")


CONVERTED = [
    (  # what is ASCII stays as it is, also what its labels say
        "Content-Transfer-Encoding: 8bit\n\nplain\n",
        "Content-Transfer-Encoding: 8bit\n\nplain\n",
    ),
    (
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=latin1\n"
        "Content-Transfer-Encoding: 8bit\nTo: bo@example.com\n\ncaf\xe9 = \n",
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=latin1\n"
        "Content-Transfer-Encoding: quoted-printable\nTo: bo@example.com\n\ncaf=E9 =3D=20\n",
    ),
    (  # RFC 1428
        "Subject: x\n\n\xe9\n",
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=E9\n",
    ),
    (
        "MIME-Version: 1.0\n\n.\r\n\xe9\rx",
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=2E\n=E9=0Dx",
    ),
    (
        "Content-type: Multipart/Mixed;\n\tBoundary=\"a b\"\nMIME-Version: 1.0\n\npreamble\n"
        "--a b\n\n\xe9\n--a b \nContent-Type: text/html\n\nplain\n--a b\n"
        "Content-Type: application/x\nContent-Transfer-Encoding: binary\n\n\xff\n--a b--\nend\n",
        "Content-type: Multipart/Mixed;\n\tBoundary=\"a b\"\nMIME-Version: 1.0\n"
        "Content-Transfer-Encoding: 7bit\n\npreamble\n"
        "--a b\nContent-Type: text/plain; charset=unknown-8bit\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=E9\n--a b \n"
        "Content-Type: text/html\n\nplain\n--a b\nContent-Type: application/x\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=FF\n--a b--\nend\n",
    ),
    (  # a part in a part, a message in a part, and one that ends in the middle
        "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=o\n"
        "Content-Transfer-Encoding: 8bit\n\n--o\n\nSubject: in\n\n\xe9\n--o\n"
        "Content-Type: multipart/mixed; boundary=i\n\n--i\n\n\xe9\n--i--\n\n--o\n\nS: y\n\n\xe9",
        "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=o\n"
        "Content-Transfer-Encoding: 7bit\n\n--o\nContent-Transfer-Encoding: 7bit\n\n"
        "Subject: in\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=E9\n--o\n"
        "Content-Type: multipart/mixed; boundary=i\nContent-Transfer-Encoding: 7bit\n\n--i\n"
        "Content-Type: text/plain; charset=unknown-8bit\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=E9\n--i--\n\n--o\n"
        "Content-Transfer-Encoding: 7bit\n\nS: y\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=unknown-8bit\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=E9",
    ),
    (  # what is signed and ASCII keeps every octet
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\n\n\xe9\n--o\n"
        "Content-Type: multipart/signed; boundary=s\nContent-Transfer-Encoding: 8bit\n\n"
        "--s\n\nplain \n--s\n\nsignature\n--s--\n--o--\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n"
        "Content-Transfer-Encoding: 7bit\n\n--o\n"
        "Content-Type: text/plain; charset=unknown-8bit\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=E9\n--o\n"
        "Content-Type: multipart/signed; boundary=s\nContent-Transfer-Encoding: 8bit\n\n"
        "--s\n\nplain \n--s\n\nsignature\n--s--\n--o--\n",
    ),
    (  # a soft break must not make a boundary; base64 is of lines in CRLF
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\n"
        "Content-Type: text/plain\n\na\n\xe9" + "x" * 72 + "--o\n--o--\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n"
        "Content-Transfer-Encoding: 7bit\n\n--o\nContent-Type: text/plain\n"
        "Content-Transfer-Encoding: base64\n\n"
        "YQ0K6Xh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\n"
        "eHh4eHh4eHh4eHh4eHh4eHh4eC0tbw==\n"
        "\n--o--\n",
    ),
    (  # an empty part, and a label that is there twice
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\n--o\n"
        "Content-Transfer-Encoding: 8bit\nContent-Type: text/plain\n"
        "Content-Transfer-Encoding: 7bit\n\n\xe9\n--o--\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n"
        "Content-Transfer-Encoding: 7bit\n\n--o\n--o\n"
        "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\n=E9\n--o--\n",
    ),
    (  # RFC 6532 3.7
        "MIME-Version: 1.0\nContent-Type: message/global\n\nSubject: \xe9\n\n\xe9\n",
        "MIME-Version: 1.0\nContent-Type: message/global\n"
        "Content-Transfer-Encoding: quoted-printable\n\nSubject: =E9\n\n=E9\n",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CONVERTED)
def test_parts_are_encoded_where_they_need_it(before, after):
    converted = to_seven_bit(message(before))
    assert isinstance(converted, bytes)
    assert converted.decode() == after


MIME = "MIME-Version: 1.0\nContent-Type: "
STAYING = [
    ("Subject: caf\xe9\n\nplain\n", "a header of it is not ASCII"),
    (f"{MIME}message/rfc822\n\nSubject: \xe9\n\nx\n", "a header of it is not ASCII"),
    (f"{MIME}multipart/signed; boundary=s\n\n--s\n\n\xe9\n--s\n\nx\n--s--\n",
     "a part of it is signed or encrypted"),
    (f"{MIME}multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/signed; boundary=s\n\n"
     "--s\n\n\xe9\n--s--\n--o--\n", "a part of it is signed or encrypted"),
    (f"{MIME}multipart/mixed\n\n--o\n\n\xe9\n--o--\n", "its parts have no boundary"),
    (f"{MIME}multipart/mixed; boundary=o\n\n\xe9\n", "its parts cannot be told apart"),
    (f"{MIME}multipart/mixed; boundary=o\n\n\xe9\n--o\n\nx\n--o--\n",
     "there is 8-bit text around its parts"),
    (f"{MIME}multipart/mixed; boundary=o\n\n--o\n\nx\n--o--\n\xe9\n",
     "there is 8-bit text around its parts"),
    (f"{MIME}message/delivery-status\n\nx: \xe9\n",
     "a part of it is message/delivery-status, which takes no encoding"),
    (f"{MIME}text/plain\nContent-Transfer-Encoding: BASE64\n\n\xe9\n",
     "a part of it is not the base64 that it says"),
    ("MIME-Version: 1.0\n" + "Content-Type: message/rfc822\n\n" * 60 + "x\n\n\xe9\n",
     "its parts are nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "why"), STAYING)
def test_what_cannot_be_converted_says_why(octets, why):
    assert to_seven_bit(message(octets)) == Stays(why)


BODIES = st.lists(
    st.sampled_from([b"\n", b"\xe9", b"x" * 40, b"--", b"--o", b"=", b" ", b".", b"\t", b"From ", b"\0"])
).map(lambda pieces: b"".join(pieces) + b"x\n")  # fmt: skip
LEAVES = st.builds(
    lambda kind, body: b"Content-Type: " + kind + b"\n\n" + body,
    st.sampled_from([b"text/plain; charset=latin1", b"application/octet-stream"]),
    BODIES,
)


def multipart(parts, name):
    """Join parts, with a boundary that none of them has."""
    boundary = name
    while any(b"--" + boundary in part for part in parts):
        boundary += b"+"
    lines = b"".join(b"--" + boundary + b"\n" + part + b"\n" for part in parts)
    head = b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\n\n'
    return head + lines + b"--" + boundary + b"--\n"


ENTITIES = st.recursive(
    LEAVES,
    lambda inner: st.builds(multipart, st.lists(inner, min_size=1, max_size=3), st.just(b"o")),
    max_leaves=5,
)


def contents(octets):
    """Return type and decoded content of each leaf, as the standard library sees them."""
    parsed: Message = email.message_from_bytes(octets, policy=compat32)
    return [
        (part.get_content_type(), part.get_payload(decode=True).replace(b"\r\n", b"\n"))
        for part in parsed.walk()
        if not part.is_multipart()
    ]


@given(ENTITIES)
def test_nothing_is_lost(entity):
    before = b"MIME-Version: 1.0\n" + entity
    after = to_seven_bit(before)
    assert isinstance(after, bytes)
    assert after.isascii()
    assert contents(after) == contents(before)
    assert to_seven_bit(after) == after


WORDS = [b"\xe9", b"\n", b"\r", b"--o", b"--o--", b"\n\n", b": ", b"Content-Type: ", b"multipart/mixed",
         b"; boundary=o", b"message/rfc822", b"text/plain", b"Content-Transfer-Encoding: 8bit\n",
         b"boundary=\"", b"\\", b"x"]  # fmt: skip


@pytest.mark.fuzz
@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=30).map(b"".join))
def test_any_octets_are_converted_or_stay(octets):
    converted = to_seven_bit(octets)
    assert isinstance(converted, Stays) or converted.isascii()
