"""The library's templates as publishing makes them: with their shared blocks inserted."""

from __future__ import annotations

from pathlib import Path

from infra.api_client.publishing import read_folder
from tracks.content.templates.shared_blocks import SharedKey, with_shared
from tracks.content.templates.template import Template, parse_template

FOLDER = Path(__file__).parents[2] / "tracks" / "library" / "templates"


def _published() -> dict[str, Template]:
    written = {
        document.name: parse_template(document.text, document.body().get("locales")) for document in read_folder(FOLDER)
    }
    known: dict[SharedKey, tuple[int, Template]] = {(name, None): (1, one) for name, one in written.items()}
    made = {name: with_shared(template, known) for name, template in written.items()}
    assert not [problem for _, problems in made.values() for problem in problems]
    return {name: template for name, (template, _) in made.items()}


TEMPLATES = _published()
MESSAGES = {name: template for name, template in TEMPLATES.items() if template.kind != "block"}
