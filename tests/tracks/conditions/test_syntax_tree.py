"""The reader of conditions sees what the CEL library sees."""

import re

import cel
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.tracks.conditions.condition_costs import expressions, names
from tracks.conditions.syntax_tree import SyntaxUnknownError, parse


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(names))
def test_the_library_and_this_reader_see_the_same_names_and_functions(expression: str) -> None:
    try:
        program = cel.compile(expression)
    except ValueError:  # `has` of something that is no field, or two operators that cannot be combined
        assert re.search(r"has\(|!-|-!", expression)
        return
    nodes = parse(expression)
    used, bound = ({node.name for node in nodes if node.kind == kind} for kind in ("name", "item"))
    assert used <= set(program.variables()) <= used | bound | {"@result"}
    called = {node.name for node in nodes if node.kind == "call"} - {"has"}
    assert called == {name for name in program.functions() if re.fullmatch(r"\w+", name) and name[0] != "_"}


parts_of_cel = [
    *("a", "b.c", "event", "(", ")", "[", "]", "{", "}", ",", ":", "?", "==", "!", "-", "+", "1", "1.5", ".5", "1e-3"),
    *("2u", "0x1F", '"s"', "'t'", 'r"\\d"', "b'x'", '"""q"""', "true", "null", " in ", "&&", "||", "<", ".size()"),
    *(".all(x, x)", ".map(x, x, x)", "has(a.b)", "// c\n", " ", "\n", "%", "*", ".`x-y`"),
]


@settings(max_examples=1_000, deadline=None)
@given(st.lists(st.sampled_from(parts_of_cel), max_size=7).map("".join))
@example("{,}.size()")
@example("[,]")
def test_whatever_the_library_reads_this_reader_reads_too(expression: str) -> None:
    try:
        program = cel.compile(expression)
    except ValueError:
        return
    if any(name.startswith(".") for name in program.variables()) or re.search(r"[\w\s]\{|(^|\W)\.\w", expression):
        return  # names that start with a dot, and messages: these could never be published or true
    parse(expression)


@given(st.text(alphabet="ab.()[]{}\"'!=<>&|? ,:-+*/%\\n0123456789ers in has(all", max_size=60))
def test_the_reader_knows_what_it_reads_or_says_that_it_does_not(expression: str) -> None:
    try:
        nodes = parse(expression)
    except SyntaxUnknownError:
        return
    assert nodes
    assert all(part < index for index, node in enumerate(nodes) for part in node.args)
