import pytest

from indimail.delivery.instruction import (
    BounceNoMailbox,
    Delete,
    Instruction,
    ToAddress,
    ToHost,
    ToMaildir,
    parse_instruction,
)
from indimail.mail.errors import Mistake
from indimail.mail.verdict import Rule

RULE = Rule("domains/example.com/.qmail-default", 3)


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        ("delete", Delete()),
        ("bounce-no-mailbox", BounceNoMailbox()),
        ("/srv/lost", ToMaildir("/srv/lost")),
        ("/srv/lost/Maildir/", ToMaildir("/srv/lost/Maildir")),
        ("/srv/a@b", ToMaildir("/srv/a@b")),
        ("lost+found@example.com", ToAddress("lost+found@example.com")),
        ("a:b:25@example.com", ToAddress("a:b:25@example.com")),
        ("example.com:192.0.2.1:25", ToHost("example.com", "192.0.2.1", 25)),
        ("example.com:mx2.example.com:2525", ToHost("example.com", "mx2.example.com", 2525)),
    ],
)
def test_the_five_forms(text: str, instruction: Instruction) -> None:
    assert parse_instruction(text, RULE) == instruction
    assert str(instruction) == text.removesuffix("/")


@pytest.mark.parametrize(
    "text",
    [
        *["", "bounce", "Delete", "delete ", "Maildir", "./Maildir", "/", "//", "/a\nb"],
        *["@", "a@", "@b", "a@b@c", "a b@c", "a@b c", "a@b\n"],
        *["a:b", "a:b:c", "a:b:25:x", ":b:25", "a::25", "a:b:", "a:b:0", "a:b:65536", "a:b:-1"],
        *["example.com:2001:db8::1:25", "a:b:25\n"],
    ],
)
def test_anything_else_is_a_mistake_with_its_place(text: str) -> None:
    mistake = parse_instruction(text, RULE)
    assert isinstance(mistake, Mistake)
    assert str(mistake) == (
        f"domains/example.com/.qmail-default:3: found {text or repr('')}, expected delete, "
        "bounce-no-mailbox, the full path of a Maildir, user@domain or domain:ip:port"
    )
