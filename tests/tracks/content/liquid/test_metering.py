"""Every tag, filter and class of the language is counted by the work that it does."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import time
from collections.abc import Callable
from typing import Any

import liquid.builtin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid import Node
from liquid.ast import IllegalNode
from liquid.builtin.expressions.filtered import TernaryFilteredExpression
from liquid.builtin.expressions.primitive import Continue, Literal
from liquid.builtin.tags.decrement_tag import DecrementNode
from liquid.builtin.tags.include_tag import IncludeNode
from liquid.builtin.tags.increment_tag import IncrementNode
from liquid.builtin.tags.render_tag import RenderNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression

from tracks.content.liquid import language
from tracks.content.liquid.delimiters import check_delimiters
from tracks.content.liquid.language import FILTERS, compiled
from tracks.content.liquid.limits import counted
from tracks.content.liquid.metering import COUNTED, EXCHANGED

FEW, MANY = 40, 4000
PART = 1 / 200
"""The least cost in units of one more character, item or round."""

Source = Callable[[int], str]


def names(n: int) -> dict[str, Any]:
    return {
        "text": "x" * n,
        "same": "x" * n + "",
        "spaces": " " * n,
        "list": list(range(n)),
        "twin": list(range(n)),
        "items": [{"a": str(i)} for i in range(n)],
        "item": {str(i): i for i in range(n)},
        "short": "x",
        "n": n,
        "number": 10**n,
    }


def units(source: str, n: int) -> int:
    with counted() as spent:
        compiled.__wrapped__(source, markup=False).render(names(n))
        return spent()


def rise(source: Source) -> int:
    return units(source(MANY), MANY) - units(source(FEW), FEW)


def rounds(inner: str) -> Source:
    return lambda n: f"{{% for i in (1..{n}) %}}{inner}{{% endfor %}}"


TAGS: dict[str, Source] = {
    "if": lambda n: "{% if short" + " and short" * (n // 50) + " %}x{% endif %}",
    "unless": lambda n: "{% unless short" + " and short" * (n // 50) + " %}x{% endunless %}",
    "case": lambda n: "{% case text %}{% when same" + ", same" * 20 + " %}{% endcase %}",
    "for": lambda n: "{% for i in list %}x{% endfor %}",
    "break": rounds("{% if false %}{% break %}{% endif %}"),
    "continue": rounds("{% continue %}"),
    "tablerow": lambda n: "{% tablerow i in list %}x{% endtablerow %}",
    "capture": lambda n: "{% capture a %}{{ text }}{% endcapture %}",
    "cycle": lambda n: "{% cycle short" + ", short" * n + " %}",
    "assign": lambda n: "".join(f"{{% assign a{i} = nil %}}" for i in range(n // 10)),
    "echo": lambda n: "{% echo text %}",
    "liquid": lambda n: "{% liquid\n" + "echo short\n" * n + "%}",
    "ifchanged": lambda n: "{% ifchanged %}{{ text }}{% endifchanged %}",
    "comment": rounds("{% comment %}x{% endcomment %}"),
    "doc": rounds("{% doc %}x{% enddoc %}"),
    "#": rounds("{% # x %}"),
}
NO_TAGS = frozenset(("content", "output", "illegal"))
"""Entries in the language's list of tags that are no tags: texts, outputs and invalid ones."""

EXPRESSIONS: dict[str, Source] = {
    "output": lambda n: "{{ text }}",
    "output of a list": lambda n: "{{ list }}",
    "output of an object": lambda n: "{{ item }}",
    "a text in the template": lambda n: "x" * n + "{{ short }}",
    "a text in an expression": lambda n: "{% assign a = '" + "x" * n * 8 + "' %}",
    "==": lambda n: "{% if text == same %}{% endif %}",
    "== of lists": lambda n: "{% if list == twin %}{% endif %}",
    "== blank": lambda n: "{% if spaces == blank %}{% endif %}",
    "!=": lambda n: "{% if list != twin %}{% endif %}",
    "<": lambda n: "{% if text < same %}{% endif %}",
    ">": lambda n: "{% if text > same %}{% endif %}",
    "<=": lambda n: "{% if text <= same %}{% endif %}",
    ">=": lambda n: "{% if text >= same %}{% endif %}",
    "contains": lambda n: "{% if text contains 'yy' %}{% endif %}",
    "contains in a list": lambda n: "{% if list contains 'yy' %}{% endif %}",
    "contains in a range": lambda n: "{% if (1..n) contains 'yy' %}{% endif %}",
    "a path": lambda n: "{% assign a = b" + ".c" * n + " %}",
    "a path that data names": lambda n: "{{ item[text] }}",
    "or": lambda n: "{% if false" + " or false" * (n // 50) + " %}x{% endif %}",
    "skipped items": lambda n: "{% for i in list offset: n %}{% endfor %}",
    "a cycle of large values": lambda n: "{% cycle list, text %}",
    "a group of a large value": lambda n: "{% cycle list: 1, 2 %}",
}

FILTERED = {
    **dict.fromkeys(FILTERS, "text"),
    **dict.fromkeys(
        ("join", "concat", "reverse", "sort", "uniq", "sum", "compact", "first", "last", "sort_natural"), "list"
    ),
    **dict.fromkeys(("map", "where", "reject", "find", "find_index", "has"), "items"),
    **dict.fromkeys(
        ("abs", "at_most", "at_least", "ceil", "divided_by", "floor", "minus", "plus", "round", "times", "modulo"),
        "number",
    ),
    "base64_decode": "text | base64_encode",
    "base64_url_safe_decode": "text | base64_url_safe_encode",
}
ARGUMENTS = {
    **dict.fromkeys(("append", "prepend", "remove", "remove_first", "remove_last", "split"), "'y'"),
    **dict.fromkeys(("replace", "replace_first", "replace_last"), "'y', 'z'"),
    **dict.fromkeys(("map", "where", "reject", "find", "find_index", "has"), "'a'"),
    **dict.fromkeys(("at_most", "at_least", "divided_by", "minus", "plus", "times", "modulo"), "3"),
    "slice": "1, 2",
    "concat": "twin",
    "date": "'%Y'",
}


def test_every_tag_of_the_language_is_tried_here() -> None:
    assert set(language._TEXT.tags) - NO_TAGS == set(TAGS)
    assert set(language._MARKUP.tags) == set(language._TEXT.tags)


@pytest.mark.parametrize("source", [*TAGS.values(), *EXPRESSIONS.values()], ids=[*TAGS, *EXPRESSIONS])
def test_a_tag_and_an_expression_are_charged_by_what_they_do(source: Source) -> None:
    assert rise(source) >= (MANY - FEW) * PART


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_is_charged_by_what_it_is_given(name: str) -> None:
    arguments = f": {ARGUMENTS[name]}" if name in ARGUMENTS else ""
    source = f"{{% assign a = {FILTERED[name]} | {name}{arguments} | size %}}"
    try:
        assert rise(lambda n: source) >= (MANY - FEW) * PART
    except LiquidError:  # refused: too long, or a number that cannot be written
        assert FILTERED[name] == "number"


def test_every_class_of_the_language_is_charged_or_cannot_be_written() -> None:
    for module in pkgutil.walk_packages(liquid.builtin.__path__, "liquid.builtin."):
        importlib.import_module(module.name)
    found = {
        kind
        for base in (Node, Expression)
        for kind in _subclasses(base)
        if kind.__module__.startswith(("liquid.builtin.", "liquid.ast"))
    }
    removed = {IncludeNode, RenderNode, IncrementNode, DecrementNode}
    unwritten = {IllegalNode, TernaryFilteredExpression, Continue, Literal}
    assert found - removed - unwritten == COUNTED | set(EXCHANGED)
    assert not language._TEXT.ternary_expressions


def _subclasses(kind: type[Any]) -> set[type[Any]]:
    return {below for direct in kind.__subclasses__() for below in {direct, *_subclasses(direct)}}


def test_a_class_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language._TEXT, "ternary_expressions", True)
    with pytest.raises(LiquidError, match="is not available"):
        compiled.__wrapped__("{{ a if b else c }}", markup=False)


SLOW = {
    "outputs that are not closed": "{{",
    "tags that are not closed": "{%",
    "names that are not closed": "{%if ",
    "a brace before each tag": "{{% if a %}",
    "raw": "{% raw %}",
    "doc": "{% doc %}",
    "parentheses": "(",
    "brackets": "['",
    "spaces": " ",
    "line ends": "\n",
    "dashes": "-",
    "closing marks": "}-",
    "quotes": "'\"",
    "digits": "1.",
    "dots": "..",
}
AROUND = ("{}", "{{{{ a{} }}}}", "{{{{{}}}}}", "{{% if{}%}}", "{{% comment %}}{}{{% endcomment %}}",
          "{{% liquid\n echo a{}b\n %}}", "{{% raw %}}{}{{% endraw %}}", "{{{{ a{}", "{{% cycle a{} %}}")  # fmt: skip


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("part", SLOW.values(), ids=SLOW.keys())
def test_no_text_takes_long_to_parse(part: str, around: str) -> None:
    source = around.format(part * (60_000 // len(part)))
    began = time.process_time()
    with contextlib.suppress(LiquidError):
        compiled.__wrapped__(source, markup=False)
    assert time.process_time() - began < 2, "60,000 characters took minutes where the lexer begins anew at each"


def test_where_a_text_is_not_closed_is_told() -> None:
    with pytest.raises(LiquidError, match=r"expected '}}'") as caught:
        compiled.__wrapped__("one\n{{ two }}\n{{ three", markup=False)
    assert caught.value.token and caught.value.token.start_index == 14


PIECES = st.sampled_from((
    "{{ a }}", "{{- a | upcase -}}", "{% if a %}", "{% endif %}", "{% raw %}", "{% endraw %}", "{% comment %}",
    "{% endcomment %}", "{{", "}}", "{%", "%}", "x", " ", "\n", "{% liquid echo a\n %}", "{%- doc -%}", "{% enddoc %}",
))  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_is_refused_before_parsing_could_not_have_been_parsed_either(source: str) -> None:
    """Except within a comment, in which the language accepts anything."""
    try:
        check_delimiters(source)
    except LiquidError:
        if "comment" not in source:
            with pytest.raises(LiquidError):
                language._TEXT.from_string(source)
