from __future__ import annotations

import asyncio

import pytest
from ruamel.yaml import YAML

from store.published import tracks
from store.published.entry_rules import EntryRule, Reentry, Rules
from store.published.versions import Published
from tests.store.store_calls import NOW, TRIAL, WELCOME, StoreCalls
from tracks.checks.track_document import TrackProblems, parse_track
from tracks.compiler.compiler import compile_track
from tracks.model.entry import MAX_AGE
from tracks.model.track import Track
from tracks.model.values import PUBLISHED


async def publish(store: StoreCalls, document: str) -> Published:
    track = parse_track(document, "track.yaml")
    async with store.db.transaction() as tx:
        return await tracks.publish(tx, track, compile_track(track), document, now=NOW)


async def test_only_a_change_makes_a_version(store: StoreCalls) -> None:
    changed = TRIAL.replace("3d", "4d")
    commented = TRIAL + "# the same track, in other words\n"
    published = [await publish(store, document) for document in (TRIAL, commented, changed, TRIAL)]
    assert published == [Published(1, True), Published(1, False), Published(2, True), Published(3, True)]
    async with store.db.transaction() as tx:
        assert [v.version for v in await tracks.versions(tx, "trial", limit=2)] == [3, 2]
        assert [v.version for v in await tracks.versions(tx, "trial", before=2)] == [1]


async def test_racing_publishers_of_the_same_make_one_version(store: StoreCalls) -> None:
    results = await asyncio.gather(*(publish(store, TRIAL) for _ in range(8)))
    assert sorted(r.created for r in results) == [False] * 7 + [True]


async def test_version_reads_back_as_it_was_published(store: StoreCalls) -> None:
    await publish(store, TRIAL)
    track = parse_track(TRIAL, "")
    async with store.db.transaction() as tx:
        found = await tracks.version(tx, "trial", 1)
        assert found is not None
        assert (found.track, found.compiled, found.source) == (track, compile_track(track), TRIAL)
        assert await tracks.version(tx, "trial") is found
        assert await tracks.version(tx, "trial", 2) is None
        assert await tracks.version(tx, "other") is None
        with pytest.raises(LookupError):
            await tracks.pinned(tx, "trial", 2)


async def test_version_of_a_transaction_that_rolls_back_is_not_remembered(store: StoreCalls) -> None:
    async def publish_read_and_fail() -> None:
        track = parse_track(TRIAL.replace("3d", "4d"), "")
        async with store.db.transaction() as tx:
            await tracks.publish(tx, track, compile_track(track), "", now=NOW)
            assert await tracks.version(tx, "trial") is not None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await publish_read_and_fail()
    await publish(store, TRIAL)
    async with store.db.transaction() as tx:
        found = await tracks.version(tx, "trial", 1)
    assert found is not None
    assert found.source == TRIAL


async def test_tracks_are_listed_by_name_with_their_rules(store: StoreCalls) -> None:
    await store.publish(WELCOME, TRIAL)
    async with store.db.transaction() as tx:
        first, second = await tracks.list_all(tx)
        assert [t.name for t in await tracks.list_all(tx, after="trial")] == ["welcome"]
    assert first.rules == Rules(
        Reentry("always"),
        (EntryRule("trial.started", 'event.properties.plan != "enterprise"', max_age=MAX_AGE, name="trial.started"),),
    )
    assert (second.name, second.latest, second.rules) == ("welcome", 1, Rules(promotional=True))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Reentry(), "never"),
        (Reentry("always"), "always"),
        (Reentry("after", seconds=2_592_000), "after 30d"),
        (Reentry("per", property="cart_id"), "per cart_id"),
    ],
)
def test_rule_says_itself_in_the_words_of_the_track(rule: Reentry, words: str) -> None:
    assert str(rule) == words


async def test_a_published_track_goes_on_working_though_the_rules_became_stricter(store: StoreCalls) -> None:
    document = TRIAL.replace("event.properties.amount > 0", "event.properties.amount > 1/0").replace(
        "\nentry:", "\ndefaults: {timezone: Factory}\nentry:"
    )
    with pytest.raises(TrackProblems):
        parse_track(document, "track.yaml")
    published = Track.model_validate(YAML(typ="safe").load(document), context=PUBLISHED)
    async with store.db.transaction() as tx:
        await tracks.publish(tx, published, compile_track(published), document, now=NOW)
    async with store.db.transaction() as tx:
        assert (await tracks.pinned(tx, "trial", 1)).track == published
