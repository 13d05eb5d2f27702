"""Help texts that name the kind of a value in plain words, not the Python class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typer import Context
from typer.core import TyperArgument, TyperOption

_WORDS = {"str": "text", "int": "number", "float": "number", "FileText": "file"}


def in_plain_words(commands: Iterable[Any]) -> None:
    """Change the help of these commands and of their subcommands.

    Each command of a group also shows the group's epilog, which says to which service it connects.
    """
    for command in commands:
        for parameter in command.params:
            if isinstance(parameter, TyperArgument | TyperOption):
                plain_kind(parameter)
        if (own := command.get_help_option(Context(command))) is not None:
            plain_kind(own)
        below = getattr(command, "commands", {}).values()
        for one in below:
            one.epilog = one.epilog or command.epilog
        in_plain_words(below)


def plain_kind(parameter: Any) -> None:
    """Show the kind of value that a parameter takes; nothing for a flag."""

    def kind(ctx: Any) -> str | None:
        if getattr(parameter, "is_flag", False):
            return None
        shown = type(parameter).display_type(parameter, ctx).strip("<>")
        many = shown.startswith("list[")
        word = shown.removeprefix("list[").removesuffix("]").removesuffix(" range")
        return f"<{_WORDS.get(word, word)}>" + ("…" if many else "")

    def usage(_ctx: Any) -> list[str]:
        name = parameter.name.upper()
        return [(name if parameter.required else f"[{name}]") + ("..." if parameter.nargs != 1 else "")]

    parameter.display_type_rich = kind
    if isinstance(parameter, TyperArgument):
        parameter.get_usage_pieces = usage  # type: ignore[method-assign, assignment]
