"""Messages that are ready to send, and what was decided for the contact when they were made."""

from __future__ import annotations

from dataclasses import dataclass

from tracks.content.templates.blocks import Chosen


@dataclass(frozen=True)
class Choices:
    """What was decided for one contact: the language, and the text of each block."""

    locale: str | None = None
    """The language of the template's variant; None if the template does not say which language it is in."""
    blocks: tuple[Chosen, ...] = ()
    left_out: tuple[str, ...] = ()
    """The schemes of links that came from data and were removed (`tracks.content.markup.hrefs`)."""

    @property
    def chosen(self) -> dict[str, str]:
        """By the name of a block, the name of its choice."""
        return {one.block: one.choice for one in self.blocks}


@dataclass(frozen=True)
class RenderedEmail:
    """An email ready to send; `html` is empty where the template is plain text."""

    subject: str
    html: str
    text: str
    choices: Choices = Choices()


@dataclass(frozen=True)
class RenderedSms:
    """A text message ready to send."""

    text: str
    choices: Choices = Choices()
