from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tracks.policy.frequency_caps import Counted, applying, full
from tracks.policy.workspace_policy import Cap

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
channels = st.sampled_from(["email", "sms"])
topics = st.sampled_from(["", "news", "tips"])
caps = st.lists(
    st.builds(
        lambda most, hours, channel, topic: Cap(most=most, per=timedelta(hours=hours), channel=channel, topic=topic),
        st.integers(1, 4),
        st.integers(1, 200),
        st.none() | channels,
        st.none() | st.sampled_from(["news", "tips"]),
    ),
    max_size=4,
)
sent = st.lists(
    st.builds(lambda c, t, m: Counted(c, t, NOW - timedelta(minutes=m)), channels, topics, st.integers(0, 20_000)),
    max_size=20,
)


def fits(caps: list[Cap], messages: list[Counted], new: Counted, pace: float) -> bool:
    """The rule, computed directly: with the new message, no span that ends with it has more than its cap allows."""
    return all(
        sum(
            one.at > new.at - cap.per / pace
            for one in [*messages, new]
            if cap.channel in (None, one.channel) and cap.topic in (None, one.topic)
        )
        <= cap.most
        for cap in caps
        if cap.channel in (None, new.channel) and cap.topic in (None, new.topic)
    )


@given(caps, sent, channels, topics, st.sampled_from([1.0, 10.0, 86_400.0]))
def test_room_is_found_where_there_is_any_and_at_the_first_moment_otherwise(
    caps: list[Cap], messages: list[Counted], channel: str, topic: str, pace: float
) -> None:
    held = full(applying(caps, channel, topic), messages, NOW, pace)
    assert (held is None) == fits(caps, messages, Counted(channel, topic, NOW), pace)
    if held is not None:
        assert held.until > NOW
        assert fits(caps, messages, Counted(channel, topic, held.until), pace)
        assert not fits(caps, messages, Counted(channel, topic, held.until - timedelta(microseconds=1)), pace)


def test_the_cap_that_is_full_longest_is_named() -> None:
    caps = [Cap(most=1, per=timedelta(days=1), channel="sms"), Cap(most=2, per=timedelta(days=7), topic="news")]
    messages = [Counted("sms", "news", NOW - timedelta(hours=1)), Counted("email", "news", NOW - timedelta(days=2))]
    held = full(caps, messages, NOW)
    assert held is not None
    assert str(held.cap) == "news 2 per 7d"
    assert held.until == NOW + timedelta(days=5)
