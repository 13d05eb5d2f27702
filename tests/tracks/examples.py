"""Tracks for several tests."""

from __future__ import annotations

import textwrap
from typing import Any

from tracks.checks.track_document import TrackProblems, parse_track, track_from_data
from tracks.model.track import Track

MINIMAL: dict[str, Any] = {"track": "a", "steps": [{"id": "x", "wait": "1d"}]}
HEAD = """\
track: example
defaults:
  email: {from: ada@acme.test}
  sms: {from: '+15005550006'}
steps:
"""


def with_steps(steps: str) -> str:
    """A track's text with these steps; the first is on line 6."""
    return HEAD + textwrap.indent(textwrap.dedent(steps).strip("\n"), "  ") + "\n"


def track(steps: str) -> Track:
    """A valid track with these steps."""
    return parse_track(with_steps(steps), "example.yaml")


def problems(text: str) -> list[str]:
    """The problems of a track's text, as people read them."""
    try:
        parse_track(text, "t.yaml")
    except TrackProblems as error:
        return [str(problem) for problem in error.problems]
    return []


def data_problems(data: Any) -> list[str]:
    """The problems of a track's data."""
    try:
        track_from_data(data)
    except TrackProblems as error:
        return [str(problem) for problem in error.problems]
    return []


EVERYTHING = """
- id: welcome
  description: the first word
  email:
    template: trial-welcome
    version: 3
    subject: 'Hello {{ contact.attributes.first_name | default: "there" }}'
    from: 'Bob <bob@acme.test>'
    reply_to: bob@acme.test
    variables: {cta: Start}
    on_unknown: review
    transactional: true
- id: owner
  email: {template: tell-owner, to: {attribute: owner_email}}
- id: nudge
  sms: {text: 'Hi {{ contact.attributes.first_name }}', on_unknown: resend}
- id: either
  send:
    to: first
    channels:
      - sms: {text: 'Still {{ mood }}?', variables: {mood: there}, on_unknown: resend}
      - email: {template: still-there}
  skipped: exit
  failed: {steps: [{id: tell-sales, crm: {task: {title: Call}}}]}
- id: settle
  wait: 1d12h
- id: morning
  wait_until: {time: '9:00', weekdays: [mon, fri]}
- id: usage
  wait: {days: enrollment.properties.usage_days - 5, least: 1d, most: 120d, missing: {steps: [{id: usual, wait: 30d}]}}
- id: day-ten
  wait_until: {day: 10, time: '09:00', past: {steps: [{id: over, exit: {reason: over}}]}}
- id: departure
  wait_date: {property: departs_on, offset: -2d, missing: exit, past: exit}
- id: renewal
  wait_date:
    attribute: renewal_date
    offset: -7d
    time: '09:30'
    missing: skip
    past: {steps: [{id: late, sms: {template: late}}]}
- id: clicked
  wait_for:
    event: email.clicked
    where: 'event.properties.step == "welcome"'
    of: welcome
    within: P3D
    since: welcome
    then: [{id: good, set: {attributes: {engaged: true, bored: null}}}]
    else: [{id: bad, set: {attributes: {engaged: false}}}]
- id: on-team
  wait_for:
    condition: 'contact.attributes.plan == "team" || "vip" in contact.segments'
    within: 14d
    then: [{id: welcome-team, set: {attributes: {welcomed: true}}}]
- id: by-role
  branch:
    - {when: 'contact.attributes.role == "engineer"', steps: [{id: docs, email: {template: docs}}]}
    - {when: 'enrollment.steps.clicked == "timed_out" && event.properties.plan == "team"', steps: []}
  else: [{id: other, email: {template: other}}]
- id: ab
  split:
    - {name: short, weight: 50, steps: []}
    - {name: long, weight: 50, steps: [{id: longer, wait: 1w}]}
- id: weekly
  repeat: {times: 52, steps: [{id: week, wait: 7d}, {id: news, email: {template: news}}]}
- id: next
  enroll: {track: win-back, properties: {from: example}}
- id: hot
  crm:
    stage: opportunity
    fields: {score: 9}
    note: 'Came from {{ enrollment.track }}'
    task: {title: Call, due: 1d, owner: sales}
- id: hook
  webhook: {url: 'https://hooks.acme.test/x', payload: {a: [1, {b: null}], link: '{{ event.properties.link }}'}}
- id: bye
  exit: {reason: no-answer}
"""
"""Every step and nearly every key."""
