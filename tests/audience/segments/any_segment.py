"""Any segment, any contact, and what anybody may have done: strategies of hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from audience.facts import Fact
from audience.segments.leaves.aggregates import AGGREGATES
from tracks.time.durations import parse_duration

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("app.used", "order.paid")
ATTRIBUTES = {"plan": "team", "seats": 7}
CONTACT = {"id": "ann", "attributes": ATTRIBUTES}
# Beirut changes its clocks at midnight, one day after NOW.
ZONES = (None, "Asia/Beirut", "America/New_York", "Pacific/Kiritimati", "No/Such")
DATES = ("renewal", "renewal", "renewal", "renewal", "nothing", "text")
spans = st.sampled_from(["1d", "3d", "36h", "7d"])
wheres = st.none() | st.just("event.properties.total > 20")
counts = st.tuples(st.sampled_from([">=", "<=", "==", ">", "<"]), st.integers(1, 3)).map(
    lambda two: f"{two[0]} {two[1]}"
)


def leaf(kind: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    parts = {kind: st.sampled_from(NAMES), "where": wheres, **more}
    return st.fixed_dictionaries(parts).map(lambda made: {k: v for k, v in made.items() if v is not None})


def ordered(made: dict[str, Any]) -> bool:
    spans_given = [parse_duration(made[key]) for key in ("before", "within") if key in made]
    return bool(spans_given) and spans_given == sorted(set(spans_given))


def aggregate(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    comparisons = st.tuples(
        st.sampled_from([">=", "<=", "==", ">", "<"]), st.sampled_from(["10", "30", "30.5", "60", "70.5"])
    )
    if kind == "distinct":
        comparisons = st.tuples(st.sampled_from([">=", "==", ">"]), st.sampled_from(["1", "2"]))
    return st.builds(
        lambda event, whole, sign, more: {
            **({kind: f"{event}.total"} if whole else {kind: "total", "of": event}),
            "is": f"{sign[0]} {sign[1]}",
            **more,
        },
        st.sampled_from(NAMES),
        st.booleans(),
        comparisons,
        leaf("within", within=st.none() | spans),
    )


days = st.sampled_from(["today", "in 1d", "in 3d", "2d ago", "2026-03-27", "2026-03-30"])
dates = st.one_of(
    st.fixed_dictionaries({"within": st.sampled_from(["next 0d", "next 2d", "last 0d", "last 3d"])}),
    st.fixed_dictionaries(
        {"within": st.sampled_from(["next 2d", "last 3d"]), "yearly": st.just(True), "leap_day": st.just("28 feb")}
    ),
    st.fixed_dictionaries({"before": days}),
    st.fixed_dictionaries({"after": days}),
    st.sampled_from([{"after": "2d ago", "before": "in 1d"}, {"after": "2026-03-27", "before": "today"}]),
)
STANDINGS = ("in", "on", "converted", "consents", "reachable")
standing = st.one_of(
    st.sampled_from([{"in": "vip"}, {"on": "trial"}, {"consents": "news"}, {"reachable": "sms"}]),
    st.fixed_dictionaries({"converted": st.just("trial")}, optional={"within": spans}),
)
standings_of_anybody = st.dictionaries(
    st.sampled_from(STANDINGS),
    st.lists(
        st.tuples(st.integers(-80, 16), st.none() | st.integers(1, 30)).map(
            lambda drawn: (
                NOW + timedelta(hours=3 * drawn[0]),
                None if drawn[1] is None else NOW + timedelta(hours=3 * (drawn[0] + drawn[1])),
            )
        ),
        max_size=3,
    ),
)
dated = st.builds(lambda name, written: {"date": name, **written}, st.sampled_from(DATES), dates)
once = {"before": st.none() | spans, "within": st.none() | spans}
anything = st.recursive(
    st.sampled_from(
        ['contact.attributes.plan == "team"', "contact.attributes.seats > 10", "contact.attributes.no == 1"]
    )
    | leaf("did", times=counts, within=st.none() | spans)
    | leaf("did_not", within=st.none() | spans)
    | leaf("last", **once).filter(ordered)
    | leaf("first", **once).filter(ordered)
    | st.one_of(*map(aggregate, AGGREGATES))
    | dated
    | dated
    | standing
    | standing,
    lambda parts: (
        st.dictionaries(
            st.sampled_from(["all", "any"]), st.lists(parts, min_size=1, max_size=3), min_size=1, max_size=1
        )
        | st.fixed_dictionaries({"not": parts})
    ),
    max_leaves=5,
)
totals = st.sampled_from([10, 30, 30.0, 30.5, "30", "many", True, None])
facts_of_anybody = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(-80, 16).map(lambda thirds: 3 * thirds), totals), max_size=8
).map(
    lambda drawn: [
        Fact(f"e{number}", name, NOW + timedelta(hours=hours), {} if total is None else {"total": total})
        for number, (name, hours, total) in enumerate(drawn)
    ]
)
contacts = st.builds(
    lambda zone, day, clock: {
        "id": "ann",
        "timezone": zone,
        "attributes": {**ATTRIBUTES, "text": "soon", "renewal": f"{NOW.date() + day * DAY}{clock}"},
    },
    st.sampled_from(ZONES),
    st.integers(-5, 5),
    st.sampled_from(["", "T23:30:00Z", "T00:30:00+14:00", "T12:00:00"]),
)


Stood = dict[str, list[Any]]


def kind_of(leaf: Any) -> str:
    return str(next(iter(leaf.model_dump(mode="json", by_alias=True))))
