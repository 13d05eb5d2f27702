"""Renders Liquid: the texts and values that a step holds itself, and the parts of a template with its blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from liquid import Markup
from liquid.exceptions import LiquidError

from tracks.content.liquid.language import compiled
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.blocks import Chosen

# Control characters, which neither XML nor a message can hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\ud800-\udfff]")


def render_text(source: str, context: MessageContext) -> str:
    """Render Liquid to plain text.

    Raises:
        TemplateError: the source is not valid Liquid, or a limit is exceeded.
    """
    return render_liquid(source, context.names())


def render_values(value: Any, context: MessageContext) -> Any:
    """A copy of JSON-like data with every text in it rendered; other values are kept as they are.

    Raises:
        TemplateError: as for `render_text`.
    """
    if isinstance(value, str):
        return render_text(value, context) if "{" in value else value
    if isinstance(value, Mapping):
        return {key: render_values(item, context) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_values(item, context) for item in value]
    return value


def render_liquid(source: str, names: dict[str, Any], *, markup: bool = False) -> str:
    """Render Liquid with these names; with `markup`, values are escaped for HTML.

    Raises:
        TemplateError: as for `render_text`.
    """
    try:
        return _CONTROL.sub("", compiled(source, markup=markup).render(names))
    except LiquidError as error:
        raise TemplateError(type(error).__name__) from None
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        # Filters of the Liquid library raise these for values they do not expect. Only this message fails.
        raise TemplateError(f"Liquid:{type(error).__name__}") from None


class RenderedBlocks(Mapping[str, str]):
    """The name `blocks` in Liquid. Each block is rendered when it is used, with the same names but without `blocks`."""

    def __init__(self, chosen: tuple[Chosen, ...], names: dict[str, Any], *, markup: bool) -> None:
        self._texts = {one.block: one.text for one in chosen}
        self._names = names
        self._markup = markup
        self._rendered: dict[str, str] = {}

    def __getitem__(self, block: str) -> str:
        if block not in self._rendered:
            text = render_liquid(self._texts[block], self._names, markup=self._markup)
            self._rendered[block] = Markup(text) if self._markup else text
        return self._rendered[block]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)
