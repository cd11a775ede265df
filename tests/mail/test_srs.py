"""SRS: what a forward's sender becomes, and what comes back for it.

The addresses of `VECTORS` are those that other implementations (libsrs2, PostSRSd) make of the same
secret on the same day.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.address import Address
from indimail.mail.secret import Secret
from indimail.mail.srs import DAY, SEPARATORS, Forged, Srs
from indimail.mail.verdict import Rule

NOW = 1_577_836_860.0  # 2020-01-01 00:01
OURS = Srs("example.com", (Secret("tops3cr3t"),), Rule("control/srs_domain", 1))
ANA = "SRS0=vmyz=2W=otherdomain.com=test@example.com"


def address(text: str) -> Address:
    return Address.parse(text)


VECTORS = {
    "test@otherdomain.com": ANA,
    "testing@otherdomain.com": "SRS0=rNNq=2W=otherdomain.com=testing@example.com",
    "SRS0=opaque+string@otherdomain.com": "SRS1=chaI=otherdomain.com==opaque+string@example.com",
    "SRS1=X=thirddomain.com==opaque+string@otherdomain.com":
        "SRS1=JIBX=thirddomain.com==opaque+string@example.com",
    "test@example.com": "test@example.com",
}  # fmt: skip


@pytest.mark.parametrize(("sender", "rewritten"), VECTORS.items())
def test_a_sender_is_rewritten_as_others_do_it(sender: str, rewritten: str) -> None:
    assert str(OURS.rewritten(address(sender), NOW)) == rewritten


@pytest.mark.parametrize(
    ("recipient", "original"),
    [
        (ANA, "test@otherdomain.com"),
        ("SRS0=XjO9=2V=otherdomain.com=test@example.com", "test@otherdomain.com"),  # of yesterday
        ("srs0=xjo9=2v=otherdomain.com=test@example.com", "test@otherdomain.com"),
        ("SRS0+XJO9=2V=OTHERDOMAIN.COM=TEST@EXAMPLE.COM", "TEST@otherdomain.com"),
        ("SRS1=JIBX=thirddomain.com==opaque+string@example.com",
         "SRS0=opaque+string@thirddomain.com"),
        ("SRS0=vmyzGIMV=2W=otherdomain.com=test@example.com", "the hash is none of ours"),
        # What is no longer, not yet, or never was ours.
        ("SRS0=te87=T7=otherdomain.com=test@example.com", "it is 215 days old, and counts for 7"),
        ("SRS0=VcIb=7N=otherdomain.com=test@example.com", "it is 873 days old, and counts for 7"),
        ("SRS0=FAKE=2W=otherdomain.com=test@example.com", "the hash is none of ours"),
        ("SRS0=vmyz=2W=otherdomain.com=best@example.com", "the hash is none of ours"),
        ("SRS0=vmy=2W=otherdomain.com=test@example.com", "the hash is none of ours"),
        ("SRS0==2W=otherdomain.com=test@example.com", "the hash is none of ours"),
        ("SRS0=XjO9=00=otherdomain.com=test@example.com", "the hash is none of ours"),
        ("SRS1=XXXX=thirddomain.com==opaque+string@example.com", "the hash is none of ours"),
        ("SRS0=@example.com", "it is cut short"),
        ("SRS0=XjO9=2V=otherdomain.com@example.com", "it is cut short"),
        ("SRS1=JIBX=thirddomain.com@example.com", "it is cut short"),
    ],
)  # fmt: skip
def test_what_comes_back_is_read_as_others_do_it(recipient: str, original: str) -> None:
    found = OURS.original(address(recipient), NOW)
    assert (found.reason if isinstance(found, Forged) else str(found)) == original


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (ANA, True), ("srs1-x@example.com", True), ("SRS0@example.com", False),
        ("SRS0x=y@example.com", False), ("srs@example.com", False),
        ("SRS0=vmyz=2W=otherdomain.com=test@elsewhere.example", False),
    ],
)  # fmt: skip
def test_only_a_tag_at_our_domain_is_looked_at(text: str, is_one: bool) -> None:
    assert OURS.is_rewritten(address(text)) is is_one


@pytest.mark.parametrize(("days", "counts"), [(0, True), (7, True), (8, False), (-1, False)])
def test_it_counts_for_a_week(days: int, counts: bool) -> None:
    found = OURS.original(address(ANA), NOW + days * DAY)
    assert isinstance(found, Address) is counts
    assert OURS.original(address(ANA), None) == address("test@otherdomain.com")


def test_days_begin_again_after_1024() -> None:
    late = NOW + 1024 * DAY
    assert str(OURS.rewritten(address("test@otherdomain.com"), late)) == ANA


def test_an_old_secret_still_verifies_and_the_new_one_signs() -> None:
    newer = replace(OURS, secrets=(Secret("new"), *OURS.secrets))
    assert newer.original(address(ANA), NOW) == address("test@otherdomain.com")
    made = newer.rewritten(address("test@otherdomain.com"), NOW)
    assert str(made) != ANA
    assert isinstance(OURS.original(made, NOW), Forged)


def test_a_hash_of_another_length_is_taken_if_it_is_no_shorter_than_asked() -> None:
    longer = replace(OURS, hash_length=8)
    made = longer.rewritten(address("test@otherdomain.com"), NOW)
    assert str(made).startswith("SRS0=vmyz")
    assert OURS.original(made, NOW) == address("test@otherdomain.com")
    strict = replace(longer, hash_min=8)
    assert strict.original(made, NOW) == address("test@otherdomain.com")
    assert strict.original(address(ANA), NOW) == Forged("the hash is none of ours")


def test_a_mail_that_comes_to_us_twice_finds_its_sender() -> None:
    other = Srs("elsewhere.example", (Secret("other"),), OURS.rule)
    sender = address("test@otherdomain.com")
    again = OURS.rewritten(other.rewritten(OURS.rewritten(sender, NOW), NOW), NOW)
    assert again.local.startswith("SRS1=")
    assert OURS.original(again, NOW) == sender


LOCALS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
DOMAINS = st.from_regex(r"[a-z0-9-]{1,10}\.[a-z]{2,5}", fullmatch=True)
SENDERS = st.builds(Address, LOCALS, DOMAINS)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).map(Secret)


@given(
    SENDERS.filter(lambda sender: not sender.local.lower().startswith(("srs0", "srs1"))),
    st.lists(KEYS, min_size=1, max_size=5),
    st.sampled_from(SEPARATORS),
    st.integers(4, 27),
    st.integers(0, 7),
)
def test_a_bounce_finds_the_sender_through_any_number_of_forwarders(
    sender: Address, keys: list[Secret], separator: str, length: int, days: int
) -> None:
    hops = [
        Srs(f"hop{number}.example", (key,), OURS.rule, hash_length=length, separator=separator)
        for number, key in enumerate(keys)
    ]
    path = sender
    for hop in hops:
        path = hop.rewritten(path, NOW)
    asked = []
    back: Address | Forged = path
    while isinstance(back, Address) and back.domain.startswith("hop"):
        [hop] = [hop for hop in hops if hop.domain == back.domain]
        asked.append(hop)
        back = hop.original(back, NOW + days * DAY)
    assert back == sender
    assert asked == ([hops[-1], hops[0]] if len(hops) > 1 else hops)


@given(SENDERS, st.data())
def test_a_changed_character_is_noticed_unless_it_is_its_case(sender: Address, data) -> None:
    made = replace(OURS, hash_length=12, hash_min=12).rewritten(sender, NOW)
    at = data.draw(st.integers(5, len(made.local) - 1))
    other = data.draw(st.characters(categories=["L", "N"]))
    local = made.local[:at] + other + made.local[at + 1 :]
    found = replace(OURS, hash_min=12).original(Address(local, made.domain), NOW)
    same = local.encode().lower() == made.local.encode().lower()
    assert isinstance(found, Forged) is not same


@given(st.text(max_size=80), st.one_of(st.none(), st.floats(0, 1e11)))
def test_whatever_is_offered_is_an_address_or_forged(local: str, now: float | None) -> None:
    offered = Address(local, OURS.domain)
    if OURS.is_rewritten(offered):
        assert isinstance(OURS.original(offered, now), Address | Forged)
