"""The policy is published as one document, and tracks and policy have to match."""

from __future__ import annotations

from tests.api.client import Api, track

POLICY = "topics:\n  tips: {name: Tips}\ncaps:\n  - {most: 2, per: 7d, topic: tips}\n"
YAML = {"Content-Type": "application/yaml"}
ABOUT_TIPS = track("about", more="defaults: {sending: {topic: tips}}\n")


async def test_without_one_nothing_is_capped(api: Api) -> None:
    assert (await api.get("/v1/policy")).json() == {"version": 0, "published_at": None, "source": "", "data": {}}


async def test_it_is_versioned_and_the_same_again_changes_nothing(api: Api) -> None:
    answers = [await api.call("PUT", "/v1/policy", content=POLICY, headers=YAML) for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (201, {"version": 1, "created": True, "changes": []}),
        (200, {"version": 1, "created": False, "changes": []}),
    ]
    read = (await api.get("/v1/policy")).json()
    assert read["source"] == POLICY
    same = await api.call("PUT", "/v1/policy", json=read["data"])
    assert (same.status_code, same.json()["version"]) == (200, 1)


async def test_everything_wrong_is_told_with_its_line(api: Api) -> None:
    answer = await api.call("PUT", "/v1/policy", content="caps:\n  - {most: 0, per: 7}\ntopcs: {}\n", headers=YAML)
    assert answer.status_code == 422
    assert [error["line"] for error in answer.json()["errors"]] == [2, 2, 3]
    assert (await api.get("/v1/policy")).json()["version"] == 0


async def test_a_track_may_only_name_topics_of_the_policy(api: Api) -> None:
    refused = await api.publish(ABOUT_TIPS)
    assert refused.status_code == 422
    assert "there is no topic 'tips' in the policy" in refused.json()["errors"][0]["detail"]
    await api.call("PUT", "/v1/policy", content=POLICY, headers=YAML)
    assert (await api.publish(ABOUT_TIPS)).status_code == 201


async def test_a_topic_that_a_track_sends_about_cannot_be_taken_away(api: Api) -> None:
    await api.call("PUT", "/v1/policy", content=POLICY, headers=YAML)
    await api.publish(ABOUT_TIPS)
    refused = await api.call("PUT", "/v1/policy", content="topics: {}\n", headers=YAML)
    assert refused.status_code == 422
    assert "the track about sends messages about it" in refused.json()["errors"][0]["detail"]
