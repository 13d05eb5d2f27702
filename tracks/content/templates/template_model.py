"""A template as data: its texts, its blocks and its variants, and the facts that tracks are checked against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracks.content.templates.blocks import MAX_BLOCKS, Block, Choice, WrittenBlock
from tracks.content.templates.locales import best

TemplateKind = Literal["email", "sms", "block"]

LINKS = frozenset({"unsubscribe_url", "preferences_url", "confirm_url"})
"""The links that every message has: unsubscribe, the preferences page, and the confirmation of a topic."""
RESERVED = frozenset({"contact", "enrollment", "blocks"}) | LINKS
"""Names that every message has; a declared variable cannot take one."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TemplateVariable(_Part):
    """A value that the step may give; it must give a required one."""

    default: Any = None
    required: bool = False


class Variant(_Part):
    """The texts in another language. Conditions and the names of variables come from the template."""

    subject: str = ""
    preheader: str = ""
    variables: dict[str, TemplateVariable] = Field(default_factory=dict)
    blocks: dict[str, dict[str, str]] = Field(default_factory=dict)
    """The texts of each block, by the name of the choice."""
    body: str
    body_line: int = 1


class Template(_Part):
    """A parsed template that can be stored as JSON. `body` is MJML or plain text, with Liquid in it."""

    kind: TemplateKind
    locale: str | None = None
    """The language of the template's own texts."""
    subject: str = ""
    preheader: str = ""
    variables: dict[str, TemplateVariable] = Field(default_factory=dict)
    blocks: dict[str, WrittenBlock] = Field(default_factory=dict, max_length=MAX_BLOCKS)
    choices: tuple[Choice, ...] = ()
    """For the kind `block`: the choices; the body is their `else`."""
    body: str
    body_line: int = 1
    """Line of the file on which the body begins."""
    locales: dict[str, Variant] = Field(default_factory=dict)

    @property
    def is_mjml(self) -> bool:
        """Whether the body is MJML; an email without MJML is sent as plain text only."""
        return self.kind == "email" and "<mjml" in self.body

    def in_locale(self, wanted: str | None) -> Template:
        """The template in the variant that fits a contact's locale best; the template itself if none fits."""
        tag = best(wanted, {*self.locales, *([self.locale] if self.locale else [])})
        variant = self.locales.get(tag) if tag else None
        if variant is None:
            return self
        said = {name: TemplateVariable(default=v.default) for name, v in variant.variables.items()}
        texts = variant.blocks
        return self.model_copy(
            update={
                "locale": tag,
                "subject": variant.subject,
                "preheader": variant.preheader,
                "variables": {**self.variables, **said},
                "blocks": {name: block.with_texts(texts.get(name, {})) for name, block in self.blocks.items()},
                "choices": Block(choices=self.choices).with_texts(texts.get(OWN, {})).choices,
                "body": variant.body,
                "body_line": variant.body_line,
                "locales": {},
            }
        )

    def editions(self) -> Iterator[tuple[str, Template]]:
        """The template in each language: its own under an empty name, then each variant."""
        yield "", self.model_copy(update={"locales": {}})
        for tag in self.locales:
            yield tag, self.in_locale(tag)

    def as_block(self) -> Block:
        """For the kind `block`: the template as a block."""
        return Block(choices=self.choices, otherwise=self.body)


OWN = ""
"""The key under which a variant of a template of the kind `block` keeps the texts of its choices."""


@dataclass(frozen=True)
class TemplateFacts:
    """What the check of a track needs to know about a template."""

    kind: TemplateKind
    variables: frozenset[str]
    required: frozenset[str]
    unsubscribe: bool
    """Whether the body in each language shows the unsubscribe link (`unsubscribe_url`)."""


def template_facts(template: Template) -> TemplateFacts:
    """The facts about a template for the checks of tracks that use it."""
    return TemplateFacts(
        kind=template.kind,
        variables=frozenset(template.variables),
        required=frozenset(name for name, variable in template.variables.items() if variable.required),
        unsubscribe=all(_offers_way_out(edition) for _, edition in template.editions()),
    )


def _offers_way_out(template: Template) -> bool:
    """Whether the body shows the unsubscribe link, or shows a block of which every text does."""
    return "unsubscribe_url" in template.body or any(
        f"blocks.{name}" in template.body and all("unsubscribe_url" in text for text in block.texts().values())
        for name, block in template.blocks.items()
    )
