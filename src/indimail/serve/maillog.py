"""The log lines that tools read: the scheduler's, qmail-smtpd's and tcpserver's.

    log = DeliveryLog(sink, queue="queue1", ident=1)
    log.new_msg(id); log.info_msg(id, octets, sender, id, uid)
    number = log.starting_delivery(id, "local", recipient)
    log.delivery(number, "success", "did 1+0+0/")       -> delivery 1.1: success: did_1+0+0/ queue1

One event, one line, without a stamp: the sink stamps (`app.logs`).  Where IndiMail writes a
process number (qp, pid), the mail's id stands (DESIGN 4), so that a line leads to `explain`.

What strangers wrote cannot forge a line: LF becomes ``/``, ``%`` and octets below 33 or above 126
``_`` in the scheduler's and qmail-smtpd's lines, and ``?`` in tcpserver's.

Sources: spec/queue.md 5.4, spec/smtp.md 13 and 1.5; qmail-log(5).  Not here: files, stamps.
"""

from functools import lru_cache
from typing import Final, Protocol


class LineSink(Protocol):
    """Takes whole lines, without their LF; neither call waits for a disk's sync."""

    def add(self, line: str) -> None:
        """Take a line; it is written with those that gather in the next 0.2 s."""

    def urgent(self, line: str) -> None:
        """Take a line and write it, with all that gathered, at once."""


_UNSAFE: Final = frozenset({0x25, *range(33), *range(127, 256)})
_SAFE: Final = bytes(
    0x2F if octet == 0x0A else 0x5F if octet in _UNSAFE else octet for octet in range(256)
)
_TCPSERVER_SAFE: Final = bytes(
    0x3F if octet == 0x25 or not 32 < octet < 127 else octet for octet in range(256)
)
_NAME_LENGTH: Final = 100  # spec/smtp.md 1.5


def safe(text: str) -> str:
    """Return text as one printable word (queue.md 5.4)."""
    return _octets(text).translate(_SAFE).decode("ascii")


def _octets(text: str) -> bytes:
    """Return the octets a text came from, also undecodable ones (surrogateescape)."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no octet
        return text.encode("utf-8", "replace")


safe_address: Final = lru_cache(maxsize=4096)(safe)  # each address stands in several lines


class DeliveryLog:
    """The lines of one queue's scheduler."""

    def __init__(self, sink: LineSink, queue: str, ident: int) -> None:
        """`ident` is the queue's number, which tells apart the delivery numbers of queues."""
        self._add = sink.add
        self._urgent = sink.urgent
        self._queue = queue
        self._ident = ident
        self._deliveries = 0

    def new_msg(self, message: int) -> None:
        """Say that a message came into the queue."""
        self._add(f"new msg {message} {self._queue}")

    def info_msg(self, message: int, octets: int, sender: str, qp: int, uid: int) -> None:
        """Say how large it is, who sent it, and the number in its Received line and reply."""
        self._add(
            f"info msg {message}: bytes {octets} from <{safe_address(sender)}>"
            f" qp {qp} uid {uid} {self._queue}"
        )

    def envelope(
        self, channel: str, sender: str, recipient: str, message: int, octets: int, mode: str
    ) -> None:
        """Say from whom to whom it goes (IndiMail's addition); the null sender is ``<>``."""
        self._add(
            f"{channel}: {safe_address(sender) or '<>'} {safe_address(recipient)}"
            f" {message} {octets} bytes {self._queue} {mode}"
        )

    def starting_delivery(self, message: int, channel: str, recipient: str) -> int:
        """Say that an attempt begins; return its number, from 1."""
        self._deliveries = number = self._deliveries + 1
        self._add(
            f"starting delivery {number}.{self._ident}: msg {message}"
            f" to {channel} {safe_address(recipient)} {self._queue}"
        )
        return number

    def status(
        self,
        local: tuple[int, int],
        remote: tuple[int, int],
        *,
        local_held: bool = False,
        remote_held: bool = False,
        delayed: int = 0,
        exitasap: bool = False,
    ) -> None:
        """Say how many deliveries run, of how many that may, in each channel."""
        self._add(
            f"status: local {local[0]}/{local[1]}{' (held)' if local_held else ''}"
            f" remote {remote[0]}/{remote[1]}{' (held)' if remote_held else ''}"
            f"{f' delayed jobs={delayed}' if delayed else ''}"
            f" {self._queue}{' exitasap' if exitasap else ''}"
        )

    def delivery(self, number: int, verdict: str, text: str) -> None:
        """Say how an attempt ended: success, failure or deferral."""
        self._add(f"delivery {number}.{self._ident}: {verdict}: {safe(text)} {self._queue}")

    def delivery_mangled(self, number: int) -> None:
        """Say that what did the attempt gave no readable report."""
        self._add(f"delivery {number}.{self._ident}: report mangled, will defer: {self._queue}")

    def bounce_msg(self, message: int, qp: int) -> None:
        """Say that a message's bounce was queued, under which number."""
        self._add(f"bounce msg {message} qp {qp} {self._queue}")

    def dsn_msg(self, message: int, qp: int) -> None:
        """Say that a report of a message's delay or success was queued, under which number."""
        self._add(f"dsn msg {message} qp {qp} {self._queue}")

    def double_bounce_discarded(self, message: int) -> None:
        """Say that a bounce of a bounce has nobody to go to."""
        self._add(f"double bounce: discarding bounce/{message} {self._queue}")

    def triple_bounce_discarded(self, message: int) -> None:
        """Say that the bounce of a double bounce ends here."""
        self._add(f"triple bounce: discarding bounce/{message} {self._queue}")

    def bounce_processor(
        self, sender: str, recipient: str, message_file: str, bounce_file: str, code: int
    ) -> None:
        """Say how the operator's bounce program ended."""
        self._add(
            f"bounce processor sender <{safe(sender)}> recipient <{safe(recipient)}>"
            f" messfn <{safe(message_file)}> bouncefn <{safe(bounce_file)}>"
            f" exit={code} {self._queue}"
        )

    def end_msg(self, message: int) -> None:
        """Say that nothing of a message waits any longer."""
        self._add(f"end msg {message} qmail-send: {self._queue}")

    def alert(self, text: str) -> None:
        """Say, at once, what stops mail."""
        self._urgent(f"alert: {_one_line(text)}")

    def warn(self, text: str) -> None:
        """Say, at once, what went wrong."""
        self._urgent(f"warn: {_one_line(text)}")

    def info(self, text: str) -> None:
        """Say what may be of interest."""
        self._add(f"info: {_one_line(text)}")


class SmtpLog:
    """qmail-smtpd's lines about one connection."""

    def __init__(self, sink: LineSink, pid: int, address: str) -> None:
        """`pid` is the id of the connection; `address` the client's."""
        self._add = sink.add
        self._prefix = f"qmail-smtpd: pid {pid} from {safe_address(address)} "

    def accepted(
        self, helo: str, sender: str, recipient: str, auth: str, octets: int, tls: str
    ) -> None:
        """Say that a message was taken for a recipient.

        `auth` is ``user: AUTH METHOD[: local-rcpt]``, ``local-rcpt`` or ``auth-ip/pop``, and may
        hold blanks; `tls` is ``No``, the protocol (``TLSv1.3``) or the provider.
        """
        self._add(f"{self._prefix} {_taken(helo, sender, recipient, auth, octets, tls)}")

    def queue_refusal(
        self,
        text: str,
        helo: str,
        sender: str,
        recipient: str,
        auth: str,
        octets: int,
        tls: str,
        qp: int,
        *,
        permanent: bool,
    ) -> None:
        """Say that the queue did not take a message, and why."""
        kind = "permanent" if permanent else "temporary"
        taken = _taken(helo, sender, recipient, auth, octets, tls)
        self._add(f"{self._prefix}{_one_line(text)} ({kind}): {taken} qp {qp}")

    def relay_refusal(self, sender: str, recipient: str, user: str = "") -> None:
        """Say that somebody wanted to relay who may not; `user` is who is logged in."""
        auth = f", Auth {safe(user)}" if user else ""
        self._add(f"{self._prefix}Invalid RELAY client: {_path(sender, recipient)}{auth}")

    def masquerade(self, sender: str) -> None:
        """Say that a user wanted to send as somebody else."""
        self._add(f"{self._prefix}Invalid SENDER: MAIL from <{safe_address(sender)}>")

    def bad_sender(self, sender: str) -> None:
        """Say that the sender is on a list of bad ones."""
        self._add(f"{self._prefix}Invalid SENDER address: BAD MAIL from <{safe_address(sender)}>")

    def bad_recipient(self, sender: str, recipient: str, state: str = "") -> None:
        """Say that a recipient is not taken; `state` is the account's (absent, inactive)."""
        shown = f" state <{safe(state)}>" if state else ""
        self._add(f"{self._prefix}Invalid RECIPIENT address: {_path(sender, recipient)}{shown}")

    def no_mx(self, sender: str) -> None:
        """Say that the sender's domain has no MX."""
        self._add(f"{self._prefix}Non-existing DNS_MX: MAIL from <{safe_address(sender)}>")

    def helo_not_the_client(self, helo: str, fqdn: str) -> None:
        """Say that the HELO name does not lead to the client."""
        self._add(f"{self._prefix}Invalid HELO greeting: HELO <{safe(helo)}> FQDN <{safe(fqdn)}>")

    def helo_not_qualified(self, helo: str) -> None:
        """Say that the HELO name has no dot."""
        self._add(f"{self._prefix}non-FQDN HELO: {safe(helo)}")

    def auth_failure(self, user: str, status: int, method: str, tls: str) -> None:
        """Say that a log-in failed; `method` is the mechanism, or Unknown."""
        self._add(
            f"{self._prefix} AUTH USER [{safe(user)}] status=[{status}]"
            f" AUTH {safe(method)} TLS={safe(tls)} auth failure"
        )

    def host_refused(self, sender: str) -> None:
        """Say that hostaccess does not let this client send as that domain."""
        self._add(
            f"{self._prefix}Invalid SENDER host IP address: MAIL from <{safe_address(sender)}>"
        )

    def sender_blackholed(self, sender: str) -> None:
        """Say that a sender's mail is taken and thrown away."""
        self._add(f"{self._prefix}Blackholed SENDER address: MAIL {safe_address(sender)}")

    def recipient_blackholed(self, sender: str, recipient: str) -> None:
        """Say that a recipient's mail is taken and thrown away."""
        self._add(
            f"{self._prefix}Blackholed RECIPIENT address: MAIL from <{safe_address(sender)}>"
            f" RCPT {safe_address(recipient)}"
        )

    def too_many_recipients(self, sender: str, last: str) -> None:
        """Say that a message has more recipients than allowed."""
        self._add(
            f"{self._prefix}Too many RECIPIENTS: MAIL from <{safe_address(sender)}>"
            f" Last RCPT <{safe_address(last)}>"
        )

    def too_many_invalid(self, sender: str, count: int) -> None:
        """Say that a client guesses recipients."""
        self._add(
            f"{self._prefix}Too many Invalid RECIPIENTS ({count}):"
            f" MAIL from <{safe_address(sender)}>"
        )

    def too_large(self, sender: str, recipient: str, octets: int) -> None:
        """Say that a message is larger than allowed."""
        self._add(f"{self._prefix}data size exceeded: {_path(sender, recipient)} Size: {octets}")

    def banned_content(self, what: str, sender: str, recipient: str, octets: int) -> None:
        """Say that a content check refused a message."""
        self._add(
            f"{self._prefix}virus/banned content: {_one_line(what)}:"
            f" {_path(sender, recipient)} Size: {octets}"
        )

    def greylisted(self, sender: str, recipient: str) -> None:
        """Say that a recipient is to be tried again later."""
        self._add(
            f"{self._prefix}greylist  <{safe_address(sender)}> to <{safe_address(recipient)}>"
        )

    def trouble(self, text: str) -> None:
        """Say what ended or refused the conversation: one of the texts of smtp.md 13.

        ``command too long``, ``Bare LF received``, ``read error: client dropped connection``,
        ``timeout reached reading data from client``, ``OPEN RELAY client``, ...
        """
        self._add(f"{self._prefix}{_one_line(text)}")


class TcpserverLog:
    """tcpserver's lines about the connections to one listener."""

    def __init__(self, sink: LineSink) -> None:
        self._add = sink.add
        self._urgent = sink.urgent

    def status(self, children: int, limit: int, word: str, pid: int) -> None:
        """Say how many connections there are, of how many that may be."""
        self._add(f"tcpserver: status: {children}/{limit} {word}, pid={pid}")

    def connected(self, pid: int, address: str) -> None:
        """Say that a client connected, and the id it got."""
        self._add(f"tcpserver: pid {pid} from {_host(address)}")

    def judged(
        self,
        verdict: str,
        pid: int,
        local: tuple[str, str, int],
        remote: tuple[str, str, int],
        info: str,
        maxperip: int,
    ) -> None:
        """Say ok or deny; `local` and `remote` are name, address and port."""
        here = f"{_host(local[0])}[{_host(local[1])}]{local[2]}"
        there = f"{_host(remote[0])}[{_host(remote[1])}]{_host(info)}:{remote[2]}"
        self._add(f"tcpserver: {verdict} {pid} {here} {there}:maxperip={maxperip}")

    def ended(self, pid: int, status: int) -> None:
        """Say that a connection's work ended."""
        self._add(f"tcpserver: end {pid} status {status}")

    def ended_per_ip(self, address: str, limit: int) -> None:
        """Say that a connection turned away by the limit per address ended."""
        self._add(f"tcpserver: end {_host(address)} perIPlimit {limit}")

    def no_slot(self, address: str, limit: int, reason: str) -> None:
        """Say, at once, that a client has no connection left."""
        self._urgent(
            f"tcpserver: warning: dropping connection, no ip slots for {_host(address)},"
            f" perIPlimit {limit}: {_one_line(reason)}"
        )


def _taken(helo: str, sender: str, recipient: str, auth: str, octets: int, tls: str) -> str:
    return (
        f"HELO <{safe_address(helo)}> MAIL from <{safe_address(sender)}>"
        f" RCPT <{safe_address(recipient)}> AUTH <{_one_line(auth)}> Size: {octets}"
        f" TLS={safe_address(tls)}"
    )


def _path(sender: str, recipient: str) -> str:
    return f"MAIL from <{safe_address(sender)}> RCPT <{safe_address(recipient)}>"


@lru_cache(maxsize=4096)
def _host(text: str) -> str:
    return _octets(text)[:_NAME_LENGTH].translate(_TCPSERVER_SAFE).decode("ascii")


@lru_cache(maxsize=1024)
def _one_line(text: str) -> str:
    """Return a text of ours, blanks kept, without anything that could begin a line."""
    return " ".join(map(safe, text.split(" ")))
