"""Where mail for other hosts goes, and from which address: the files of remote delivery.

    remote_settings(reading, workers=2).routes        -> Routes(...), for `schedule.nexthop`

Sources: spec/queue.md 2.3, 3.3.
"""

import os
import stat

from indimail.app.reading import Reading
from indimail.app.resolve import Resolved, Scope, Values
from indimail.control.files import ControlFile
from indimail.delivery.mx import Ourselves
from indimail.mail.address import domain_key
from indimail.mail.ip import plain_ip
from indimail.mail.line import Line
from indimail.mail.match import key_of
from indimail.net.dns import parse_server
from indimail.schedule.logins import Logins, logins_from_records, parse_logins
from indimail.schedule.nexthop import Routes
from indimail.schedule.outgoing import (
    Bound,
    Outgoing,
    parse_addresses,
    parse_bindroutes,
    parse_domainbindings,
    parse_helohostbyip,
)
from indimail.schedule.smtproutes import RouteTable, parse_smtproutes, routes_from_records
from indimail.serve.snapshot import RemoteSettings

AUTH = ("AUTH_SMTP", "SECURE_AUTH")  # which a line of smtproutes may set, too
OF_DOMAIN = "outgoingip."


def remote_settings(reading: Reading, workers: int) -> RemoteSettings:
    """Read all of it."""
    values = reading.values([Scope.PROCESS, Scope.CLIENT, Scope.DELIVERY])
    variables = reading.variables()
    return RemoteSettings(
        servers=tuple(map(parse_server, values.lines("dns.servers"))),
        routes=_routes(reading, values),
        outgoing=_outgoing(reading, values),
        ourselves=Ourselves(
            names=frozenset({reading.me, str(values["helohost"].value)}),
            more=frozenset(map(plain_ip, values.lines("moreipme"))),
            others=frozenset(map(plain_ip, values.lines("notipme"))),
        ),
        timeoutconnect=values.number("timeoutconnect"),
        timeoutremote=values.number("timeoutremote"),
        per_host=max(1, values.number("remote.per_host") // workers),
        no_tls=frozenset(map(domain_key, values.lines("notlshosts"))),
        auth={name: variables[name] for name in AUTH if name in variables},
        next_after_hello=values.switch("TRY_NEXT_MX_HELO_FAIL"),
    )


def _routes(reading: Reading, values: Values) -> Routes:
    name = values.text("SMTPROUTESFILE")
    base = values.text("MORESMTPROUTESCDB").removesuffix(".cdb")
    text = reading.controls[name]
    tables = (
        reading.noted(*parse_smtproutes(text.lines)),
        _more(reading, base, reading.controls[base]),
        _more(reading, name, ControlFile(text.name)),
    )
    routes = Routes(
        files=tuple(table for table in tables if table),
        variable=_variable(reading, values["SMTPROUTE"]),
        logins=_logins(reading),
        min_penalty=values.number("MIN_PENALTY"),
        max_tolerance=values.number("MAX_TOLERANCE"),
    )
    if any(table.has_logins for table in tables):
        for file in (name, f"{base}.cdb", f"{name}.cdb"):
            _warn_if_open(reading, file)
    if routes.logins:
        _warn_if_open(reading, "remote_auth")
        _warn_if_open(reading, "remote_auth.cdb")
    return routes


def _more(reading: Reading, name: str, text: ControlFile) -> RouteTable:
    """Return the routes of a data base, or of the text that it is made from, if that is newer."""
    base = reading.newer_base(reading.controls.locate(name), text)
    if base is None:
        return reading.noted(*parse_smtproutes(text.lines))
    return reading.noted(*routes_from_records(reading.records(base), f"{text.name}.cdb"))


def _variable(reading: Reading, value: Resolved) -> RouteTable | None:
    if value.value is None:
        return None
    return reading.noted(*parse_smtproutes([_line(value)]))


def _line(value: Resolved) -> Line:
    """Return what a variable says as a line of where it stands."""
    rule = value.rule
    file = rule.file if rule.line is not None else str(rule)
    return Line(file, rule.line, str(value.value))


def _logins(reading: Reading) -> Logins:
    text = reading.controls["remote_auth"]
    base = reading.newer_base(reading.controls.locate("remote_auth"), text)
    if base is None:
        return reading.noted(*parse_logins(text.lines))
    return reading.noted(*logins_from_records(reading.records(base), f"{text.name}.cdb"))


def _warn_if_open(reading: Reading, name: str) -> None:
    """Tell of passwords that every user of the system may read."""
    try:
        mode = os.stat(reading.controls.locate(name)).st_mode
    except OSError:
        return
    if mode & stat.S_IROTH:
        shown = reading.controls.display(name)
        reading.notices.append(f"{shown}: holds passwords, and everybody may read it (chmod 640)")


def _outgoing(reading: Reading, values: Values) -> Outgoing:
    def bound(value: Resolved) -> tuple[Bound, ...]:
        if value.value is None:
            return ()
        return reading.noted(*parse_addresses([_line(value)]))

    controls, helohost = reading.controls, values["helohost"]
    return Outgoing(
        helohost=(str(helohost.value), helohost.rule),
        variable=bound(values["OUTGOINGIP"]),
        addresses=reading.noted(*parse_addresses(controls["outgoingip"].lines)),
        by_domain=_by_domain(reading),
        domainbindings=reading.noted(*parse_domainbindings(controls["domainbindings"].lines)),
        bindroutes=reading.noted(*parse_bindroutes(controls["bindroutes"].lines)),
        helohostbyip=reading.noted(*parse_helohostbyip(controls["helohostbyip"].lines)),
    )


def _by_domain(reading: Reading) -> dict[str, tuple[Bound, ...]]:
    """Read outgoingip.DOMAIN."""
    found = {}
    for name in reading.control_names():
        key = key_of(name.removeprefix(OF_DOMAIN)) if name.startswith(OF_DOMAIN) else None
        if key is not None:
            found[key] = reading.noted(*parse_addresses(reading.controls[name].lines))
    return found
