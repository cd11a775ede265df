import pytest

from indimail.delivery.reported import TEXT_SHOWN, ReportedRecipient


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("no account a@b here by that name. indimail (#5.1.5)", "5.1.5"),
        ("account a@b is inactive. indimail(#5.1.3)", "5.1.3"),
        ("a@b has insufficient quota. 9/8:7/0:6. indimail (#5.1.4)", "5.2.2"),
        ("account a@b locked/overquota 9/8. indimail (#5.1.1)", "5.2.1"),
        ("Remote host said: 550 5.7.1 no\nGiving up. (#5.1.1)", "5.1.1"),
        ("(#5.1.1) and then (#5.2.2)", "5.2.2"),
        ("550 5.7.1 go away", "5.7.1"),
        ("550-5.7.1 go\n550 5.7.26 away", "5.7.26"),
        ("Connected, but 4.4.2 it was.", "4.4.2"),
        ("timed out (#4.4.1)\nThis message has been in the queue too long.", "4.4.1"),
        ("5.1.1", "5.1.1"),
        ("code 5.1.1: no", "5.1.1"),
        ("no code", "5.0.0"),
        ("", "5.0.0"),
        ("2.0.0 ok", "5.0.0"),
        ("host 5.1.1.7 and 15.1.1 and 5.1.1234 and v5.1.1 say no", "5.0.0"),
        ("192.5.1.1 says no", "5.0.0"),
        ("5.01.1 and 5.1.01 are no codes", "5.0.0"),
        ("\N{FULLWIDTH DIGIT FIVE}.1.1 is none, nor 5.1.\N{FULLWIDTH DIGIT ONE}", "5.0.0"),
        ("the end. 5.1.1.", "5.0.0"),
    ],
)
def test_the_code_is_taken_out_of_the_text(text: str, status: str) -> None:
    assert ReportedRecipient("a@b", text, 0.0).status == status


def test_a_long_text_is_repeated_in_part() -> None:
    lines = ReportedRecipient("a@b", "\n x" * TEXT_SHOWN, 0.0).lines
    assert lines[0] == "x"
    assert lines[-1].endswith(" ...")
    assert len("\n".join(lines)) == TEXT_SHOWN + len(" ...")
