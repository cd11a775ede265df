"""The envelope: who sent a message and for whom, apart from what its header says.

Sources: RFC 5321 2.3.1 (envelope), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 4954 (AUTH),
RFC 3461 (NOTIFY, RET, ENVID, ORCPT).
"""

from msgspec import Struct

from indimail.mail.address import Address


class ReversePath(Struct, frozen=True):
    """MAIL FROM and its parameters; empty text means the parameter was not given."""

    address: Address
    body: str = ""  # 7BIT or 8BITMIME
    smtputf8: bool = False
    size: int = 0  # octets as declared, 0 = not declared
    auth: str = ""  # decoded mailbox, or "<>"
    ret: str = ""  # FULL or HDRS
    envid: str = ""  # as it came, xtext


class ForwardPath(Struct, frozen=True):
    """RCPT TO and its parameters; empty text means the parameter was not given."""

    address: Address
    notify: str = ""  # NEVER, or a comma list of SUCCESS FAILURE DELAY
    orcpt: str = ""  # as it came, addr-type;xtext


class Envelope(Struct, frozen=True):
    """One message for one or more recipients."""

    reverse_path: ReversePath
    forward_paths: tuple[ForwardPath, ...]
