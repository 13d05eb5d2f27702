from pathlib import Path

import pytest

from tests.tracks.library import TEMPLATES as LIBRARY_TEMPLATES
from tracks.checks.references.template_use import template_keys
from tracks.checks.references.topic_use import topics_of
from tracks.checks.track_document import parse_track, track_from_data, track_to_data
from tracks.compiler.compiler import compile_track
from tracks.conditions.conditions import evaluate
from tracks.model.track import ReentryPer, Track
from tracks.policy.workspace_policy import parse_policy

LIBRARY = Path(__file__).parents[2] / "tracks" / "library"
NAMES = ["abandoned-cart", "trial-to-paid", "win-back"]


def read(name: str) -> Track:
    return parse_track((LIBRARY / f"{name}.yaml").read_text(), f"{name}.yaml")


def test_these_are_the_tracks_of_the_library() -> None:
    assert sorted(path.stem for path in LIBRARY.glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sound_named_as_its_file_and_has_its_templates_beside_it(name: str) -> None:
    written = read(name)
    assert written.track == name
    assert track_from_data(track_to_data(written)) == written
    for template, version in template_keys(written):
        assert version is None
        assert len([path for path in (LIBRARY / "templates").iterdir() if path.stem == template]) == 1


def test_no_template_is_left_over() -> None:
    used = {template for name in NAMES for template, _ in template_keys(read(name))}
    blocks = [block for template in LIBRARY_TEMPLATES.values() for block in template.blocks.values()]
    used |= {block.origin.split()[0] for block in blocks if block.origin}
    assert {path.name.split(".")[0] for path in (LIBRARY / "templates").iterdir()} == used


@pytest.mark.parametrize("name", NAMES)
def test_each_costs_little_to_carry(name: str) -> None:
    assert len(compile_track(read(name)).program.model_dump_json()) < 2_500


def test_a_cart_is_won_by_the_order_of_that_cart_only() -> None:
    written = read("abandoned-cart")
    assert written.reentry == ReentryPer(per="cart_id")
    assert written.goal and written.goal.where
    run = {"properties": {"cart_id": "k1"}}
    for cart, won in (("k1", True), ("k2", False)):
        event = {"properties": {"cart_id": cart}}
        assert evaluate(written.goal.where, {"event": event, "enrollment": run}) is won


@pytest.mark.parametrize(("plan", "enters"), [("team", True), ("enterprise", False)])
def test_an_enterprise_trial_is_left_to_its_salesperson(plan: str, enters: bool) -> None:
    (entry,) = read("trial-to-paid").entries
    assert entry.where
    assert evaluate(entry.where, {"event": {"properties": {"plan": plan}}}) is enters


@pytest.mark.parametrize("name", NAMES)
def test_its_topics_are_those_of_the_librarys_policy(name: str) -> None:
    policy = parse_policy((LIBRARY / "workspace" / "policy.yaml").read_text())
    assert topics_of(read(name)) <= set(policy.topics)
    assert topics_of(read(name))
