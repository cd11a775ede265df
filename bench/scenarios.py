"""What is sent, how it is sent, and the bar each scenario has to reach.

    for scenario in SCENARIOS: ...

Sizes are octets of the body that smtp-source makes (its four header lines come on top).  A bar is
a floor for the median over the rounds: `rate` is ours / Postfix's, `cpu` is ours / Postfix's.
"""

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load, the same for both servers."""

    name: str
    sessions: int
    octets: int
    messages: int
    rate: float
    cpu: float | None = None
    connection_per_mail: bool = False
    recipients: int = 1  # of each mail
    destinations: int = 1  # of mail for elsewhere
    tls: bool = False  # to the next host

    @property
    def title(self) -> str:
        plural = "session" if self.sessions == 1 else "sessions"
        more = ", a connection per mail" if self.connection_per_mail else ""
        more += f", {self.recipients} recipients a mail" if self.recipients > 1 else ""
        more += f", {self.destinations:,} destinations" if self.destinations > 1 else ""
        more += ", TLS to the next host" if self.tls else ""
        return f"{self.octets // KIB} KiB, {self.sessions} {plural}{more}"


SCENARIOS = (
    Scenario("1k-1", 1, KIB, 2000, rate=1.25),
    Scenario("1k-10", 10, KIB, 8000, rate=2.5, cpu=0.4),
    Scenario("1k-50", 50, KIB, 8000, rate=3.0, cpu=0.4),
    Scenario("1k-100", 100, KIB, 8000, rate=3.0, cpu=0.4),
    Scenario("10k-10", 10, 10 * KIB, 6000, rate=2.0, cpu=0.5),
    Scenario("100k-10", 10, 100 * KIB, 1500, rate=1.25),
    Scenario("connection", 10, KIB, 4000, rate=1.5, connection_per_mail=True),
    Scenario("recipients", 10, KIB, 600, rate=1.5, recipients=50),
)
# Mail for the next host (bench.outward).
OUTWARD = (
    Scenario("out-1k-10", 10, KIB, 8000, rate=3.0, cpu=0.4),
    Scenario("out-1k-50", 50, KIB, 8000, rate=3.0, cpu=0.4),
    Scenario("out-1k-100", 100, KIB, 8000, rate=3.0, cpu=0.4),
    Scenario("out-10k-10", 10, 10 * KIB, 6000, rate=3.0, cpu=0.4),
    Scenario("out-10k-100", 100, 10 * KIB, 6000, rate=3.0, cpu=0.4),
    Scenario("out-connection", 10, KIB, 4000, rate=1.5, connection_per_mail=True),
    Scenario("out-recipients", 10, KIB, 600, rate=1.0, recipients=50),
    Scenario("out-destinations", 10, KIB, 1000, rate=2.0, destinations=1000),
    Scenario("out-tls", 10, KIB, 4000, rate=1.0, tls=True),
)
