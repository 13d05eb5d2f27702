from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.runs.split import pick_arm


@dataclass(frozen=True)
class Arm:
    name: str
    weight: int


HALVES = [Arm("short", 50), Arm("long", 50)]


def test_these_contacts_get_these_arms_for_good() -> None:
    assert [pick_arm(f"c-{number}", "trial", "ab", HALVES) for number in range(12)] == [
        1,
        0,
        0,
        0,
        1,
        1,
        0,
        1,
        0,
        1,
        1,
        0,
    ]


@given(st.text(max_size=40), st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(any))
def test_an_arm_is_always_one_that_has_a_weight(contact: str, weights: list[int]) -> None:
    arms = [Arm(str(index), weight) for index, weight in enumerate(weights)]
    assert weights[pick_arm(contact, "t", "s", arms)] > 0


def test_weights_are_kept_to_over_many_contacts() -> None:
    arms = [Arm("a", 1), Arm("b", 3), Arm("off", 0), Arm("c", 6)]
    picked = [pick_arm(f"contact-{number}", "t", "s", arms) for number in range(10_000)]
    shares = [picked.count(index) / len(picked) for index in range(4)]
    assert shares == pytest.approx([0.1, 0.3, 0, 0.6], abs=0.02)


def test_two_splits_divide_the_same_contacts_independently() -> None:
    contacts = [f"contact-{number}" for number in range(4_000)]
    both = sum(pick_arm(c, "t", "one", HALVES) == pick_arm(c, "t", "two", HALVES) for c in contacts)
    assert both / len(contacts) == pytest.approx(0.5, abs=0.04)


def test_without_any_weight_there_is_nothing_to_pick() -> None:
    with pytest.raises(ValueError, match="no arm with a weight"):
        pick_arm("c", "t", "s", [Arm("a", 0)])
