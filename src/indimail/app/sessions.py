"""What a connection is served with, made of resolved settings.

    session_settings(values, ListenerConfig("smtp", "smtp", "::", 25), process, root, None)

Not here: how the values were found (`app.resolve`), for which clients (`app.read_clients`).
"""

import os

from indimail import __version__
from indimail.app.resolve import Values
from indimail.app.settings import DEFAULT_LINE
from indimail.mail.addresslist import AddressList
from indimail.mail.verdict import Rule
from indimail.policy.limits import ConnectionLimits
from indimail.policy.recipient import RecipientLimits
from indimail.policy.sender import SenderRules
from indimail.serve.login import OURS, AuthSettings
from indimail.serve.snapshot import ListenerConfig, ProcessSettings, SessionSettings
from indimail.smtp.rules import SessionRules
from indimail.wire.sasl_server import MECHANISMS


def session_settings(
    values: Values,
    listener: ListenerConfig,
    process: ProcessSettings,
    root: str,
    senders: AddressList | None,
) -> SessionSettings:
    """Return the settings of one listener's clients; a relative QUEUEDIR is below the root.

    `senders` are those of chksenderdomains, None where there is no such file.
    """
    queuedir = values.text("QUEUEDIR")
    return SessionSettings(
        session_rules=session_rules(values, listener, process),
        connection_limits=connection_limits(values, process),
        sender_rules=sender_rules(values, senders),
        recipient_limits=RecipientLimits(
            values.optional_number("MAX_RCPT_ERRCOUNT") or 0, values["MAX_RCPT_ERRCOUNT"].rule
        ),
        timeout=values.number("timeoutsmtpd"),
        session_time=values.number("MAXSESSIONTIME"),
        penalty=values.number("PENALTY"),
        smtps=values.switch("SMTPS"),
        hide_host=values.switch("HIDE_HOST"),
        check_recipient=values.switch("CHECKRECIPIENT"),
        check_recipient_rule=values["CHECKRECIPIENT"].rule,
        relayclient=values.optional_text("RELAYCLIENT"),
        relayclient_rule=values["RELAYCLIENT"].rule,
        relayclients=values.text("RELAYCLIENTS"),
        check_relay=values.optional_text("CHECKRELAY"),
        check_relay_rule=values["CHECKRELAY"].rule,
        login_seconds=60.0 * values.number("RELAY_CLEAR_MINUTES"),
        norelay=values.switch("NORELAY"),
        localhost=values.text("TCPLOCALHOST"),
        localiphost=values.text("localiphost"),
        more_ip_me=frozenset(values.lines("moreipme")),
        not_ip_me=frozenset(values.lines("notipme")),
        queuedir=os.path.normpath(os.path.join(root, queuedir)) if queuedir else "",
        auth=auth_settings(values),
        auth_all=_rule_of(values, "AUTH_ALL"),
    )


def sender_rules(values: Values, senders: AddressList | None) -> SenderRules:
    """Return what is asked at MAIL; `senders` are those of chksenderdomains."""
    return SenderRules(
        force_tls=_rule_of(values, "FORCE_TLS"),
        requireauth=_rule_of(values, "REQUIREAUTH"),
        checksender=_rule_of(values, "CHECKSENDER") or _rule_of(values, "ANTISPOOFING"),
        masquerade=values.optional_text("MASQUERADE"),
        checked=senders,
    )


def auth_settings(values: Values) -> AuthSettings:
    """Return what logins go by."""
    return AuthSettings(
        default_domain=values.text("DEFAULT_DOMAIN"),
        modules=tuple(values.text("AUTHMODULES").split()),
        oauth=tuple(values.text("OAUTHMODULES").split()),
        per_client=values.optional_number("AUTH_FAILURES_PERIP"),
        per_client_rule=values["AUTH_FAILURES_PERIP"].rule,
        per_user=values.number("AUTH_FAILURES_PERUSER"),
        per_user_rule=values["AUTH_FAILURES_PERUSER"].rule,
        domain_limits=values.switch("DOMAIN_LIMITS"),
        allow_inactive=values.switch("ALLOW_INACTIVE"),
        hash_is_secret=values.switch("ENABLE_CRAM"),
        strip_domain=values.switch("STRIP_DOMAIN"),
        postauth=values.text("POSTAUTH"),
    )


def mechanisms(values: Values) -> tuple[str, ...]:
    """Return the mechanisms of AUTH that are switched on."""
    if not values.switch("AUTH"):
        return ()
    has_ours = OURS in values.text("AUTHMODULES").split()
    return tuple(
        name for name in MECHANISMS
        if not values.switch(f"DISABLE_{_switch(name)}")
        and (has_ours or not name.startswith("SCRAM"))
        and ("OAUTH" not in name or values.text("OAUTHMODULES"))
    )  # fmt: skip


def _switch(mechanism: str) -> str:
    """Return the end of the variable that switches a mechanism off (spec/smtp.md 15)."""
    if "OAUTH" in mechanism:
        return "AUTH_OAUTH2"
    if "CRAM" not in mechanism:
        return f"AUTH_{mechanism}"
    return mechanism.replace("SHA-", "SHA").replace("-", "_")


def _rule_of(values: Values, name: str) -> Rule | None:
    """Return the rule that switches something on; None where it is off."""
    return values[name].rule if values.switch(name) else None


def connection_limits(values: Values, process: ProcessSettings) -> ConnectionLimits:
    """Return how many connections there may be."""
    return ConnectionLimits(
        greeting=values.lines("smtpgreeting")[0],
        total=process.max_connections,
        total_rule=process.max_connections_rule,
        maxperip=values.optional_number("MAXPERIP"),
        maxperip_rule=values["MAXPERIP"].rule,
    )


def session_rules(
    values: Values, listener: ListenerConfig, process: ProcessSettings
) -> SessionRules:
    """Return the protocol's share."""
    return SessionRules(
        greeting=values.lines("smtpgreeting"),
        version=__version__,
        extra_greet=not values.switch("DISABLE_EXTRA_GREET"),
        max_line=values.number("maxcmdlen") or DEFAULT_LINE,
        max_commands=values.number("MAXCOMMANDS"),
        max_errors=values.number("MAXERRORS"),
        max_recipients=values.number("maxrecipients"),
        databytes=values.number("databytes"),
        max_hops=values.number("maxhops"),
        allow_barelf=values.switch("ALLOW_BARELF"),
        help=not values.switch("DISABLE_HELP"),
        vrfy=not values.switch("DISABLE_VRFY"),
        smtputf8=values.switch("SMTPUTF8"),
        dsn=not values.switch("DISABLE_DSN"),
        starttls=values.switch("STARTTLS") and bool(process.certificate),
        auth=mechanisms(values),
        secure_auth=values.switch("SECURE_AUTH"),
        old_client=values.switch("OLD_CLIENT"),
        submission=listener.role == "submission",
    )
