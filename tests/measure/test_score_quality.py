"""What outcomes say of grades and rules: by the side on which the whole interval lies, and nothing of a few leads."""

from __future__ import annotations

import pytest

from measure.score_quality import Leads, grades, rule, unsupported


def test_silence_is_in_no_share_and_customers_are_among_the_accepted() -> None:
    (hot,) = grades({"hot": Leads(accepted=30, converted=10, rejected=10, unanswered=500)})
    assert (hot.accepted.estimate, hot.converted.estimate) == (0.75, 0.25)
    assert hot.accepted.low < 0.75 < hot.accepted.high


@pytest.mark.parametrize(
    ("points", "given", "others", "verdict"),
    [
        (10.0, Leads(80, 0, 20), Leads(40, 0, 60), "borne out"),
        (10.0, Leads(40, 0, 60), Leads(80, 0, 20), "contradicted"),
        (-10.0, Leads(40, 0, 60), Leads(80, 0, 20), "borne out"),
        (-10.0, Leads(80, 0, 20), Leads(40, 0, 60), "contradicted"),
        (10.0, Leads(50, 0, 50), Leads(48, 0, 52), "not borne out"),
        (10.0, Leads(9, 0, 0), Leads(0, 0, 100), "too few"),
        (10.0, Leads(100, 0, 0), Leads(0, 0, 9, unanswered=100), "too few"),
    ],
)
def test_a_rule_is_judged_by_the_side_of_its_points(points: float, given: Leads, others: Leads, verdict: str) -> None:
    assert rule("r", points, given, others).verdict == verdict


def test_contradicted_rules_come_first_among_those_to_look_at() -> None:
    good, none, bad = Leads(80, 0, 20), Leads(50, 0, 50), Leads(40, 0, 60)
    found = unsupported(
        [rule("a", 5, none, none), rule("b", 5, bad, good), rule("c", 5, good, bad), rule("d", 5, none, none)]
    )
    assert [one.rule for one in found] == ["b", "a", "d"]
