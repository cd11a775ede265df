"""How senders are marked on their way out: the files of SRS and BATV.

    signing_rules(reading, relay).srs         -> Srs("srs.example.org", ...), None without srs_domain

Source: spec/smtp.md 8.6, 14.
"""

from indimail.app.reading import Reading
from indimail.app.resolve import Scope, Values, control_of, given
from indimail.app.settings import BY_NAME
from indimail.control.files import ControlFile
from indimail.mail.batv import Batv
from indimail.mail.errors import Mistake
from indimail.mail.match import DomainTable, parse_domains
from indimail.mail.secret import Secret
from indimail.mail.srs import Srs
from indimail.policy.relay import RelayRules
from indimail.policy.signing import Signing


def signing_rules(reading: Reading, relay: RelayRules) -> Signing:
    """Read all of it; `relay` says which domains are ours."""
    values = reading.values([Scope.QUEUE])
    srs = _srs(reading, values)
    return Signing(srs, _batv(reading, values, relay, srs))


def _srs(reading: Reading, values: Values) -> Srs | None:
    domain, secrets = values["srs_domain"], values.lines("srs_secrets")
    if domain.value is None:
        return None
    if not secrets:
        expected = "a secret, as srs_domain is set"
        reading.mistakes.append(Mistake(_file(reading, "srs_secrets").name, None, "none", expected))
        return None
    length, shortest = values.number("srs_hashlength"), values.number("srs_hashmin")
    if shortest > length:
        expected = f"no more than the {length} of srs_hashlength"
        reading.mistakes.append(
            Mistake(str(values["srs_hashmin"].rule), None, str(shortest), expected)
        )
    return Srs(
        values.text("srs_domain"), tuple(map(Secret, secrets)), domain.rule,
        max_age=values.number("srs_maxage"),
        hash_length=length,
        hash_min=shortest,
        separator=values.text("srs_separator"),
        always=values.number("srs_alwaysrewrite") > 0,
    )  # fmt: skip


def _batv(reading: Reading, values: Values, relay: RelayRules, srs: Srs | None) -> Batv | None:
    if not values.text("batvkey"):
        return None
    own = {} if srs is None else {srs.domain: srs.rule}
    return Batv(
        Secret(values.text("batvkey")), values["batvkey"].rule, values.number("batvkeystale"),
        (relay.rcpthosts, relay.morercpthosts, DomainTable(own.get, suffixes=False)),
        _domains(reading, "batvnosignlocals"),
        _domains(reading, "batvnosignremote"),
    )  # fmt: skip


def _domains(reading: Reading, name: str) -> DomainTable:
    return reading.noted(*parse_domains(_file(reading, name).lines))


def _file(reading: Reading, name: str) -> ControlFile:
    """Return a control file, or the one that a variable names in its place."""
    setting = BY_NAME[name]
    return reading.controls[control_of(setting, given(setting, reading.levels))]
