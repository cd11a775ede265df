"""New mail never waits for old mail, and no destination for another."""

from indimail.schedule.window import Window


def filled(fresh: dict[str, int], due: dict[str, int]) -> Window[str]:
    window: Window[str] = Window()
    for destination, number in fresh.items():
        for n in range(number):
            window.add_fresh(f"{destination}{n}", destination)
    for destination, number in due.items():
        for n in range(number):
            window.add_due(f"{destination}{n}", destination)
    return window


def test_destinations_take_turns() -> None:
    window = filled({"a": 4, "b": 1, "c": 2}, {})
    assert window.take(0, 10) == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]
    assert window.take(7, 10) == []


def test_the_cap_holds() -> None:
    window = filled({"a": 9}, {})
    assert len(window.take(3, 5)) == 2
    assert window.take(5, 5) == []
    assert window.take(6, 5) == []
    assert window.take(0, 0) == []
    assert len(window) == 7


def test_due_mail_leaves_slots_free_for_new_mail() -> None:
    """However much is due, and however slow: x starts at once."""
    window = filled({}, {"d": 500, "e": 400})
    assert len(window.take(0, 10)) == 8
    assert window.take(8, 10) == []
    window.add_fresh("x", "a")
    assert window.take(8, 10) == ["x"]


def test_slow_due_mail_never_holds_more_than_its_slots() -> None:
    """New mail ends at once, due mail never: still there is room for new mail after many rounds."""
    window = filled({"a": 5000}, {"d": 900})
    stuck, served = 0, 0
    for _ in range(500):
        for item in window.take(stuck, 10):
            if item.startswith("d"):
                stuck += 1
            else:
                served += 1
                window.done(item)
    assert stuck == 8
    assert served >= 500 * 2


def test_due_mail_has_its_share_while_new_mail_keeps_coming() -> None:
    window = filled({"a": 1000}, {"d": 900})
    started = []
    for _ in range(100):
        for item in window.take(0, 1):
            started.append(item[0])
            window.done(item)
    assert started.count("d") == 20
    assert "".join(started[:10]) == "aaaadaaaad"


def test_a_slot_that_due_mail_gives_back_is_due_mails_again() -> None:
    window = filled({}, {"d": 100})
    first = window.take(0, 5)
    assert len(first) == 4
    window.done(first[0])
    assert len(window.take(3, 5)) == 1


def test_a_caller_that_never_says_done_stops_nothing_for_ever() -> None:
    window = filled({}, {"d": 100})
    window.take(0, 5)
    assert window.take(2, 5) == []
    assert len(window.take(0, 5)) == 4


def test_with_one_slot_both_kinds_get_through() -> None:
    window = filled({"a": 1}, {"d": 1})
    assert window.take(0, 1) == ["a0"]
    assert window.take(0, 1) == ["d0"]


def test_more_is_wanted_when_half_is_gone() -> None:
    window: Window[int] = Window(capacity=10, due_capacity=4)
    for n in range(2):
        assert window.wants_more()
        window.add_due(n, "d")
    assert window.wants_more()
    window.add_due(2, "d")
    assert not window.wants_more()
    window.take(0, 2)
    assert window.wants_more()


def test_room_is_for_new_mail_and_due_mail_takes_none_of_it() -> None:
    window: Window[int] = Window(capacity=2, due_capacity=4)
    window.add_due(0, "d")
    assert window.room == 2
    window.add_fresh(1, "a")
    window.add_fresh(2, "a")
    assert window.room == 0
    window.take(0, 1)
    assert window.room == 1


def test_nothing_is_kept_of_destinations_that_are_done() -> None:
    window = filled({f"u{n}@example.com": 1 for n in range(100)}, {})
    for item in window.take(0, 200):
        window.done(item)
    ring = window._fresh
    assert (len(window), ring._lines, list(ring._turns), ring._standing) == (0, {}, [], set())


# -- destinations that may be slow ---------------------------------------------------------------


def test_a_destination_at_its_cap_leaves_its_turns_to_others() -> None:
    window: Window[str] = Window(per_destination=2)
    for n in range(5):
        window.add_fresh(f"a{n}", "a")
        window.add_due(f"d{n}", "a")
    window.add_fresh("b0", "b")
    assert window.take(0, 10) == ["a0", "b0", "a1"]
    assert window.take(3, 10) == []
    window.done("a0")
    assert window.take(2, 10) == ["a2"]
    assert window.take(3, 10) == []
    for item in ("a1", "a2"):
        window.done(item)
    assert window.take(0, 10) == ["d0", "a3"]


def test_ten_thousand_for_one_destination_leave_room_for_others() -> None:
    window: Window[int] = Window(per_destination=10, line=1000)
    taken = 0
    while not window.is_crowded("tarpit"):
        window.add_fresh(taken, "tarpit")
        taken += 1
    assert taken == 1000
    assert len(window.take(0, 20)) == 10
    window.add_fresh(-1, "b")
    assert window.take(10, 20) == [-1]
    assert window.room > 0


def test_who_goes_together_takes_one_slot_and_ends_with_the_first() -> None:
    window: Window[str] = Window(per_destination=1)
    for item in ("x0", "x1", "x2", "y0", "x3"):
        window.add_fresh(item, "a")
    assert window.take(0, 10) == ["x0"]
    of_x = lambda item: item[0] == "x"  # noqa: E731
    assert window.companions("x0", of_x, 1) == ["x1"]
    assert window.companions("x0", of_x, 99) == ["x2"]
    assert window.take(1, 10) == []
    window.done("x0")
    assert window.take(0, 10) == ["y0"]


def test_of_retried_mail_for_a_destination_a_part_of_its_line_is_loaded() -> None:
    window: Window[int] = Window(per_destination=1, line=10, due_line=3)
    for number in range(3):
        window.add_fresh(number, "a")
        window.add_due(10 + number, "b")
    assert window.crowded() == {"b"}
    assert not window.is_crowded("b")  # for what comes anew
    for number in range(3, 10):
        window.add_fresh(number, "a")
    assert window.crowded() == {"a", "b"}
    assert window.is_crowded("a")


def test_a_line_that_companions_emptied_has_no_turn_until_it_is_filled() -> None:
    window: Window[str] = Window(per_destination=5)
    for item in ("x0", "x1"):
        window.add_due(item, "a")
    window.add_due("z0", "z")
    assert window.take(0, 1) == ["x0"]
    assert window.companions("x0", lambda _: True, 99) == ["x1"]
    assert window.take(1, 10) == ["z0"]
    window.add_due("x2", "a")
    assert window.take(2, 10) == ["x2"]
    for item in ("x0", "z0", "x2"):
        window.done(item)
    assert (len(window), window._busy, window._at) == (0, {}, {})
