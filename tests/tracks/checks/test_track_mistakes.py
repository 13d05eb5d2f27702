"""Each mistake in a track is named, with what would be right."""

from typing import Any

import pytest

from tests.tracks.examples import MINIMAL, data_problems, problems, with_steps


def test_everything_wrong_is_told_at_once_in_the_order_of_the_text() -> None:
    text = """\
track: Trial to paid
nmae: x
reentry: {after: 30}
entry: {event: a, where: 'enrollment.id == "x"'}
goal: {event: b, where: 'enrollment.steps["by-role"] == "x"'}
steps:
  - id: welcome
    email: {template: a, subjct: x}
  - id: welcome
    wait: 2
  - id: dated
    wait_date: {attribute: x, missing: skp}
  - id: by-role
    brnch: []
  - id: clicked
    wait_for: {event: x, within: 3d, since: welcom}
  - id: end
    exit: {}
  - id: after
    wait: 1d
"""
    assert problems(text) == [
        "t.yaml:1: track: 'Trial to paid' should be lower-case letters, digits and -, at most 63, such as day-10",
        "t.yaml:2: unknown key 'nmae'; did you mean 'name'?",
        "t.yaml:3: after: needs a unit, such as 90s, 15m, 36h, 2d or 1w; did you mean 30d?",
        "t.yaml:4: where: 'enrollment' is not known here; this condition can use contact, event, now",
        "t.yaml:5: where: enrollment.steps is known to branches only: this is judged beside the data, not in the run",
        "t.yaml:8: step 'welcome': has no sender: write from: 'Ada <ada@acme.test>' here or in defaults.email",
        "t.yaml:8: step 'welcome': unknown key 'subjct'; did you mean 'subject'?",
        "t.yaml:9: step 'welcome': the id 'welcome' is taken already by an earlier step; ids are unique in a track",
        "t.yaml:10: step 'welcome': wait: needs a unit, such as 90s, 15m, 36h, 2d or 1w; did you mean 2d?",
        "t.yaml:12: step 'dated': 'past' is missing: what happens where the moment has passed already: "
        "skip, exit or {steps: […]}",
        "t.yaml:12: step 'dated': missing: 'skp' should be 'skip' or 'exit'; did you mean 'skip'?",
        "t.yaml:14: step 'by-role': unknown verb 'brnch'; did you mean 'branch'?",
        "t.yaml:16: step 'clicked': there is no step 'welcom'; did you mean 'welcome'?",
        "t.yaml:19: step 'after': no run can come here: every way before it ends in an exit",
    ]


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ("- {id: A b, wait: 1d}", "'A b' should be lower-case letters, digits, - and _"),
        ("- {wait: 1d}", "'id' is missing: stable and unique"),
        ("- {id: step, wait: 1d}", "the id 'step' has a meaning of its own"),
        ("- {id: a}", "the step has no verb: write one of email, sms, send, wait"),
        ("- wait", "a step is a mapping with an id and one verb, not 'wait'"),
        ("- {id: a, wait: 1d, exit: {}}", "exactly one verb; this one has wait and exit"),
        ("- {id: a, wait: 1d, else: []}", "only a branch has an else beside it"),
        (
            "- {id: a, wait: '{{ contact.attributes.days }}'}",
            "is Liquid, not a duration: write one such as 2d, or {days: …, missing: …}",
        ),
        ("- {id: a, wait_for: {event: x, within: 1d, count: 3}}", "put it into a repeat with times: 3"),
        ("- {id: a, set: {attributes: {x: 1}, add: {x: 2}}}", "writes 'x' twice"),
        ("- {id: a, set: {add: {x: true}}}", "should be a number, such as 10 or -2.5, or Liquid that computes one"),
        ("- {id: a, set: {add: {x: '{{ 1'}}}", "is not Liquid"),
        ("- {id: a, set: {add: {x: ten}}}", "should be a number, such as 10 or -2.5, or Liquid that computes one"),
        ("- {id: a, set: {numbers: {x: .inf}}}", "should be a number, such as 10 or -2.5"),
        ("- {id: a, set: {attributes: {'{{ x }}': 1}}}", "is the name of an attribute, not Liquid"),
        (
            "- {id: a, wait_date: {attribute: '{{ x }}', missing: skip, past: skip}}",
            "is the name of an attribute, not Liquid",
        ),
        ("- {id: a, segment: vip}", "unknown verb 'segment': ask for"),
        ("- {id: a, delay: 2d}", "unknown verb 'delay': write wait: 2d"),
        ("- {id: a, if: x}", "unknown verb 'if': write branch"),
        ("- {id: a, push: {text: x}}", "unknown verb 'push': there is no such channel"),
        ("- {id: a, wait_for: {event: [x, y], within: 1d}}", "event: takes one name, not a list"),
        ("- {id: a, wait: 0s}", "must be longer than nothing"),
        ("- {id: a, wait: -2d}", "must be longer than nothing"),
        ("- {id: a, wait: P1M}", "no fixed length"),
        (
            "- {id: a, wait: {days: '5', missing: skip, most: 1d, least: 2d}}",
            "has a least that is longer than its most",
        ),
        ("- {id: a, wait: {days: enrollment.properties.n}}", "'missing' is missing: what happens where the length"),
        ("- {id: a, wait: {days: 5, missing: skip}}", "days: is computed from data; for a fixed length write wait: 5d"),
        ("- {id: a, wait: {missing: skip}}", "needs days or hours, and not both"),
        ("- {id: a, wait: {days: '1', hours: '1', missing: skip}}", "needs days or hours, and not both"),
        ("- {id: a, wait: {days: contact.has_email, missing: skip}}", "days: it is a yes or no; it has to be a number"),
        ("- {id: a, wait: {days: event.properties.n, missing: skip}}", "'event' is not known here"),
        ("- {id: a, wait: {days: enrollment.steps.b, missing: skip}}", "enrollment.steps is known to branches only"),
        ("- {id: a, wait: {days: '{{ n }}', missing: skip}}", "days: is CEL, not Liquid"),
        ("- {id: a, wait_until: {}}", "needs a time, such as '09:00', or weekdays"),
        ("- {id: a, wait_until: {day: 10}}", "'past' is missing: what happens where that day of the run"),
        ("- {id: a, wait_until: {time: '09:00', past: skip}}", "past: is for a day of the run"),
        ("- {id: a, wait_date: {missing: skip, past: skip}}", "needs an attribute of the contact or a property"),
        ("- {id: a, wait_date: {attribute: x, property: y, missing: skip, past: skip}}", "and not both"),
        ("- {id: a, wait_until: {time: '24:00'}}", "is not a time of day"),
        ("- {id: a, wait_until: {weekdays: [monday]}}", "did you mean 'mon'?"),
        ("- {id: a, wait_until: {weekdays: mon}}", "'mon' should be a list"),
        ("- {id: a, wait_date: {attribute: x, past: skip}}", "'missing' is missing: what happens where the attribute"),
        ("- {id: a, wait_date: {attribute: x, missing: [], past: skip}}", "a list should be 'skip' or 'exit'"),
        ("- {id: a, wait_date: {attribute: x, missing: skip, past: soon}}", "'soon' should be 'skip' or 'exit'"),
        (
            "- {id: a, wait_date: {attribute: x, offset: -12h, time: '09:00', missing: skip, past: skip}}",
            "its offset must be whole days",
        ),
        (
            "- {id: a, wait_date: {attribute: x, offset: -48h, time: '09:00', missing: skip, past: skip}}",
            "its offset must be whole days; write -2d",
        ),
        ("- {id: a, wait_date: {attribute: x, missing: skip}}", "'past' is missing: what happens where the moment"),
        (
            "- {id: a, wait_date: {attribute: x, every: year, missing: skip}}",
            "'feb_29' is missing: when 29 February comes in a year that has none: feb-28 or mar-1",
        ),
        ("- {id: a, wait_date: {attribute: x, every: year, feb_29: feb-29, missing: skip}}", "did you mean 'feb-28'?"),
        (
            "- {id: a, wait_date: {attribute: x, every: year, feb_29: mar-1, missing: skip, past: skip}}",
            "a date that comes every year is never past: leave it out",
        ),
        (
            "- {id: a, wait_date: {attribute: x, feb_29: mar-1, missing: skip, past: skip}}",
            "is for dates that come every year: write every: year",
        ),
        ("- {id: a, wait_date: {attribute: x, every: month, missing: skip}}", "every: 'month' should be 'year'"),
        ("- {id: a, sms: {text: x, to: {}}}", "to: needs an attribute of the contact or a property of the enrolment"),
        ("- {id: a, email: {template: x, to: {attribute: o, salesperson: true}}}", "and one only"),
        ("- {id: a, sms: {text: x, to: {salesperson: true}}}", "an email address only; send an email"),
        ("- {id: a, sms: {text: x, to: {attribute: o}, topic: t}}", "goes to somebody else, so it has no `topic`"),
        ("- {id: a, sms: {text: x, to: {attribute: o}, transactional: true}}", "so it has no `transactional`"),
        (
            "- {id: a, send: {channels: [{sms: {text: x, to: {attribute: o}}}, {email: {template: x}}]}}",
            "a message to somebody else is its own step",
        ),
        ("- {id: a, wait_for: {event: x}}", "'within' is missing: how long to wait for it"),
        ("- {id: a, wait_for: {within: 1d}}", "needs an event or a condition, and not both"),
        ("- {id: a, wait_for: {event: x, condition: contact.has_email, within: 1d}}", "and not both"),
        (
            "- {id: a, wait_for: {condition: contact.has_email, by: any, within: 1d}}",
            "has `by`, which only",
        ),
        ("- {id: a, wait_for: {condition: 'now > now', within: 1d}}", "'now' is not known here"),
        ("- {id: a, wait_for: {condition: enrollment.version == 1, within: 1d}}", "reads nothing of the contact"),
        ("- {id: a, wait_for: {condition: contact.attributes.plan, within: x}}", "'x' is not a duration"),
        ("- {id: a, wait_for: {event: x, within: 1d, where: 'a = 1'}}", "write == instead of ="),
        ("- {id: a, branch: []}", "branch: needs at least 1"),
        ("- {id: a, branch: [{when: 'true'}]}", "'steps' is missing"),
        ("- {id: a, split: [{name: x, weight: 1, steps: []}]}", "split: needs at least 2"),
        (
            "- {id: a, split: [{name: x, weight: 0, steps: []}, {name: y, weight: 0, steps: []}]}",
            "an arm with a weight of at least 1",
        ),
        (
            "- {id: a, split: [{name: x, weight: 1, steps: []}, {name: x, weight: 1, steps: []}]}",
            "two arms of one name",
        ),
        ("- {id: a, repeat: {times: 1001, steps: [{id: b, wait: 1d}]}}", "less than or equal to 1000"),
        ("- {id: a, repeat: {times: 2, steps: [{id: b, sms: {text: x}}]}}", "no wait inside"),
        ("- {id: a, sms: {}}", "needs either a template or a text"),
        ("- {id: a, sms: {text: x, template: y}}", "needs either a template or a text"),
        ("- {id: a, sms: {text: '{{ x'}}", "text: is not Liquid"),
        ("- {id: a, sms: {text: x}, skipped: skip}", "'skip' should be 'continue' or 'exit'"),
        ("- {id: a, sms: {text: x}, failed: [{id: b, wait: 1d}]}", "a list should be 'continue' or 'exit'"),
        ("- {id: a, sms: {text: x}, failed: {}}", "'steps' is missing"),
        ("- {id: a, sms: {text: x}, skiped: exit}", "unknown key 'skiped'; did you mean 'skipped'?"),
        ("- {id: a, crm: {note: x}, failed: exit}", "only a message has failed beside it: email, sms, send"),
        ("- {id: a, skipped: exit}", "the step has no verb: write one of"),
        ("- {id: a, send: {channels: [{sms: {text: x}}]}}", "channels: needs at least 2"),
        ("- {id: a, send: {channels: [{sms: {text: x}}, {sms: {text: y}}]}}", "channels: has a channel twice"),
        ("- {id: a, send: {channels: [{sms: {text: x}}, {}]}}", "needs exactly one of email, sms"),
        ("- {id: a, send: {to: all, channels: [{sms: {text: x}}, {email: {template: x}}]}}", "'best' or 'first'"),
        ("- {id: a, send: {channels: [{sms: {text: x}}, {email: {template: x, form: y}}]}}", "did you mean 'from'?"),
        ("- {id: a, send: {to: best}}", "'channels' is missing: at least two, such as [{email: …}, {sms: …}]"),
        ("- {id: a, email: {template: x, version: two}}", "version: 'two' should be a whole number"),
        ("- {id: a, email: {template: x, from: nobody}}", "is not a mailbox"),
        ("- {id: a, email: {template: x, from: dörte@acme.test}}", "from: has 'ö' before the @"),
        ("- {id: a, email: {template: x, reply_to: Dörte <dörte@acme.test>}}", "reply_to: has 'ö' before the @"),
        (
            "- {id: a, email: {template: x, from: a@straße.test}}",
            "as mail systems know it, xn--strae-oqa.test",
        ),
        ("- {id: a, email: {template: x, on_unknown: asume_sent}}", "did you mean 'assume_sent'?"),
        ("- {id: a, email: {template: 12}}", "'12' should be text; put it in quotes"),
        ("- {id: a, crm: {}}", "needs at least one of stage, fields, note, task"),
        ("- {id: a, set: {attributes: {}}}", "set: needs at least one of attributes, add, numbers"),
        ("- {id: a, webhook: {url: ftp://x}}", "is not a web address"),
        ("- {id: a, enroll: {track: example}}", "cannot enrol into itself"),
        ("- {id: a, exit: {reason: No Answer}}", "should be lower-case letters"),
    ],
)
def test_each_mistake_is_named_with_what_would_be_right(steps: str, complaint: str) -> None:
    found = problems(with_steps(steps))
    assert len(found) == 1
    assert found[0].startswith("t.yaml:6: ")
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ({"track": None}, "track: nothing should be text"),
        ({"steps": []}, "steps: needs at least 1"),
        ({"steps": {}}, "steps: a mapping should be a list"),
        ({"entry": "x"}, "entry: 'x' should be a mapping; write {event: …}"),
        ({"entry": {"event": ["x", "y"]}}, "event: an entry takes one event; write a list of entries"),
        ({"entry": {"event": "x", "count": 3}}, "unknown key 'count': a track is entered by each such event"),
        ({"goal": "x"}, "goal: 'x' should be a mapping; write {event: …}"),
        ({"goal": {"event": ["x", "y"]}}, "event: a track has one goal, not a list"),
        ({"exits": {"event": "x"}}, "exits: a mapping should be a list; write [{event: …, reason: …}]"),
        ({"exits": [{"event": ["x", "y"], "reason": "z"}]}, "event: one event an exit; write an exit for each"),
        ({"entry": []}, "entry: needs at least 1"),
        ({"entry": [{"event": "x"}, {"evnt": "y"}]}, "unknown key 'evnt'; did you mean 'event'?"),
        ({"entry": [{"event": "x"}, "y"]}, "entry: 'y' should be a mapping; write {event: …}"),
        ({"entry": [{"event": "x"}, {"event": "x"}]}, "two entries are called 'x'; give this one an id"),
        (
            {"entry": {"segment": "x", "event": "y"}},
            "needs an event, a segment, a score or a date, and only one",
        ),
        ({"entry": {"segments": ["x"]}}, "unknown key 'segments': an entry takes one segment"),
        ({"entry": {"date": {"attribute": "b", "every": "year"}}}, "unknown key 'every': write yearly: true"),
        ({"entry": {"date": {"attribute": "b", "yearly": True}}}, "'feb_29' is missing: when 29 February comes"),
        ({"entry": {"date": {"attribute": "b", "feb_29": "mar-1"}}}, "is for dates that come every year"),
        ({"entry": {"date": {"attribute": "b", "time": "9:00", "offset": "-3h"}}}, "its offset must be whole days"),
        ({"entry": {"date": {"attribute": "b", "past": "skip"}}}, "a date that has passed enrols nobody"),
        (
            {
                "entry": [{"event": "x"}, {"id": "big", "event": "x"}],
                "exits": [{"event": "e", "reason": "r", "where": "enrollment.entry == 'bigg'"}],
            },
            "there is no entry 'bigg'; did you mean 'big'?",
        ),
        ({"goal": {"event": "e", "where": "enrollment.entry == 'x'"}}, "the track has no entry, so no run has one"),
        ({"entry": {"date": "birthday"}}, "date: 'birthday' should be a mapping; write {attribute: …}"),
        ({"goal": [{"event": "x"}]}, "goal: a track has one goal, not a list"),
        ({"entry": {"event": ""}}, "event: needs at least 1"),
        ({"reentry": "sometimes"}, "reentry: 'sometimes' should be 'never' or 'always'; or {after: 30d}"),
        ({"reentry": {"restart": False}}, "restart: 'false' should be true"),
        ({"reentry": {"per": "enrollment.properties.sku", "after": "30d"}}, "write sku"),
        ({"reentry": {"each": "x"}}, "unknown key 'each'"),
        ({"reentry": {"per": "x", "until": "1d"}}, "unknown key 'until'"),
        ({"goal": {"event": "x", "where": "foo(1)"}}, "unknown function 'foo'"),
        ({"exits": [{"event": "x"}]}, "needs a reason, such as reason: canceled"),
        ({"exits": [{"event": "x", "leaves": "vip", "reason": "r"}]}, "needs one of event, leaves, enters and score"),
        ({"defaults": {"sending": {"unless": "contact.plan == 1"}}}, "unless: contact has no 'plan'"),
        ({"defaults": {"timezone": "Berlin"}}, "is not an IANA time zone"),
        ({"defaults": {"sms": {"from": "12"}}}, "is not an SMS sender"),
    ],
)
def test_mistakes_outside_the_steps_are_named_too(head: dict[str, Any], complaint: str) -> None:
    assert any(complaint in problem for problem in data_problems({**MINIMAL, **head}))
