import pytest

from indimail.mail.uucp import uucp_sender

DATE = "Mon Nov 23 23:15:00 2026"


@pytest.mark.parametrize(
    ("lines", "sender"),
    [
        ([f"From ann {DATE} remote from host.example.com"], "ann@host.example.com"),
        ([f"From ann {DATE} remote from host"], "host!ann"),
        ([f"From uucp {DATE} remote from relay",
          f">From ann {DATE} remote from host.example.com"], "ann@host.example.com"),
        ([f"From uucp {DATE} remote from relay", f">From ann {DATE} remote from host"],
         "relay!host!ann"),
        ([f"From uucp {DATE} remote from relay", f">From far!ann {DATE} remote from host"],
         "relay!host!far!ann"),
        ([f"From host.example.com!ann {DATE}"], "ann@host.example.com"),
        ([f"From ann@example.com {DATE} remote from relay"], "ann@example.com"),
        ([f"From MAILER-DAEMON {DATE} remote from host.example.com"], ""),
        ([f"From <> {DATE} remote from relay"], ""),
        ([f"From ann {DATE}"], "ann"),
        (["From "], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_lines_name_the_sender(lines: list[str], sender: str | None) -> None:
    assert uucp_sender(lines) == sender
