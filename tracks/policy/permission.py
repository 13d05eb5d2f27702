"""The rule whether a message may be sent at all: address, suppression, consent."""

from __future__ import annotations

from collections.abc import Mapping

from tracks.model.values import Channel
from tracks.policy.workspace_policy import OptIn, Policy

WHOLE_CHANNEL = ""
"""The topic of a consent to the whole channel."""
UNSUBSCRIBED = "unsubscribed"
_PASSED_BY_TRANSACTIONAL = frozenset({UNSUBSCRIBED})


def refusal(
    policy: Policy,
    channel: Channel,
    *,
    topic: str,
    transactional: bool,
    address: str | None,
    suppressed: str | None,
    consents: Mapping[str, str],
    somebody_else: bool = False,
) -> str:
    """Why a message may not be sent to this contact; empty if it may.

    `suppressed` is the reason why the address is suppressed. `consents` maps a topic ('' is the whole channel) to
    `granted`, `pending` or `withdrawn`. A transactional message needs no consent and ignores an unsubscribe.
    A message to `somebody_else` needs no consent either, but they may have unsubscribed.
    """
    if not address:
        return "no address"
    passed = _PASSED_BY_TRANSACTIONAL if transactional and not somebody_else else ()
    if suppressed is not None and suppressed not in passed:
        return f"suppressed: {suppressed}"
    if transactional or somebody_else:
        return ""
    for about, word in ((WHOLE_CHANNEL, channel), (topic, topic)):
        if consents.get(about) == "withdrawn":
            return f"no consent: {word} withdrawn"
    if topic:
        if topic not in policy.topics:
            return f"no consent: topic {topic} is not in the policy"
        asked = policy.topics[topic].opt_in
        if asked != "implied":
            return _unless_granted(asked, topic, consents.get(topic))
    if policy.rules(channel).opt_in != "implied" and "granted" not in (
        consents.get(WHOLE_CHANNEL),
        consents.get(topic),
    ):
        return f"no consent: {channel} needs a yes"
    return ""


def _unless_granted(asked: OptIn, topic: str, status: str | None) -> str:
    if status == "granted":
        return ""
    return f"no consent: {topic} not confirmed" if status == "pending" else f"no consent: {topic} needs a yes"
