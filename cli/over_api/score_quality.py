"""What sales did with the leads of a score's grades and rules, in words: `scores quality` and `handoffs quality`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.over_api.lists import moment
from cli.shared.common import ask_api
from cli.shared.printing import say, say_json, say_table


def say_quality(
    score: str, since: str | None, until: str | None, *, as_json: bool, url: str | None, key: str | None
) -> None:
    """Print the shares of the answered leads that sales took and that became customers, by grade and by rule, and which
    rules' points that does not bear out."""
    asked = {"score": score, "since": moment(since), "until": moment(until)}
    params = {name: value for name, value in asked.items() if value is not None}
    found = ask_api(url, key, "GET", "/v1/handoffs/quality", params=params)
    if as_json:
        say_json(found)
        return
    heads = ["answered", "accepted", "became customers", "unanswered"]
    rows = [[one["grade"], *_shares(one)] for one in found["grades"]]
    say_table(["grade", *heads], rows, empty=f"No lead was handed over with a score '{score}'.")
    for one in found["grades"]:
        if late := one["late"]["accepted"] + one["late"]["rejected"]:
            say(f"{one['grade']}: {late} unanswered leads were answered later, {one['late']['accepted']} with yes")
        if chosen := one["explored"]:
            answered = chosen["leads"]["accepted"] + chosen["leads"]["rejected"]
            say(f"{one['grade']}, handed over by chance: {answered} answered, accepted {_percent(chosen['accepted'])}")
    if not found["rules"]:
        return
    say("")
    rows = [[f"{one['rule']} ({one['points']:+g})", *_shares(one)] for one in found["rules"]]
    say_table(["rule", *heads], rows, empty="")
    for one in found["rules"]:
        gap = one["more_accepted"]
        between = f"between {100 * gap['low']:.0f} and {100 * gap['high']:.0f} points more accepted"
        say(f"{one['rule']} ({one['points']:+g}): {one['verdict']}; {between}")
    for rule in found["unsupported"]:
        say(f"The outcomes do not bear out the points of {rule}.")


def _shares(one: Mapping[str, Any]) -> list[object]:
    leads = one["leads"]
    answered = leads["accepted"] + leads["rejected"]
    return [answered, _percent(one["accepted"]), _percent(one["converted"]), leads["unanswered"]]


def _percent(share: Mapping[str, float]) -> str:
    return f"{100 * share['estimate']:.0f} % ({100 * share['low']:.0f} to {100 * share['high']:.0f})"
