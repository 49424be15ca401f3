"""The header map against a plain list of pairs."""

from __future__ import annotations

import random
from typing import List, Tuple

import pytest

from proxy_core.http.headers import Headers

NAMES = ["host", "cookie", "x-a", "x-b", "via"]


class ListModel:
    """The same promises, kept in the most obvious way."""

    def __init__(self) -> None:
        self.pairs: List[Tuple[str, str]] = []

    def set(self, name: str, value: str) -> None:
        places = [index for index, pair in enumerate(self.pairs) if pair[0] == name]
        if not places:
            self.pairs.append((name, value))
            return
        self.pairs[places[0]] = (name, value)
        for index in reversed(places[1:]):
            del self.pairs[index]

    def add(self, name: str, value: str) -> None:
        self.pairs.append((name, value))

    def append(self, name: str, value: str) -> None:
        for index, (known, present) in enumerate(self.pairs):
            if known == name:
                self.pairs[index] = (name, f"{present},{value}" if present else value)
                return
        self.pairs.append((name, value))

    def remove(self, name: str) -> None:
        self.pairs = [pair for pair in self.pairs if pair[0] != name]


@pytest.mark.parametrize("seed", range(200))
def test_any_sequence_of_operations_leaves_what_a_list_of_pairs_would_hold(seed: int) -> None:
    generator = random.Random(seed)
    headers, model = Headers(), ListModel()
    for step in range(30):
        name = generator.choice(NAMES)
        value = generator.choice(["", f"v{step}"])
        operation = generator.choice(["set", "add", "add", "append", "remove"])
        if operation == "remove":
            assert headers.remove(name) is any(known == name for known, _ in model.pairs)
            model.remove(name)
        else:
            getattr(headers, operation)(name, value)
            getattr(model, operation)(name, value)
        assert list(headers.items()) == model.pairs
        assert len(headers) == len(model.pairs)
        for known in NAMES:
            values = [held for held_name, held in model.pairs if held_name == known]
            assert headers.get_all(known) == values
            assert headers.get(known) == (values[0] if values else None)
            assert (known in headers) is bool(values)


def test_names_given_to_the_constructor_become_lower_case_and_repeats_are_kept() -> None:
    headers = Headers([("Set-Cookie", "a"), ("X-A", "1"), ("set-cookie", "b")])
    assert list(headers.items()) == [("set-cookie", "a"), ("x-a", "1"), ("set-cookie", "b")]


def test_a_copy_is_independent_of_its_original() -> None:
    for pairs in ([("a", "1")], [("a", "1"), ("a", "2")]):
        headers = Headers(pairs)
        twin = headers.copy()
        twin.add("b", "3")
        twin.set("a", "9")
        assert list(headers.items()) == pairs


def test_equality_looks_at_lines_and_their_order() -> None:
    assert Headers([("a", "1"), ("b", "2")]) == Headers([("a", "1"), ("b", "2")])
    assert Headers([("a", "1"), ("b", "2")]) != Headers([("b", "2"), ("a", "1")])
    assert Headers() != []


def test_take_gives_the_first_value_and_removes_every_line() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
    assert headers.take("a") == "1"
    assert headers.take("a") is None
    assert list(headers.items()) == [("b", "2")]


def test_the_separator_of_append_is_the_callers() -> None:
    headers = Headers([("via", "1.1 a")])
    headers.append("via", "1.1 b", ", ")
    assert headers.get("via") == "1.1 a, 1.1 b"


def test_the_repr_shows_every_line() -> None:
    assert repr(Headers([("a", "1")])) == "Headers([('a', '1')])"
