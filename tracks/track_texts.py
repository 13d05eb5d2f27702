"""Every Liquid text of a track, and what each may show: found from the models, so that none goes unchecked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracks import texts
from tracks.effects import Changes, Email, Sms
from tracks.fields import liquid_of
from tracks.pieces import Piece
from tracks.source import Path


def text_problems(pieces: Iterable[Piece]) -> Iterator[tuple[Path, str]]:
    """What is wrong with the texts of a track's parts; the subject of an email is judged with its template."""
    for piece in pieces:
        for path, text in liquid_of(piece.part):
            for words in _problems(piece, path, text):
                yield (*piece.path, *path), f"{'.'.join(str(part) for part in path)}: {words}"


def _problems(piece: Piece, path: Path, text: str) -> list[str]:
    part, field = piece.part, path[0]
    match part:
        case Email() if field == "subject":
            return []
        case Sms() if field == "text":
            if "variables" in piece.unread:
                return []
            return texts.problems(text, part.variables, told=True)
        case Email() | Sms():
            return texts.problems(text, (), told=True)
        case Changes() if field == "attributes":
            found = texts.problems(text, (), links=False)
            return found or (_TEXT_OF_A_NUMBER if texts.is_number(text) else [])
        case Changes():
            return texts.problems(text, (), told=True, links=False)
        case _:
            return texts.problems(text, (), links=False)


_TEXT_OF_A_NUMBER = [
    "writes a text such as '12', which is no number to conditions: write `add: {name: 10}` to add, or `numbers: "
    "{name: '{{ … }}'}` to compute; end with `| append: \"\"` if a text is meant"
]
