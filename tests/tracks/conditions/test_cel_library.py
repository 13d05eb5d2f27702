"""Every function, method and loop that the CEL library offers is refused, or costs what is known."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution

import cel
import pytest

from tests.tracks.conditions.condition_costs import ALL, DATES, LARGE_LIST, LARGE_TEXT, LINES, SAMPLES, SLOW, takes_less
from tracks.conditions.condition_checks import FUNCTIONS, LOOPS, METHODS, check
from tracks.conditions.expressions import MACROS
from tracks.conditions.syntax_tree import parse


def offered() -> Iterator[tuple[str, str]]:
    """Every word in the library's files that is one of its functions, methods or loops, as it is written."""
    words: set[str] = set()
    for file in distribution("common-expression-language").files or ():
        if str(file).endswith((".py", ".pyi", ".md", "METADATA")):
            words |= set(re.findall(r"[A-Za-z_]\w+", file.locate().read_text(), re.ASCII))  # type: ignore[attr-defined]
    for word in sorted(words | FUNCTIONS | METHODS.keys() | MACROS):
        for shape in (
            f"{word}(x)",
            f"optional.{word}(x)",
            f"x.{word}()",
            f"x.{word}(y)",
            f"x.{word}(i, true)",
            f"x.{word}(i, true, i)",
        ):
            try:
                program = cel.compile(shape)
            except ValueError:
                continue
            for x in SAMPLES:
                try:
                    program.execute({"x": x, "y": x})
                except RuntimeError as error:
                    if any(f"'{name}'" in str(error) for name in (word, "i", "optional")):
                        continue
                except Exception:  # it exists, but refuses these arguments
                    pass
                yield shape.partition("(")[0].removeprefix("x."), shape
                break


@pytest.fixture(scope="module")
def all_offered() -> list[tuple[str, str]]:
    """Each name with a shape in which the library knows it. To find them takes a second, so no import does it."""
    return sorted(set(offered()))


def test_the_functions_of_the_library_are_found(all_offered: list[tuple[str, str]]) -> None:
    names = {name for name, _ in all_offered}
    assert names >= FUNCTIONS | METHODS.keys() | MACROS | {"type", "dyn", "bytes", "value", "optional.of"}


def test_whatever_the_library_offers_is_refused_or_within_the_budget(all_offered: list[tuple[str, str]]) -> None:
    slow = [f"{shape}, {place}" for _, shape in all_offered for place in places_where_slow(shape)]
    assert slow == []


def places_where_slow(shape: str) -> Iterator[str]:
    """The places in which a condition of this shape may be published and takes too long."""
    places = {
        "a list": (r"\bx\b", "event.properties.l"),
        "in a loop": (r"\bx\b", "each"),
        "a list in a loop": (r"\bx\b", "event.properties.l"),
        "a text": (r"\bx\b", "event.properties.s"),
    }
    for place, (what, there) in places.items():
        inner = re.sub(r"\by\b", there, re.sub(what, there, shape))
        expression = f"event.properties.l.all(each, {inner} == 1 || true)" if "loop" in place else f"{inner} == 1"
        if check(expression, ALL):
            continue
        for data in (LARGE_LIST, LARGE_TEXT, LINES, DATES):
            if not takes_less(expression, data, SLOW):
                yield place


@pytest.mark.parametrize("name", sorted(MACROS))
def test_every_loop_of_the_library_is_read_as_one(name: str) -> None:
    nodes = parse(f"x.{name}(i, i > 1)")
    assert nodes[-1].kind == "loop"
    assert name in LOOPS or check(f"event.properties.l.{name}(i, i > 1) == []", ALL)


def test_it_is_imported_without_the_terminal_library_of_its_command_line() -> None:
    code = "import sys, tracks.conditions.conditions; sys.exit('prompt_toolkit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
