"""What a connection is served with, made of resolved settings.

    session_settings(values, ListenerConfig("smtp", "smtp", "::", 25), process, root)

Not here: how the values were found (`app.resolve`), for which clients (`app.read_clients`).
"""

import os

from indimail import __version__
from indimail.app.resolve import Values
from indimail.app.settings import DEFAULT_LINE
from indimail.policy.limits import ConnectionLimits
from indimail.policy.recipient import RecipientLimits
from indimail.policy.sender import SenderRules
from indimail.serve.snapshot import ListenerConfig, ProcessSettings, SessionSettings
from indimail.smtp.rules import SessionRules


def session_settings(
    values: Values, listener: ListenerConfig, process: ProcessSettings, root: str
) -> SessionSettings:
    """Return the settings of one listener's clients; a relative QUEUEDIR is below the root."""
    force_tls, queuedir = values["FORCE_TLS"], values.text("QUEUEDIR")
    return SessionSettings(
        session_rules=session_rules(values, listener, process),
        connection_limits=connection_limits(values, process),
        sender_rules=SenderRules(force_tls=force_tls.rule if force_tls.value else None),
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
        login_seconds=60.0 * values.number("RELAY_CLEAR_MINUTES"),
        norelay=values.switch("NORELAY"),
        localhost=values.text("TCPLOCALHOST"),
        localiphost=values.text("localiphost"),
        more_ip_me=frozenset(values.lines("moreipme")),
        not_ip_me=frozenset(values.lines("notipme")),
        queuedir=os.path.normpath(os.path.join(root, queuedir)) if queuedir else "",
    )


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
        starttls=values.switch("STARTTLS") and bool(process.certificate),
        submission=listener.role == "submission",
    )
