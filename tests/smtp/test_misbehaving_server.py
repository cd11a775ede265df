"""A server that misbehaves at any step: what becomes of a mail to bo, and to cy whom it refuses.

Two letters are the outcomes of bo and cy (K delivered, Z deferred, D failed), with ``?`` where one
is unknown.  Before a mail could begin there is one letter, with ``n`` where the next host may be
tried.  After it misbehaved the server refuses all there is with 503, and is gone.
"""

from dataclasses import dataclass, field

import pytest

from indimail.mail.outcome import Deferred, Delivered, Failed
from indimail.mail.secret import Secret
from indimail.smtp.client import SmtpClient
from indimail.smtp.client_event import Closed, Derive, Ready, SendBody, Settled, StartTls
from indimail.smtp.hop import Credentials, Hop, Tls
from indimail.testing.smtpclient import parse_mail

MAIL = parse_mail("ana@example.net bo@example.com cy@example.com")
LETTERS = {Delivered: "K", Deferred: "Z", Failed: "D"}

# Each step's name and its good reply.
HELLO = [("greeting", b"220 mx\r\n"), ("ehlo", b"250 mx\r\n")]
ENVELOPE = [("mail", b"250 ok\r\n"), ("rcpt bo", b"250 ok\r\n"), ("rcpt cy", b"550 no\r\n")]
BODY = [("data", b"354 go\r\n"), ("end", b"250 taken\r\n")]
CONVERSATIONS = {
    "plain": [*HELLO, *ENVELOPE, *BODY],
    "pipelined": [HELLO[0], ("ehlo", b"250-mx\r\n250 PIPELINING\r\n"), *ENVELOPE, *BODY],
    "chunked": [
        HELLO[0], ("ehlo", b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"), *ENVELOPE, BODY[1],
    ],
    "protected": [
        HELLO[0], ("ehlo", b"250-mx\r\n250 STARTTLS\r\n"), ("starttls", b"220 go\r\n"),
        ("ehlo again", b"250-mx\r\n250 AUTH PLAIN\r\n"), ("auth", b"235 welcome\r\n"),
        *ENVELOPE, *BODY,
    ],
}  # fmt: skip
PROTECTED = Hop("192.0.2.1", "c", Tls.VERIFIED, credentials=Credentials("ana", Secret("wonder")))

MISBEHAVIOURS = {
    "hang": b"",
    "reset": b"",
    "half": b"25",
    "garbage": b"\x00\xff what?\r\n",
    "lines": b"250-x\r\n" * 20_000,
    "line": b"2" * 100_000,
    "421": b"421 bye\r\n",
    "451": b"451 later\r\n",
    "550": b"550 no\r\n",
    "wrong": b"354 go\r\n",  # after DATA 250
    "twice": b"",  # the good reply
    "closes": b"",  # right behind the good reply
    "leaves": b"",  # once it saw what we answer to it
}
EXPECTED = """
            hang reset half garbage lines line 421 451 550 wrong twice closes leaves
greeting    Zn   Zn    Zn   Zn      Zn    Zn   Zn  Zn  D   Zn    Zn    Zn     Zn
ehlo        Zn   Zn    Zn   Z       Z     Z    Z   Z   D   Z     ZZ    ZZ     ZZ
starttls    Zn   Zn    Zn   Zn      Zn    Zn   Zn  Zn  Zn  Zn    Z     Zn     Zn
ehlo_again  Zn   Zn    Zn   Z       Z     Z    Z   Z   Z   Z     Zn    Zn     Zn
auth        Zn   Zn    Zn   Z       Z     Z    Z   Z   Z   Z     ZZ    ZZ     ZZ
mail        ZZ   ZZ    ZZ   ZZ      ZZ    ZZ   ZZ  ZZ  DD  ZZ    ZZ    ZZ     ZZ
rcpt_bo     ZZ   ZZ    ZZ   ZZ      ZZ    ZZ   ZZ  ZD  DD  ZZ    ZZ    ZZ     ZZ
rcpt_cy     ZZ   ZZ    ZZ   ZZ      ZZ    ZZ   ZZ  DZ  DD  ZZ    ZD    ZD     ZD
data        ZD   ZD    ZD   ZD      ZD    ZD   ZD  ZD  DD  ZD    ZD    ZD     ZD?
end         ZD?  ZD?   ZD?  ZD?     ZD?   ZD?  ZD  ZD  DD  ZD?   KD    KD     KD
"""
# Where the conversation makes a difference: a required extension is not given up for HELO, and a
# reply too many in a pipeline is the next command's.
DIFFERENCES = {
    ("protected", "ehlo", "550"): "Z",
    ("protected", "ehlo", "twice"): "Zn",
    ("protected", "ehlo", "closes"): "Zn",
    ("protected", "ehlo", "leaves"): "Zn",
    ("chunked", "rcpt cy", "leaves"): "ZD?",
    ("pipelined", "mail", "twice"): "DD",
    ("pipelined", "rcpt bo", "twice"): "DD",
    ("pipelined", "rcpt cy", "twice"): "DD",
    ("chunked", "mail", "twice"): "DD",
    ("chunked", "rcpt bo", "twice"): "DD",
    ("chunked", "rcpt cy", "twice"): "DD",
}


def table():
    head, *rows = EXPECTED.strip().splitlines()
    for row in rows:
        step, *cells = row.split()
        for misbehaviour, cell in zip(head.split(), cells, strict=True):
            yield (step.replace("_", " "), misbehaviour), cell


TABLE = dict(table())
CASES = [
    (conversation, step, misbehaviour)
    for conversation, steps in CONVERSATIONS.items()
    for step, _ in steps
    for misbehaviour in MISBEHAVIOURS
]


@dataclass
class Driver:
    """Does what a client asks for, and keeps what it says became of the mail."""

    client: SmtpClient
    ended: list[str] = field(default_factory=list)
    begun: int = 0

    def drive(self):
        while (event := self.client.next_event()) is not None:
            match event:
                case Ready() if not self.begun:
                    self.begun += 1
                    self.client.begin(MAIL)
                case StartTls():
                    self.client.tls_started(verified=True)
                case Derive(work):
                    self.client.derived(work())
                case SendBody():
                    self.client.send_body(b"a line\n", last=True)
                case Settled(outcomes, unknown):
                    letters = "".join(LETTERS[type(outcome)] for outcome in outcomes)
                    self.ended.append(letters + "?" * unknown)
                case Closed(outcome, next_host) if outcome:
                    self.ended.append(LETTERS[type(outcome)] + "n" * next_host)
        self.client.data_to_send()

    def receive(self, data, size):
        for at in range(0, len(data), size):
            self.client.receive(data[at : at + size])
            self.drive()


def play(conversation, at_step, misbehaviour, size):
    driver = Driver(SmtpClient(PROTECTED if conversation == "protected" else Hop("192.0.2.1", "c")))
    driver.drive()
    for step, good in CONVERSATIONS[conversation]:
        if step != at_step:
            driver.receive(good, size)
            continue
        said = MISBEHAVIOURS[misbehaviour]
        match misbehaviour:
            case "wrong" if step == "data":
                said = b"250 ok\r\n"
            case "twice":
                said = good * 2
            case "closes" | "leaves":
                said = good
        if misbehaviour == "closes":
            driver.client.receive(said)
            driver.client.receive_eof()
        else:
            driver.receive(said, size)
        if misbehaviour == "hang":
            driver.client.timed_out()
            driver.drive()
        break
    if misbehaviour not in {"hang", "reset", "half", "closes", "leaves"}:
        driver.receive(b"503 no\r\n" * 4, size)
    driver.client.receive_eof()
    driver.drive()
    return driver


@pytest.mark.parametrize(("conversation", "step", "misbehaviour"), CASES, ids=map("-".join, CASES))
def test_each_recipient_ends_as_it_should(conversation, step, misbehaviour):
    driver = play(conversation, step, misbehaviour, 1 << 20)
    expected = DIFFERENCES.get((conversation, step, misbehaviour), TABLE[step, misbehaviour])
    assert driver.ended == [expected]
    assert driver.client.closed


@pytest.mark.parametrize(("conversation", "step", "misbehaviour"), CASES, ids=map("-".join, CASES))
def test_each_recipient_ends_once_however_it_is_read(conversation, step, misbehaviour):
    driver = play(conversation, step, misbehaviour, 700 if misbehaviour in {"lines", "line"} else 1)
    assert len(driver.ended) == 1
    assert driver.client.closed
    assert misbehaviour in {"twice", "closes", "leaves"} or "K" not in driver.ended[0]
