"""Blocks that several templates share. They are published as templates of the kind `block`.

Publishing a template copies the shared blocks into it, so a published version never changes. A new version of a shared
block reaches a template when that template is published again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracks.content.templates.blocks import Block
from tracks.content.templates.template_model import Template, Variant
from tracks.content.templates.template_problems import TemplateProblem
from tracks.shared.problems import meant

SharedKey = tuple[str, int | None]
"""A template's name, and its version or None for the newest."""


def shared_keys(template: Template) -> set[SharedKey]:
    """The templates whose blocks this template uses."""
    return {(block.template, block.version) for block in template.blocks.values() if block.template is not None}


def with_shared(
    template: Template, known: Mapping[SharedKey, tuple[int, Template]]
) -> tuple[Template, list[TemplateProblem]]:
    """The template with its shared blocks copied in, and the problems with that.

    Args:
        template: as the author wrote it.
        known: the published template for each of `shared_keys`, with its version number.
    """
    problems: list[TemplateProblem] = []
    blocks: dict[str, Block] = {}
    texts: dict[str, dict[str, dict[str, str]]] = {tag: {} for tag in template.locales}
    variables = dict(template.variables)
    for name, block in template.blocks.items():
        if block.template is None:
            blocks[name] = block
            continue
        version, shared = known.get((block.template, block.version), (0, None))
        if shared is None or shared.kind != "block":
            problems.append(TemplateProblem(0, f"block `{name}`: {_missing(block, shared, known)}"))
            continue
        blocks[name] = (
            shared.in_locale(template.locale).as_block().model_copy(update={"origin": f"{block.template} {version}"})
        )
        variables = shared.variables | variables
        for tag in template.locales:
            texts[tag][name] = shared.in_locale(tag).as_block().texts()
    locales: dict[str, Variant] = {
        tag: variant.model_copy(update={"blocks": variant.blocks | texts[tag]})
        for tag, variant in template.locales.items()
    }
    update: dict[str, Any] = {"blocks": blocks, "variables": variables, "locales": locales}
    return template.model_copy(update=update), problems


def _missing(block: Block, found: Template | None, known: Mapping[SharedKey, Any]) -> str:
    if found is not None:
        return f"template '{block.template}' is of the kind {found.kind}, not block"
    version = f" with version {block.version}" if block.version is not None else ""
    return f"there is no template '{block.template}'{version}" + meant(block.template, sorted({n for n, _ in known}))
