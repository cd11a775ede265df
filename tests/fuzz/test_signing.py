"""Recipients that look as if we had rewritten or signed them: strangers write them as they like.

Invariant: an answer, whatever it is; and mail goes where it needs no permission only for an address
that we made ourselves, in the last days, whatever became of its case.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.address import NULL, Address
from indimail.mail.batv import Batv
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.mail.secret import Secret
from indimail.mail.srs import DAY, LONGEST_HASH, Srs, folded
from indimail.mail.verdict import NO_RULE, Refuse, Rule, TryLater
from indimail.policy.signing import Returned, ReturnFacts, Signing, judge_returned

pytestmark = pytest.mark.fuzz

NOW = 1_795_477_000.0
RULE = Rule("control/srs_domain", 1)
# Long hashes: a short one is guessed now and then.
OURS = Srs("srs.example.com", (Secret("x"),), RULE, hash_length=LONGEST_HASH, hash_min=12)
THEIRS = Srs("far.example", (Secret("y"),), RULE, hash_length=LONGEST_HASH)
TABLE = parse_domains([Line("control/rcpthosts", 1, "example.com")])[0]
BATV = Batv(Secret("key"), RULE, ours=(TABLE,))
EVE = Address("Eve", "example.net")
MADE = [
    srs.rewritten(sender, NOW - days * DAY)
    for days in (0, 7, 8) for srs in (OURS, THEIRS) for sender in (EVE, THEIRS.rewritten(EVE, NOW))
]  # fmt: skip
WORDS = st.one_of(
    st.sampled_from([word for made in MADE for word in (made.local, *made.local.split("="))]),
    st.sampled_from(
        ["=", "==", "+", "-", "@", "SRS0", "srs1", "prvs=", "0783", "abcdef", "é", "%"]
    ),
    st.text(max_size=4),
)
LOCALS = st.one_of(
    st.sampled_from([made.local for made in MADE]), st.lists(WORDS, max_size=8).map("".join)
)
DOMAINS = st.sampled_from([OURS.domain, "example.com", "far.example", ""])


@given(LOCALS, DOMAINS, st.booleans(), st.booleans())
def test_only_what_we_made_needs_no_permission(
    local: str, domain: str, upper: bool, is_bounce: bool
) -> None:
    offered = Address(local.upper() if upper else local, domain)
    facts = ReturnFacts(NULL if is_bounce else EVE, offered)
    found = judge_returned(facts, Signing(OURS, BATV), NOW)
    assert found is None or isinstance(found, Returned | Refuse | TryLater)
    if isinstance(found, Returned) and found.srs_rule != NO_RULE:
        made = [OURS.rewritten(found.address, NOW - days * DAY) for days in range(8)]
        shortest = len("SRS0=") + OURS.hash_min
        assert folded(offered.local)[:shortest] in {
            folded(address.local)[: len("SRS0")] + folded(offered.local)[4:5]
            + folded(address.local)[len("SRS0=") : shortest] for address in made
        }  # fmt: skip
