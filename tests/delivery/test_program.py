"""spec/delivery.md 4 (exit codes) and 5.5 (vdelivermail's texts)."""

import pytest

from indimail.delivery.program import Ended, Next, judge
from indimail.mail.outcome import Deferred, Failed
from indimail.mail.verdict import Rule

RULE = Rule(".qmail", 2)
PERMANENT = [64, 65, 70, 76, 77, 78, 100, 112]
TEMPORARY = [1, 2, 63, 71, 74, 75, 98, 101, 111, 126, 127, 255]


@pytest.mark.parametrize(("code", "then"), [(0, Next.GO_ON), (99, Next.STOP)])
@pytest.mark.parametrize("virtual", [True, False])
def test_what_is_done_goes_on_or_leaves_out_the_rest(code: int, then: Next, virtual: bool) -> None:
    assert judge(Ended(code, "words"), "sort", RULE, virtual=virtual) is then


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [*((c, Failed, "Permanent") for c in PERMANENT), *((c, Deferred, "Temporary") for c in TEMPORARY)],
)  # fmt: skip
def test_a_code_is_for_good_or_for_now(code: int, kind: type, word: str) -> None:
    own = f"sort failed code({code}). {word} error"
    assert judge(Ended(code, "words\n"), "sort", RULE, virtual=False) == kind("words", RULE)
    assert judge(Ended(code), "sort", RULE, virtual=False) == kind(own, RULE)
    said = judge(Ended(code, "words\n"), "sort", RULE, virtual=True)
    assert said == kind(f"words\n{own}", RULE)


def test_a_signal_is_for_now() -> None:
    ended = Ended(signal=11, output="half a word")
    assert judge(ended, "sort", RULE, virtual=False) == Deferred(
        "Aack, child sort crashed. (#4.3.0)", RULE
    )


def test_a_limit_is_for_now_whatever_the_program_said_of_it() -> None:
    ended = Ended(100, "too much\n", limit="ended after 300 s")
    assert judge(ended, "sort", RULE, virtual=False) == Deferred(
        "too much\nsort: ended after 300 s. (#4.3.0)", RULE
    )
