"""The workspace's policy: one YAML file with the rules that protect contacts from all tracks together.

```
topics:
  product-tips: {name: Product tips, opt_in: implied}
  newsletter: {name: Newsletter, opt_in: double}
channels:
  sms: {opt_in: explicit, quiet_hours: {from: '20:00', to: '08:00'}}
caps:
  - {most: 1, per: 1d, channel: sms}
  - {most: 4, per: 7d}
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from tracks.checks.error_messages import say_of
from tracks.model.sending import ExclusionRules
from tracks.model.values import Channel, Duration, LocalSpan, Model, Short, Slug, Text, wrong
from tracks.policy.retention import NO_RETENTION, Retention
from tracks.policy.sales import NO_SALES, Sales
from tracks.shared.problems import Problem, TrackProblems, meant
from tracks.shared.yaml_source import Path, Source, read_yaml

OptIn = Literal["implied", "explicit", "double"]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]

MAX_CAP = timedelta(days=366)
"""The longest span of a cap: each claim counts one contact's ledger rows over this time."""

MAX_WINDOW = timedelta(days=31)
"""The longest window of a breaker: while messages bounce, each check counts the ledger rows of this time."""


MAX_KEPT = timedelta(days=366)
"""The longest time for which texts of messages are kept."""

MAX_PER_ADDRESS = 1_000
"""The largest limit for one address: each claim reads at most this many rows of a day."""


class Topic(Model):
    """Something a contact subscribes to."""

    name: Short = Field(description="what the contact reads on the preference page")
    description: Text = ""
    opt_in: OptIn = Field(
        "implied",
        description="implied: allowed until the contact says no; explicit: only after a yes; double: confirmed by mail",
    )
    names: dict[Locale, Short] = Field(default={}, description="the name in other languages, by locale")
    descriptions: dict[Locale, Text] = {}


class QuietHours(LocalSpan):
    """Local hours in which no promotional message is sent; may cross midnight."""


class ChannelRules(Model):
    """The rules for every promotional message of a channel."""

    opt_in: Literal["implied", "explicit"] = "implied"
    quiet_hours: QuietHours | None = None


class Channels(Model):
    """The rules of each channel."""

    email: ChannelRules = ChannelRules()
    sms: ChannelRules = ChannelRules()


def _bounded(value: timedelta) -> timedelta:
    if value > MAX_CAP:
        raise wrong(f"looks back further than {MAX_CAP.days} days")
    return value


def _some_time(value: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= value <= MAX_WINDOW:
        raise wrong(f"is not between a minute and {MAX_WINDOW.days} days")
    return value


class Cap(Model):
    """The most promotional messages to one contact within any span of this length."""

    most: int = Field(ge=1, le=1000)
    per: Annotated[Duration, AfterValidator(_bounded)]
    channel: Channel | None = Field(None, description="absent: all channels together")
    topic: Slug | None = Field(None, description="absent: all topics together")

    def __str__(self) -> str:
        about = " ".join(part for part in (self.channel, self.topic) if part) or "all"
        days = self.per / timedelta(days=1)
        span = f"{days:g}d" if days >= 1 else f"{self.per / timedelta(hours=1):g}h"
        return f"{about} {self.most} per {span}"


class Breaker(Model):
    """The limits at which sending stops automatically, for one track or for a whole channel.

    The defaults lie well under the rates at which Amazon puts an account under review: 5 % bounces, 0.1 %
    complaints (https://docs.aws.amazon.com/ses/latest/dg/reputationdashboardmessages.html).
    """

    bounces: float = Field(0.03, gt=0, le=1, description="share of messages with a permanent bounce")
    complaints: float = Field(0.0007, gt=0, le=1, description="share of messages with a complaint")
    least: int = Field(200, ge=1, description="messages in the window before a share counts")
    least_bad: int = Field(3, ge=1, description="bounces, or complaints, before their share counts")
    window: Annotated[Duration, AfterValidator(_some_time)] = timedelta(days=1)
    per_second: float = Field(1.0, gt=0, le=1000, description="how fast held messages are sent after it is resumed")
    address_per_hour: int = Field(
        20, ge=1, le=MAX_PER_ADDRESS, description="messages to one address within an hour before the next have to wait"
    )
    address_per_day: int = Field(
        60,
        ge=1,
        le=MAX_PER_ADDRESS,
        description="the same within 24 hours; a limit for tracks that enrol each other in a circle",
    )


ENROLL_APART = timedelta(minutes=30)
ENROLL_MOST = 20
"""The most entries by `enroll` within `ENROLL_APART`, for one contact and a track with one run per object."""


def _bounded_keeping(value: timedelta) -> timedelta:
    if not timedelta(hours=1) <= value <= MAX_KEPT:
        raise wrong(f"is not between an hour and {MAX_KEPT.days} days")
    return value


def _at_least_half_an_hour(value: timedelta) -> timedelta:
    if value < ENROLL_APART:
        raise wrong("may be raised, not lowered: at least 30m")
    return value


class Policy(Model):
    """The rules that protect contacts from all tracks together."""

    topics: dict[Slug, Topic] = {}
    channels: Channels = Channels()
    caps: tuple[Cap, ...] = Field((), max_length=50)
    unless: ExclusionRules = Field(
        (),
        description="who gets no promotional message of any track and enters none that sends some, such as "
        "[{did: order.paid, within: 3d}]; the leaves of segments",
    )
    breaker: Breaker = Breaker()
    enroll_apart: Annotated[Duration, AfterValidator(_at_least_half_an_hour)] = Field(
        ENROLL_APART, description="least time between two entries of a contact into one track by `enroll`, such as 2h"
    )

    keep_sent: Annotated[Duration, AfterValidator(_bounded_keeping)] | None = Field(
        None, description="how long the text of each message is kept as it was sent, such as 30d; absent: not at all"
    )
    sales: Sales = Field(NO_SALES, description="who takes leads that tracks hand over, and which messages then wait")
    retention: Retention = Field(NO_RETENTION, description="how long events are kept; absent: forever")

    def rules(self, channel: Channel) -> ChannelRules:
        """The rules of a channel."""
        return self.channels.email if channel == "email" else self.channels.sms


NO_POLICY = Policy()
"""The policy where none is published: no topics, caps or quiet hours; breakers at their defaults."""


def parse_policy(text: str, name: str = "policy.yaml") -> Policy:
    """Read a policy from YAML. Raises TrackProblems with every problem and its line."""
    source = read_yaml(text)
    if source.data is None and source.problems:
        raise TrackProblems([Problem(name, line, "", message) for line, message in source.problems])
    return _judge(source, name)


def policy_from_data(data: Any, name: str = "policy") -> Policy:
    """As `parse_policy`, for plain data such as JSON: problems have line 0. Raises TrackProblems."""
    return _judge(Source(data=data), name)


def policy_to_data(policy: Policy) -> dict[str, Any]:
    """The policy as JSON data in one canonical form: values equal to their default are left out."""
    return policy.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _judge(source: Source, name: str) -> Policy:
    data = source.data
    problems = [Problem(name, line, "", message) for line, message in source.problems]
    if not isinstance(data, Mapping):
        words = "a policy is a mapping: topics, channels, caps, unless, breaker, keep_sent, sales, retention"
        raise TrackProblems([*problems, Problem(name, source.line(()), "", words)])
    policy: Policy | None = None
    try:
        policy = Policy.model_validate(data)
    except ValidationError as error:
        problems += [Problem(name, source.line(path), "", message) for path, message in say_of(Policy, error, data)]
    problems += [Problem(name, source.line(path), "", message) for path, message in _unknown_topics(data)]
    if problems or policy is None:
        raise TrackProblems(problems)
    return policy


def _unknown_topics(data: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    topics, caps = data.get("topics"), data.get("caps")
    known = list(topics) if isinstance(topics, Mapping) else []
    for index, cap in enumerate(caps if isinstance(caps, list) else []):
        topic = cap.get("topic") if isinstance(cap, Mapping) else None
        if isinstance(topic, str) and topic not in known:
            yield ("caps", index, "topic"), f"topic: there is no topic '{topic}'" + meant(topic, known)
