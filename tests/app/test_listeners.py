import pytest

from indimail.app.listeners import BUILT, every_address, parse_listen, read_listeners
from indimail.control.toml import DEFAULT_TEXT, parse_toml
from indimail.serve.snapshot import ROLES, ListenerConfig


def read(given=(), toml="", *, has_certificate=True):
    setup, wrong = parse_toml(toml.encode(), "indimail.toml")
    assert wrong == []
    listeners, mistakes = read_listeners(given, setup, has_certificate=has_certificate)
    return listeners, [str(mistake) for mistake in mistakes]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("smtp=127.0.0.1:2525", "127.0.0.1", 2525),
        ("smtp=[::1]:0", "::1", 0),
        ("smtp=0.0.0.0:65535", "0.0.0.0", 65535),
        ("smtp=[::]:25", "::", 25),
    ],
)
def test_what_listen_takes(text, host, port):
    assert parse_listen(text) == ListenerConfig("smtp", "smtp", host, port)


@pytest.mark.parametrize(
    "text",
    ["", "smtp", "smtp=", "=1.2.3.4:5", "smtp=1.2.3.4", "smtp=1.2.3.4:", "smtp=1.2.3.4:65536",
     "smtp=1.2.3.4:-1", "smtp=1.2.3.4:x", "smtp=::1:25", "smtp=localhost:25", "smtp=:25",
     "smtp=[127.0.0.1]:25", "smtp=[]:25"],
)  # fmt: skip
def test_what_listen_does_not_take(text):
    expected = "expected NAME=ADDRESS:PORT, as in smtp=127.0.0.1:2525 or smtp=[::1]:0"
    assert read([text]) == ((), [f"--listen: found '{text}', {expected}"])


def test_without_any_listener_smtp_is_on_every_address():
    every = ListenerConfig("smtp", "smtp", every_address(), 25)
    assert read() == ((every,), [])
    assert read(toml=DEFAULT_TEXT) == ((every,), [])


def test_the_command_line_replaces_the_file():
    toml = "[listener.smtp]\nport = 25\n[listener.submission]\n"
    assert read(["smtp=127.0.0.1:0"], toml) == (
        (ListenerConfig("smtp", "smtp", "127.0.0.1", 0),), [],
    )  # fmt: skip
    assert read([], toml)[0] == (
        ListenerConfig("smtp", "smtp", every_address(), 25),
        ListenerConfig("submission", "submission", every_address(), 587),
    )


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_built_or_says_that_it_is_not(role):
    listeners, mistakes = read([f"{role}=127.0.0.1:0"])
    if role in BUILT:
        assert (listeners[0].role, mistakes) == (role, [])
    else:
        built = f"one of smtp submission submissions ({role} is not built yet)"
        assert mistakes == [f"--listen: found '{role}=127.0.0.1:0', expected {built}"]


def test_listeners_that_cannot_be():
    toml = """\
[listener.smtp]
address = "mx.example.com"
[listener.other]
[listener.submission]
port = 70000
[listener.a]
role = "smtp"
[listener.b]
role = "smtp"
[listener.submissions]
"""
    _, mistakes = read(toml=toml, has_certificate=False)
    assert mistakes == [
        'indimail.toml:2: found address = "mx.example.com", expected an IP address',
        "indimail.toml:5: found port = 70000, expected a port from 0 (any free one) to 65535",
        "indimail.toml:3: found [listener.other], expected one of " + " ".join(ROLES),
        'indimail.toml:8: found [listener.b] role = "smtp", expected each address and port once',
        "indimail.toml:10: found [listener.submissions], expected a certificate for it:"
        " [tls] certificate in indimail.toml",
    ]
    assert "expected each name once" in read(["smtp=127.0.0.1:0", "smtp=[::1]:0"])[1][0]
