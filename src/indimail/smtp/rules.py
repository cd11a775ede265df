"""What an SMTP session obeys: one frozen value, shared by the connections of a listener.

Units: octets and counts; 0 means no limit for every ``max_...`` and for `databytes`.
Sources: ``spec/smtp.md`` 2.3 to 2.6, 6.2, 6.3.  Not here: times, which belong to the driver.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionRules:
    """The protocol's share of the configuration."""

    greeting: tuple[str, ...]  # smtpgreeting, default (me,); the first line begins with our name
    version: str = ""
    extra_greet: bool = True  # "(NO UCE) ESMTP IndiMail <version> <date>"
    help_url: str = ""
    max_line: int = 2048  # octets of a command with its line end
    max_commands: int = 1000  # since the last accepted message; what makes progress is not counted
    max_errors: int = 100  # since the last accepted message
    max_recipients: int = 1000  # accepted ones of one transaction
    databytes: int = 0  # octets as stored
    max_hops: int = 100
    allow_barelf: bool = False
    help: bool = True
    vrfy: bool = True
    smtputf8: bool = False
    dsn: bool = True
    starttls: bool = False  # may be offered: there is a certificate
    auth: tuple[str, ...] = ()  # mechanisms that are switched on, as they are offered; (): no AUTH
    secure_auth: bool = True  # those that show a password are for TLS alone
    old_client: bool = False  # "AUTH=" is offered as well
    submission: bool = False  # port 587; its command set differs by ETRN and ATRN, not built yet
