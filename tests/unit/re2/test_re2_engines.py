"""Who runs an expression does not change what it matches, and no text makes it slow."""

from __future__ import annotations

import random
import re
from typing import Any, List

import pytest

from proxy_core.re2 import captures, compile_regex
from proxy_core.re2.automaton import MOST_STATES, Automaton
from proxy_core.re2.captures import search
from proxy_core.re2.cost import is_linear, is_linear_search
from proxy_core.re2.parse import parse
from proxy_core.re2.program import Take, build_program
from proxy_core.re2.python import compiled
from proxy_core.re2.reach import MOST_KNOWN, Reach

ATOMS = ["a", "b", "[ab]", "[^a]", ".", "(a)", "(b|c)", "(?:ab)", r"\b", "^", "$", "c", "(a|ab)", r"\w", "(?i:A)"]


def random_pattern(rng: random.Random, depth: int = 2) -> str:
    """A pattern of RE2's language in which Python's `re` agrees with it."""
    parts: List[str] = []
    for _ in range(rng.randint(1, 4)):
        atom = rng.choice(ATOMS)
        if depth and rng.random() < 0.3:
            atom = f"({random_pattern(rng, depth - 1)})"
        if atom not in ("^", "$", r"\b"):
            atom += rng.choice(["", "", "*", "+", "?", "{1,2}", "*?", "+?", "??", "{2}"])
        parts.append(atom)
    return "".join(parts) + ("|" + rng.choice(ATOMS) if rng.random() < 0.2 else "")


def random_text(rng: random.Random) -> str:
    return "".join(rng.choice("abcA-\n") for _ in range(rng.randint(0, 8)))


def test_automaton_and_re_agree_on_thousands_of_random_expressions() -> None:
    rng = random.Random(1)
    for _ in range(600):
        tree = parse(random_pattern(rng))
        automaton, pattern = Automaton(build_program(tree)), compiled(tree)
        for _ in range(6):
            text = random_text(rng)
            assert automaton.matches(text) is (pattern.fullmatch(text) is not None), (pattern.pattern, text)


def test_groups_are_found_where_re_finds_them() -> None:
    """Without repeated groups that can match nothing: there RE2 and Perl differ."""
    rng = random.Random(2)
    for _ in range(600):
        source = random_pattern(rng, depth=0)
        tree = parse(source)
        program, pattern = build_program(tree), compiled(tree)
        for _ in range(6):
            text = random_text(rng)
            start = rng.randint(0, len(text))
            expected = pattern.search(text, start)
            found = search(program, text, start, Reach(program).of(text))
            assert found == (None if expected is None else tuple(at for span in expected.regs for at in span)), (source, text)


@pytest.mark.parametrize("pattern", ["a(.*b)?", "(a|b)(.*c|.*d)?", "a(a*b)*?", "(?:a(.*b)?)+?"])
def test_replacing_takes_time_proportional_to_the_text(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places = 0

    def counted(*arguments: Any) -> Any:
        nonlocal places
        places += 1
        return reachable(*arguments)

    reachable = captures._reachable
    monkeypatch.setattr(captures, "_reachable", counted)
    assert compile_regex(pattern).replacer("x")("a" * 2000) == "x" * 2000
    assert places <= 3 * 2000


def test_what_is_remembered_of_texts_is_bounded() -> None:
    reach = Reach(build_program(parse("(.{0,9}a.{0,9}|b)*c")))
    rng = random.Random(3)
    for _ in range(20):
        reach.of("".join(chr(rng.randrange(256)) for _ in range(1000)))
    assert len(reach._known) <= MOST_KNOWN


@pytest.mark.parametrize("pattern, linear", [
    ("abc", True), ("/item/[0-9]+", True), ("/a/.*", True), ("/[^/]+/[^/]+", True), ("(a|b)*", False), ("(a+)+", False),
    (".*a.*", False), ("[ab]+a", True), ("[ab]+a.*", False), (".*(foo|bar)", True), ("(/[^/]+)*", False), ("a{2,3}b{1,5}", True),
    ("(a|b)" * 10, False), ("(a|b)(c|d)?x*", True), ("(?:ab){3}", True), ("((a|b){3}){3}", False), ("(a*|b)c", False),
])
def test_re_is_used_only_where_no_text_makes_it_try_twice(pattern: str, linear: bool) -> None:
    assert is_linear(parse(pattern)) is linear


@pytest.mark.parametrize("pattern, linear", [
    ("^/a/(.*)$", True), ("a", True), ("a+", False), ("/[^/]+", False), ("^a+|b+", False), ("^(a|b)", True),
])
def test_a_search_with_re_begins_in_one_place_or_is_short(pattern: str, linear: bool) -> None:
    assert is_linear_search(parse(pattern)) is linear


class CountedSteps:
    """How many characters are offered to steps of a program."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = Take.takes

        def takes(step: Take, character: str) -> bool:
            self.count += 1
            return real(step, character)
        monkeypatch.setattr(Take, "takes", takes)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*c", ".*a.*a.*a.*b", "(a?){30}a{30}c", "(([a-z])+.)+[A-Z]([a-z])+"])
def test_the_worst_texts_cost_a_few_steps_and_are_remembered(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = CountedSteps(monkeypatch)
    matches = compile_regex(pattern).matches
    assert not matches("a" * 20_000 + "!")
    assert steps.count < 20_000, "each character was looked at again"
    before = steps.count
    assert not matches("a" * 20_000 + "!")
    assert steps.count == before, "nothing new was in the second text"


def test_a_substitution_looks_at_each_character_once_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = CountedSteps(monkeypatch)
    replaced = compile_regex("([a-z]+)+/x").replacer("")("a" * 3000)
    assert replaced == "a" * 3000
    assert steps.count <= 3000 * 3


def test_the_states_of_an_automaton_are_thrown_away_when_there_are_too_many() -> None:
    automaton = Automaton(build_program(parse("[ab]*a[ab]{12}")))
    pattern = re.compile("[ab]*a[ab]{12}")
    rng = random.Random(3)
    for _ in range(60):
        text = "".join(rng.choice("ab") for _ in range(200))
        assert automaton.matches(text) is (pattern.fullmatch(text) is not None)
        assert len(automaton._states) <= MOST_STATES


@pytest.mark.parametrize("pattern, substitution, text, result", [
    ("a", "b", "banana", "bbnbnb"),
    ("x*", "-", "abxd", "-a-b-d-"),  # Python's `sub` would put one more behind the x
    ("(a+)(b*)", r"<\2\1>", "aabab", "<baa><ba>"),
    ("(a)|(b)", r"[\1|\2]", "ab", "[a|][|b]"),
    ("b", r"\0\0", "abc", "abbc"),
    ("b", r"\\n", "abc", r"a\nc"),
    ("$", "E", "a\n", "a\nE"),
    ("^", "S", "ab", "Sab"),
    (r"\b", "|", "ab cd", "|ab| |cd|"),
    ("(a|ab)(c|bcd)?", r"[\1\2]", "abcd", "[abcd]"),
    ("[ab]*?b", "-", "aabab", "--"),
    ("(a+)+", r"<\1>", "aaba", "<aa>b<a>"),
    ("(a)", r"\2x", "aba", "aba"),  # there is no second group: nothing is replaced
    ("a", r"x\qy", "aba", "xbx"),  # RE2 gives up at the wrong escape
    ("a", "x\\", "aba", "xbx"),
    ("é", "e", "é", "e"),
])
def test_substitutions_are_those_of_re2(pattern: str, substitution: str, text: str, result: str) -> None:
    assert compile_regex(pattern).replacer(substitution)(text) == result


def test_short_and_long_texts_are_replaced_alike() -> None:
    replaced = compile_regex("[a-c]+([0-9])").replacer(r"<\1>")
    assert replaced("abc1-b2" + "-" * 600) == "<1>-<2>" + "-" * 600
    assert replaced("abc1-b2") == "<1>-<2>"
