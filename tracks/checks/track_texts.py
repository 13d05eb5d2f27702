"""Check every Liquid text of a track. The models tell which fields hold Liquid, so no text is missed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracks.model import liquid_texts
from tracks.model.steps.effects import Changes, Email, Sms
from tracks.shared.yaml_source import Path
from tracks.static_analysis.effect_parts import EffectPart
from tracks.static_analysis.model_fields import liquid_of


def text_problems(pieces: Iterable[EffectPart]) -> Iterator[tuple[Path, str]]:
    """The problems in the texts of a track's parts. The subject of an email is checked with its template instead."""
    for piece in pieces:
        for path, text in liquid_of(piece.part):
            for words in _problems(piece, path, text):
                yield (*piece.path, *path), f"{'.'.join(str(part) for part in path)}: {words}"


def _problems(piece: EffectPart, path: Path, text: str) -> list[str]:
    part, field = piece.part, path[0]
    match part:
        case Email() if field == "subject":
            return []
        case Sms() if field == "text":
            if "variables" in piece.unread:
                return []
            return liquid_texts.problems(text, part.variables, told=True)
        case Email() | Sms():
            return liquid_texts.problems(text, (), told=True)
        case Changes() if field == "attributes":
            found = liquid_texts.problems(text, (), links=False)
            return found or (_TEXT_OF_A_NUMBER if liquid_texts.is_number(text) else [])
        case Changes():
            return liquid_texts.problems(text, (), told=True, links=False)
        case _:
            return liquid_texts.problems(text, (), links=False)


_TEXT_OF_A_NUMBER = [
    "writes a text such as '12', which is no number to conditions: write `add: {name: 10}` to add, or `numbers: "
    "{name: '{{ … }}'}` to compute; end with `| append: \"\"` if a text is meant"
]
