"""The transcripts of README.md are what a server says now, but for numbers and times."""

import os
import re
from pathlib import Path

import pytest

from live import Instance, Server, queue_id, until

pytestmark = pytest.mark.slow

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCKS = re.findall(r"(?ms)^```text\n(.*?)^```$", README.read_text())
VARYING = [
    (r"\b\d{19}\b", "ID"),
    (r"\bok \d{10}\b", "ok UNIXTIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DAY"),
    (r"\d\d:\d\d:\d\d\.\d{3}", "TIME"),
    (r"\b\d+ octets", "N octets"),
    (r"\bqueue\d\b", "QUEUE"),
    (r"\bport \d+", "port N"),
]


def block(beginning: str) -> list[str]:
    """Return the lines of the transcript that begins so."""
    (found,) = [text for text in BLOCKS if text.startswith(beginning)]
    return shape(found).splitlines()


def shape(text: str) -> str:
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text)
    return text


def test_a_client_hears_and_explain_tells_what_the_readme_shows(server: Server) -> None:
    shown, heard = block("C: "), []
    with server.connect() as talk:
        for line in shown:
            if line.startswith("C: "):
                reply = talk.say(line.removeprefix("C: "))
                heard += [line] if "EHLO" in line else [line, f"S: {shape(reply)}"]
        answer = talk.say("Subject: hello\r\n\r\nhello\r\n.")
        heard.append(f"S: {shape(answer)}")
        talk.say("QUIT")
    assert heard == shown
    number = queue_id(answer)
    server.instance.ended(number)
    command, *story = block("$ indimail explain ")
    assert command == "$ indimail explain ID"

    def told() -> list[str]:
        return shape(server.instance.run("explain", number).stdout).splitlines()

    # What ends first, the conversation or the delivery, differs from time to time.
    until(lambda: any("conversation ended" in line for line in told()))
    assert sorted(told()) == sorted(story)


def test_a_mistake_is_shown_as_the_readme_shows_it(instance: Instance) -> None:
    command, shown = block("$ indimail check-config")
    instance.write("control/rcpthosts", "example.com\nexam ple.com\n")
    ran = instance.run(*command.removeprefix("$ indimail ").split(), code=os.EX_CONFIG)
    assert ran.stderr == f"{shown}\n"
