"""Check a template's declarations without its Liquid: names, conditions, and whether each variant is complete."""

from __future__ import annotations

from collections.abc import Iterator

from tracks.content.templates.blocks import NAME, block_problems
from tracks.content.templates.locales import canonical
from tracks.content.templates.template_model import OWN, RESERVED, Template, Variant
from tracks.shared.yaml_source import Path


def declaration_problems(template: Template) -> list[tuple[Path, str, str]]:
    """The problems of a template's own declarations: the path, a sentence, and the variant that has the problem."""
    problems: list[tuple[Path, str, str]] = []
    if template.locale is not None and canonical(template.locale) != template.locale:
        right = canonical(template.locale)
        hint = f"; write {right}" if right else ", such as en or pt-BR"
        problems.append((("locale",), f"'{template.locale}' is not a locale{hint}", ""))
    for name, variable in template.variables.items():
        at: Path = ("variables", name)
        if name in RESERVED:
            problems.append((at, f"the variable `{name}` has the name of a value that every message has", ""))
        elif not NAME.fullmatch(name):
            problems.append((at, f"the variable `{name}` must be lower-case letters, digits and `_`", ""))
        if variable.required and variable.default is not None:
            problems.append((at, f"the variable `{name}` cannot be required and have a default", ""))
    if template.kind == "block":
        if template.blocks:
            problems.append((("blocks",), "a block has `choices`, not blocks of its own", ""))
        problems += [(("choices",), said, "") for said in block_problems("choices", template.as_block())]
    elif template.choices:
        problems.append((("choices",), "only a template of the kind `block` has `choices`", ""))
    for name, block in template.blocks.items():
        if not NAME.fullmatch(name):
            problems.append((("blocks", name), f"block `{name}`: a name is lower-case letters, digits and `_`", ""))
        problems += [(("blocks", name), said, "") for said in block_problems(name, block)]
    problems += _text_problems(template, "")
    for tag, variant in template.locales.items():
        if canonical(tag) != tag or tag == template.locale:
            problems.append((("locales", tag), f"'{tag}' cannot be a variant: {_why_not(tag)}", tag))
        problems += _text_problems(template.in_locale(tag), tag)
        problems += [(("locales", tag), said, tag) for said in _variant_problems(template, variant)]
    return problems


def _why_not(tag: str) -> str:
    right = canonical(tag)
    return "it is the language of the template itself" if right == tag else f"write {right or 'a tag such as de'}"


def _text_problems(template: Template, tag: str) -> Iterator[tuple[Path, str, str]]:
    if template.kind == "email" and not template.subject.strip():
        yield ("subject",), "an email template needs a `subject`", tag
    if template.kind != "email":
        article = "an sms template" if template.kind == "sms" else "a block"
        for name in ("subject", "preheader"):
            if getattr(template, name):
                yield (name,), f"{article} has no `{name}`", tag
    if not template.body.strip() and template.kind != "block":
        yield (), "the body is empty", tag


def _variant_problems(template: Template, variant: Variant) -> Iterator[str]:
    """The problems of a variant: it must give every text of the template, and nothing else."""
    for name, variable in variant.variables.items():
        own = template.variables.get(name)
        if own is None:
            yield f"the variable `{name}` is not declared in the template itself"
        elif own.required or variable.required:
            yield f"the variable `{name}`: a variant can only give another default"
    written = {name: block.texts() for name, block in template.blocks.items() if block.template is None}
    if template.kind == "block":
        written = {OWN: {choice.name: choice.text for choice in template.choices}}
    for name, texts in written.items():
        said = f"block `{name}`" if name else "choices"
        given = variant.blocks.get(name, {})
        for choice, text in texts.items():
            if choice not in given and text.strip():
                yield f"{said}: the text of `{choice}` is missing in this language"
        for choice in given.keys() - texts.keys():
            yield f"{said}: there is no choice `{choice}`"
    for name in variant.blocks.keys() - written.keys():
        if name not in template.blocks:
            yield f"there is no block `{name}`"
