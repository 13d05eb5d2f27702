"""Blocks: parts of a message whose text is chosen for each contact by conditions.

```
blocks:
  proof:
    - name: retail
      when: contact.attributes.industry == "retail"
      text: <mj-text>…</mj-text>
    - else: <mj-text>…</mj-text>
  footer: {template: company-footer}
```

The first choice whose condition holds replaces `{{ blocks.proof }}` in the template; if none holds, the `else` does. A
condition that cannot be computed for this contact does not hold, as everywhere (`tracks.conditions.conditions`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tracks.conditions import conditions

OTHERWISE = "else"
"""The name of the choice that is used where no condition holds."""
SEEN = ("contact", "enrollment", "now")
"""The variables that a block's condition may use."""
MAX_CHOICES = 30
MAX_BLOCKS = 20
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CHOICE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Choice(BaseModel):
    """One of a block's texts, and the condition for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    when: str
    text: str
    line: int = 0
    """Line of the file on which the text begins; 0 if problems should have no line."""


class Block(BaseModel):
    """A part of a message: its choices in order, and the text for the case that none holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choices: tuple[Choice, ...] = Field((), max_length=MAX_CHOICES)
    otherwise: str = ""
    line: int = 0
    """Line of the file on which `otherwise` begins."""
    template: str | None = None
    """The name of a template of the kind `block` that this block uses; publishing copies its choices here."""
    version: int | None = None
    """Pins a version of that template."""
    origin: str = ""
    """The source of choices that publishing copied: a template's name and version."""

    def texts(self) -> dict[str, str]:
        """Every text by its choice's name."""
        return {choice.name: choice.text for choice in self.choices} | {OTHERWISE: self.otherwise}

    def with_texts(self, texts: Mapping[str, str]) -> Block:
        """The same choices with other texts. A choice that `texts` does not name keeps its own."""
        return self.model_copy(
            update={
                "choices": tuple(
                    choice.model_copy(update={"text": texts.get(choice.name, choice.text), "line": 0})
                    for choice in self.choices
                ),
                "otherwise": texts.get(OTHERWISE, self.otherwise),
                "line": 0,
            }
        )


def _read(value: Any) -> Any:
    """A block as authors write it: a list of choices that ends with `else`."""
    if not isinstance(value, list):
        return value
    choices, last = value[:-1], value[-1] if value else None
    if not isinstance(last, dict) or set(last) != {OTHERWISE}:
        raise PydanticCustomError(
            "perennial",
            "the last choice must be `else:`, for whom no other fits; `else: ''` shows nothing",
        )
    otherwise = last[OTHERWISE]
    return {"choices": choices, "otherwise": "" if otherwise is None else otherwise}


WrittenBlock = Annotated[Block, BeforeValidator(_read)]


def block_problems(name: str, block: Block) -> list[str]:
    """The problems of a block's declaration: names and conditions. Its texts are checked with the template's."""
    said = f"block `{name}`: "
    if block.template is not None:
        return [f"{said}it names a template, so it cannot have choices of its own"] if block.choices else []
    problems: list[str] = []
    seen: set[str] = set()
    for choice in block.choices:
        if not _CHOICE_NAME.fullmatch(choice.name) or choice.name == OTHERWISE:
            problems.append(f"{said}the choice `{choice.name}` must be named in lower-case letters, digits, - and _")
        elif choice.name in seen:
            problems.append(f"{said}there are two choices `{choice.name}`")
        seen.add(choice.name)
        problems += [f"{said}`{choice.name}`: {problem}" for problem in conditions.check(choice.when, SEEN)]
    return problems


def reads_steps(blocks: Mapping[str, Block]) -> bool:
    """Whether any condition reads how the run's earlier steps ended."""
    return any(
        path == "enrollment.steps" or path.startswith("enrollment.steps.")
        for block in blocks.values()
        for choice in block.choices
        for path in conditions.reads(choice.when)
    )


@dataclass(frozen=True)
class Chosen:
    """The text of a block that a contact gets, and why the choices before it did not fit."""

    block: str
    choice: str
    text: str
    passed: tuple[tuple[str, str], ...] = ()
    """The choices before it, with the reason: `false`, `missing`, `type`, `not a yes or no`, `too large`."""


def choose(name: str, block: Block, seen: Mapping[str, Any]) -> Chosen:
    """The first choice whose condition holds for these variables (`SEEN`)."""
    passed: list[tuple[str, str]] = []
    for choice in block.choices:
        try:
            verdict = conditions.judge(choice.when, seen)
        except conditions.ConditionError:
            verdict = conditions.Verdict(False, "too large")
        if verdict.holds:
            return Chosen(name, choice.name, choice.text, tuple(passed))
        passed.append((choice.name, verdict.why or "false"))
    return Chosen(name, OTHERWISE, block.otherwise, tuple(passed))
