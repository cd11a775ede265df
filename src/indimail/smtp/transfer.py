"""One envelope on its way to a server: its commands, and what becomes of each recipient.

    transfer = Transfer(envelope, offer, hop)
    transfer.mail                   -> b"MAIL FROM:<ana@example.net> SIZE=1000\\r\\n"
    transfer.rcpts[0]               -> b"RCPT TO:<bo@example.com>\\r\\n"
    transfer.answered(0, 250, replies); transfer.end(250, "192.0.2.1 accepted message ...", "250 ok")
    transfer.settle()               -> (Delivered("From: <ana@example.net> RCPT: ..."),)

What a server cannot take is decided here, by what it offered: a message above its SIZE, addresses
that need SMTPUTF8 (a domain alone goes as A-labels).  DSN parameters and AUTH are handed on
where they are offered, and never in another form than they came in; a server without DSN does not
tell of success, so that it was relayed is told here (`Dsn.RELAYED`).

A recipient that was refused keeps its refusal; each gets one outcome, the first.  552 to RCPT is a
limit, and temporary, where an earlier recipient was taken (RFC 5321 4.5.3.1.10), but not 552 5.2.x:
that is the mailbox.

Sources: RFC 1870 6, RFC 3461 4 and 5.2, RFC 4954 5, RFC 6152 3, RFC 6531 3; ``spec/queue.md`` 3.1,
3.4.  Not here: when which command is sent (`smtp.client`).
"""

import re
from functools import lru_cache
from typing import Final

from indimail.mail.address import Address, domain_key
from indimail.mail.addresses import quoted
from indimail.mail.dsn import Dsn, as_unitext
from indimail.mail.envelope import Envelope, ForwardPath
from indimail.mail.outcome import Failed, Outcome
from indimail.smtp import report
from indimail.smtp.command import DOMAIN, MOST_ADDRESS, MOST_DOMAIN
from indimail.smtp.extension import MAIL_PARAMETERS, RCPT_PARAMETERS
from indimail.smtp.hop import Hop
from indimail.smtp.offer import Offer
from indimail.smtp.peer_reply import ReplyReader

MOST_RECIPIENTS: Final = 100  # RFC 5321 4.5.3.1.8: what every server takes

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_MAILBOX_REFUSAL: Final = re.compile(r"\d\d\d[ -]5\.2\.")


class Transfer:
    """The commands of one transaction, and its outcomes so far."""

    __slots__ = (
        "_accepted", "_dsn", "_hop", "_numbers", "_outcomes", "_refusals", "_sender", "envelope",
        "mail", "rcpts",
    )  # fmt: skip

    def __init__(self, envelope: Envelope, offer: Offer, hop: Hop, *, authenticated: bool) -> None:
        self.envelope = envelope
        self._hop = hop
        self._dsn = None if offer.dsn else Dsn.RELAYED  # RFC 3461 5.2.2 (b)
        self._outcomes: list[Outcome | None] = [None] * len(envelope.forward_paths)
        self._accepted: set[int] = set()
        self._refusals: dict[int, tuple[int, str, str]] = {}
        self.mail = b""
        self.rcpts: list[bytes] = []
        self._numbers: list[int] = []  # of the recipients behind `rcpts`
        refusal = self._refusal(offer)
        if refusal is not None:
            self._outcomes = [refusal] * len(self._outcomes)
            return
        self._write_rcpts(offer)
        if self.rcpts:
            self._write_mail(offer, authenticated=authenticated)

    @property
    def is_over(self) -> bool:
        """Nothing is left to be done for any recipient."""
        return None not in self._outcomes

    @property
    def accepted(self) -> int:
        """How many recipients were accepted and wait for the message to be."""
        return sum(self._outcomes[number] is None for number in self._accepted)

    def answered(self, at: int, code: int, replies: ReplyReader) -> None:
        """Take the reply to a RCPT, the last one that was read."""
        number = self._numbers[at]
        if self._outcomes[number] is not None:
            return
        if code < 300:
            self._accepted.add(number)
            return
        reply = replies.text
        if code == 552 and self._accepted and not _MAILBOX_REFUSAL.match(reply):
            code = 452
        text = report.said(report.RECIPIENT_REFUSED, reply, host=self._hop.address)
        self._refusals[number] = (code, text, replies.reply)
        self._outcomes[number] = self._judged(code, self._about(number) + text, replies.reply)

    def end(self, code: int, text: str, reply: str = "") -> None:
        """Give all that have no outcome yet the one of a code; `reply` is what the server said."""
        for number, outcome in enumerate(self._outcomes):
            if outcome is None:
                about = self._about(number) if number in self._accepted else ""
                self._outcomes[number] = self._judged(code, about + text, reply)

    def settle(self) -> tuple[Outcome, ...]:
        """Return the outcomes; all have one."""
        if not self._accepted:
            giving_up = "\n" + report.GIVING_UP.format(host=self._hop.address)
            for number, (code, text, reply) in self._refusals.items():
                whole = self._about(number) + text + giving_up
                self._outcomes[number] = self._judged(code, whole, reply)
        return tuple(outcome for outcome in self._outcomes if outcome is not None)

    def _judged(self, code: int, text: str, reply: str = "") -> Outcome:
        return report.judged(code, text, self._hop.rule, self._hop.peer(reply), self._dsn)

    def _about(self, number: int) -> str:
        envelope = self.envelope
        return report.about(
            str(envelope.reverse_path.address), str(envelope.forward_paths[number].address)
        )

    def _refusal(self, offer: Offer) -> Outcome | None:
        """Return the outcome of all, where nobody can get the message from this server."""
        path = self.envelope.reverse_path
        sender = _written(path.address, offer.smtputf8) if path.address else ""
        if sender is None:
            return Failed(report.UNSENDABLE, self._hop.rule)
        if not offer.smtputf8 and not sender.isascii():
            return self._judged(500, report.NO_UNICODE.format(host=self._hop.address))
        if 0 < offer.size < path.size:
            host = self._hop.address
            text = report.TOO_LARGE.format(host=host, limit=offer.size, size=path.size)
            return self._judged(500, text)
        self._sender = sender
        return None

    def _write_rcpts(self, offer: Offer) -> None:
        for number, path in enumerate(self.envelope.forward_paths):
            written = _written(path.address, offer.smtputf8)
            if not written:
                self._outcomes[number] = Failed(report.UNSENDABLE, self._hop.rule)
            elif not offer.smtputf8 and not written.isascii():
                text = report.NO_UNICODE.format(host=self._hop.address)
                self._outcomes[number] = self._judged(500, text)
            else:
                command = f"RCPT TO:<{written}>"
                if offer.dsn and (path.notify or path.orcpt):
                    command += _dsn_of_recipient(path, smtputf8=offer.smtputf8)
                self.rcpts.append(f"{command}\r\n".encode())
                self._numbers.append(number)

    def _write_mail(self, offer: Offer, *, authenticated: bool) -> None:
        path = self.envelope.reverse_path
        command = f"MAIL FROM:<{self._sender}>"
        if offer.takes_size and path.size > 0:
            command += f" SIZE={path.size}"
        if authenticated and path.auth:
            command += _parameter("AUTH", path.auth)
        if path.body == "8BITMIME":  # offered, or it were downgraded
            command += " BODY=8BITMIME"
        if offer.smtputf8 and not (
            command.isascii() and not path.smtputf8 and all(map(bytes.isascii, self.rcpts))
        ):
            command += " SMTPUTF8"
        if offer.dsn:
            command += _parameter("RET", path.ret) + _parameter("ENVID", path.envid)
        self.mail = f"{command}\r\n".encode()


@lru_cache(maxsize=4096)
def _written(address: Address, smtputf8: bool) -> str | None:
    """Return an address as a command has it, without brackets; None where it cannot be."""
    if not address.local or not str(address).isprintable():
        return None
    domain = address.domain if smtputf8 else domain_key(address.domain)
    path = f"{quoted(address.local)}@{domain}" if domain else quoted(address.local)
    if domain and (len(domain.encode()) > MOST_DOMAIN or not DOMAIN.fullmatch(domain)):
        return None
    return path if len(path.encode()) <= MOST_ADDRESS else None


def _dsn_of_recipient(path: ForwardPath, *, smtputf8: bool) -> str:
    orcpt = path.orcpt if smtputf8 else _NOT_ASCII.sub(as_unitext, path.orcpt)
    return _parameter("NOTIFY", path.notify) + _parameter("ORCPT", orcpt)


def _parameter(keyword: str, value: str) -> str:
    """Return a parameter, or nothing where there is no such value."""
    _, parse = MAIL_PARAMETERS.get(keyword) or RCPT_PARAMETERS[keyword]
    return f" {keyword}={value}" if value and parse(f"={value}") is not None else ""
