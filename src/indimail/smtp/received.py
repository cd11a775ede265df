"""The Received line that reception puts in front of a message.

    Received: indimail-mta smtpd 7 from mx.example.net (HELO laptop) (192.0.2.7)
      by mx.example.com with ESMTP; Mon, 23 Nov 2026 23:15:00 +0000

Every word from outside is cut to the characters that cannot end a word or a line.

Source: spec/smtp.md 12, 0.7; RFC 5321 4.4; RFC 3848 (ESMTPSA).  The word after *with* for a
message with SMTPUTF8 is IndiMail's, UTF8ESMTP...; RFC 6531 4.3 registers UTF8SMTP... for it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.@%+/=:_\[\] -]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from, as the line tells it; empty means unknown."""

    client_name: str
    client_ip: str
    helo: str
    user: str
    local_host: str
    protocol: str
    tls: str = ""
    hide_host: bool = False
    certificate: str = ""


def protocol_word(*, tls: bool, authenticated: bool, utf8: bool) -> str:
    """Return the word after *with* (``spec/smtp.md`` 12)."""
    return f"{'UTF8' if utf8 else ''}ESMTP{'S' if tls else ''}{'A' if authenticated else ''}"


def received_line(queue_id: int, origin: Origin, date: str) -> bytes:
    """Return the line (two, folded), LF at its end."""
    before, after = _around(origin)
    return f"Received: indimail-mta smtpd {queue_id}{before}{after}; {date}\n".encode()


@lru_cache(maxsize=1024)
def _around(o: Origin) -> tuple[str, str]:
    """Return what stands before and after the fold; the same for all mails of a connection."""
    if o.hide_host:
        return "", f" with {o.protocol}"
    name = f" from {_safe(o.client_name)}" if o.client_name else ""
    differs = o.helo and o.helo.lower() != o.client_name.lower()
    helo = f" (HELO {_safe(o.helo)})" if differs else ""
    user = f"{_safe(o.user)}@" if o.user else ""
    tls = f" ({o.tls})" if o.tls else ""
    tls += f" (cert <{_safe(o.certificate)}>)" if o.certificate else ""
    return (
        f"{name}{helo} ({user}{_safe(o.client_ip)})\n ",
        f" by {_safe(o.local_host)} with {o.protocol}{tls}",
    )


def _safe(text: str) -> str:
    return _UNSAFE.sub("?", text)
