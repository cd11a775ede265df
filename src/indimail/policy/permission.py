"""The reason in an `Accept`: by what a recipient was allowed.

Source: spec/smtp.md 3.
"""

from enum import StrEnum


class Permission(StrEnum):
    """What lets a client send to a recipient: the domain is ours, or one of the methods."""

    NO_DOMAIN = "no domain"  # qmail's lone box: delivered at control/envnoathost
    RCPTHOSTS = "rcpthosts"
    TCP_SMTP = "tcp.smtp"
    RELAYCLIENTS = "relayclients"
    RELAYDOMAINS = "relaydomains"
    SMTP_AUTH = "smtp-auth"
    RELAYMAILFROM = "relaymailfrom"
    TLSCLIENTS = "tlsclients"
    RELAY_TABLE = "relay table"
    SRS = "srs"
