"""Too many connections, in all or from one client."""

import pytest

from indimail.mail.verdict import Accept, Rule, TryLater
from indimail.policy.limits import (
    ConnectionFacts,
    ConnectionLimits,
    decide_connection,
    is_loopback,
)

ME = "mx.example.com"
TOTAL = "421 mx.example.com sorry, too many connections, try again later (#4.7.0)"
CLIENT = "421 mx.example.com sorry, too many connections from your IP (192.0.2.1) (#4.7.0)"
SET = Rule("tcp/tcp.smtp", 3)


def limits(**more: object) -> ConnectionLimits:
    return ConnectionLimits(ME, maxperip_rule=SET, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("total", "of_client", "loopback", "rules", "reply"),
    [
        (0, 0, False, limits(), None),
        (9_999, 199, False, limits(), None),
        (10_000, 0, False, limits(), TOTAL),
        (10_000, 0, True, limits(), TOTAL),
        (10_000, 0, False, limits(total=0), None),
        (200, 200, False, limits(), CLIENT),
        (5_000, 5_000, True, limits(), None),
        (9, 9, True, limits(maxperip=9), CLIENT),
        (8, 8, True, limits(maxperip=9), None),
        (500, 500, False, limits(maxperip=0), None),
        (500, 500, False, limits(per_client=0), None),
    ],
)
def test_the_next_connection_is_one_too_many(
    total: int, of_client: int, loopback: bool, rules: ConnectionLimits, reply: str | None
) -> None:
    found = decide_connection(ConnectionFacts("192.0.2.1", total, of_client, loopback), rules)
    if reply is None:
        assert isinstance(found, Accept)
    else:
        assert isinstance(found, TryLater)
        assert str(found.reply) == reply
        by_client = SET if rules.maxperip is not None else rules.per_client_rule
        assert found.rule == (rules.total_rule if reply == TOTAL else by_client)


@pytest.mark.parametrize(
    ("ip", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True),
     ("128.0.0.1", False), ("::2", False), ("", False)],
)  # fmt: skip
def test_loopback(ip: str, expected: bool) -> None:
    assert is_loopback(ip) is expected
