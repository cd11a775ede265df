"""What a decision about relaying costs, with very long lists.

    python -m bench.decision

Every file has 10,000 rules (addresses, prefixes, networks, names, domains, senders) and relaymailfrom 100
patterns besides; the client is in none of them, so that all are asked.
"""

import timeit

from indimail.mail.address import Address
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.policy.relay import RelayFacts, RelayRules, decide_relay
from indimail.policy.relaylists import (
    parse_relayclients,
    parse_relaydomains,
    parse_relaymailfrom,
    parse_tlsclients,
)

ROUNDS = 20_000


def lines(*forms: str) -> list[Line]:
    """Return 10,000 lines, of each form as many, with numbers in them."""
    texts = [
        form.format(n=n, a=n // 250, b=n % 250)
        for form in forms
        for n in range(10_000 // len(forms))
    ]
    return [Line("control/x", number, text) for number, text in enumerate(texts, 1)]


def main() -> None:
    """Print the microseconds of a decision, the best of five rounds."""
    clients = lines("10.{a}.{b}.1:", "11.{a}.{b}.:", "12.{a}.{b}.0/25:", "2001:db8:{a}:{b}::/64:")
    patterns = [Line("control/x", None, f"*spam{n}*@*.p{n}.example") for n in range(100)]
    rules = RelayRules(
        parse_domains(lines("r{n}.example", ".s{n}.example"))[0],
        relayclients={"relayclients": parse_relayclients(clients)[0]},
        relaydomains=parse_relaydomains(lines("h{n}.example.net:", ".d{n}.example.net:"))[0],
        relaymailfrom=parse_relaymailfrom([*lines("u{n}@a.example", "@b{n}.example"), *patterns])[
            0
        ],
        tlsclients=parse_tlsclients(lines("g{n}@x.example"))[0],
    )
    for name, recipient in (("ours", "ana@r5.example"), ("refused", "bob@elsewhere.example")):
        facts = RelayFacts(
            "198.51.100.7", client_host="mx.far.example.org", tls="TLSv1.3",
            reverse_path=Address("somebody", "sender.example.org"),
            forward_path=Address.parse(recipient),
        )  # fmt: skip
        seconds = min(
            timeit.repeat(lambda f=facts: decide_relay(f, rules), number=ROUNDS, repeat=5)
        )
        print(f"{name}: {seconds / ROUNDS * 1e6:.1f} us")


if __name__ == "__main__":
    main()
