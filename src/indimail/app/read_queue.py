"""Which queues there are, how they are worked off, and what holds for every delivery.

    queue_settings(reading, process).send.concurrencylocal    -> 10

Sources: spec/queue.md 1.6, 1.8; spec/delivery.md 8, 9.
"""

import os
from dataclasses import replace

from indimail.app.reading import Reading
from indimail.app.resolve import Scope, Values, resolve
from indimail.app.settings import BY_NAME
from indimail.delivery.blackhole import parse_black_hole
from indimail.delivery.bounce import BounceSettings
from indimail.delivery.daily import MAILCOUNT_LIMIT, MAILSIZE_LIMIT, DailyLimits
from indimail.delivery.overquota import WARNINGS
from indimail.delivery.program import Limits
from indimail.mail.match import parse_domain_rules
from indimail.mailbox.maildirsize import Counting
from indimail.serve.snapshot import (
    InjectSettings,
    LocalSettings,
    ProcessSettings,
    QueueSettings,
    QuotaSettings,
    SendSettings,
)


def queue_settings(reading: Reading, process: ProcessSettings) -> QueueSettings:
    """Return which queues there are and how they are worked off."""
    values = reading.values([Scope.PROCESS, Scope.QUEUE])
    lifetime = values.number("queuelifetime")
    send = SendSettings(
        concurrencylocal=values.number("concurrencylocal"),
        concurrencyremote=values.number("concurrencyremote"),
        holdlocal=values.number("holdlocal") > 0,
        holdremote=values.number("holdremote") > 0,
        queuelifetime=lifetime,
        bouncelifetime=min(lifetime, values.number("bouncelifetime")),
    )
    return QueueSettings(
        base=reading.instance.queue_base,
        start=values.number("QUEUE_START"),
        count=values.optional_number("QUEUE_COUNT") or process.workers,
        queuedir=reading.instance.queuedir,
        min_free=values.number("MIN_FREE"),
        send=send,
        sends=_sends(reading, send),
        inject=_inject(reading),
        bounces=_bounces(reading, values),
        default_delivery="\n".join(values.lines("defaultdelivery")),
        quota=_quota(reading, values),
        local=_local(reading, values),
        black_hole=parse_black_hole(
            reading.controls["blackholedsender"].lines, reading.controls["blackholedpatterns"].lines
        ),
        programs=Limits(
            seconds=values.number("PROGRAM_SECONDS"),
            cpu=values.number("PROGRAM_CPU"),
            memory=values.number("PROGRAM_MEMORY"),
            processes=values.number("PROGRAM_PROCESSES"),
            file=values.number("PROGRAM_FILE"),
            output=values.number("PROGRAM_OUTPUT"),
            at_once=values.number("PROGRAMS"),
        ),
        lspawn_idle=values.number("LSPAWN_IDLE"),
    )


def _local(reading: Reading, values: Values) -> LocalSettings:
    """Return what holds for deliveries to all local addresses."""
    domains, only_local = reading.controls["localdomains"].lines, values["LOCALDOMAINS"].rule
    return LocalSettings(
        max_delivered_to=values.number("maxdeliveredto"),
        qmail_ext=values.switch("QMAIL_EXT"),
        discard_bounce=values.switch("DISCARD_BOUNCE"),
        allow_inactive=values.switch("ALLOW_INACTIVE"),
        no_alias=values.text("NOALIAS")[:1] > "0",
        duplicates=values.number("ELIMINATE_DUPS_INT") if values.switch("ELIMINATE_DUPS") else 0,
        local_domains=reading.noted(*parse_domain_rules(domains, suffixes=True)),
        only_local=only_local if values.switch("LOCALDOMAINS") else None,
    )


def _quota(reading: Reading, values: Values) -> QuotaSettings:
    """Return what holds for the quotas of all mailboxes."""
    root, hold = reading.instance.root, values.text("HOLDOVERQUOTA")
    command = values.text("OVERQUOTA_CMD") or f"{values.text('LIBEXECDIR')}/overquota.sh"
    messages = values.optional_number("MAILCOUNT_LIMIT")
    octets = values.optional_number("MAILSIZE_LIMIT")
    limits = DailyLimits(
        MAILCOUNT_LIMIT if messages is None else messages,
        MAILSIZE_LIMIT if octets is None else octets,
    )
    warnings = (f"QUOTAWARN{number}" for number in range(1, WARNINGS + 1))
    return QuotaSettings(
        counting=Counting(
            max_age=values.number("MAILDIRSIZE_MAX_AGE"),
            max_size=values.number("MAILDIRSIZE_MAX_SIZE"),
            fast=values.switch("FAST_QUOTA"),
            include_trash=values.switch("INCLUDE_TRASH"),
        ),
        mailsize=values.number("OVERQUOTA_MAILSIZE"),
        limits=None if messages is None and octets is None else limits,
        percents=tuple(values.optional_number(name) or 0 for name in warnings),
        command=os.path.normpath(os.path.join(root, command)),
        hold=hold if os.path.isabs(hold) else "",
    )


def _bounces(reading: Reading, values: Values) -> BounceSettings:
    """Return how bounces are made."""
    double = values.lines("doublebounceto")
    return BounceSettings(
        me=reading.me,
        bouncefrom=values.text("bouncefrom"),
        bouncehost=values.text("bouncehost"),
        bouncesubject=values.text("bouncesubject"),
        bouncemessage=values.lines("bouncemessage"),
        bouncemaxbytes=values.number("bouncemaxbytes"),
        doublebounceto=double[0] if double else "",
        doublebouncehost=values.text("doublebouncehost"),
        doublebouncesubject=values.text("doublebouncesubject"),
        doublebouncemessage=values.lines("doublebouncemessage"),
        delaywarn=values.number("delaywarn"),
        queuelifetime=values.number("queuelifetime"),
    )


def _inject(reading: Reading) -> InjectSettings:
    """Return what holds for local programs, which no listener and no rule is about."""
    values = reading.values([Scope.CLIENT])
    return InjectSettings(
        databytes=values.number("databytes"),
        databytes_rule=values["databytes"].rule,
        max_recipients=values.number("maxrecipients"),
        max_recipients_rule=values["maxrecipients"].rule,
        hide_host=values.switch("HIDE_HOST"),
    )


def _sends(reading: Reading, send: SendSettings) -> dict[str, SendSettings]:
    """Read concurrencyl.QUEUE and concurrencyr.QUEUE."""
    found: dict[str, SendSettings] = {}
    for name in reading.control_names():
        prefix, _, queue = name.partition(".")
        channel = {"concurrencyl": "local", "concurrencyr": "remote"}.get(prefix)
        if channel and queue and not queue.endswith("."):
            setting = replace(BY_NAME[f"concurrency{channel}"], control=name)
            value = reading.noted(*resolve(setting, [], reading.controls, reading.me))
            number = Values({name: value}).number(name)
            old = found.get(queue, send)
            found[queue] = (
                replace(old, concurrencylocal=number)
                if channel == "local"
                else replace(old, concurrencyremote=number)
            )
    return found
