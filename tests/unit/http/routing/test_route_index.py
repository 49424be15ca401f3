"""The index finds what a walk through the list finds, for any list."""

from __future__ import annotations

import random
from typing import Callable, List, NamedTuple, Optional

from proxy_core.http.routing.index import Entry, Key, RouteIndex


class Rule(NamedTuple):
    """A route of the walk. takes: of paths that have the key."""

    key: Key
    takes: Optional[Callable[[str], bool]]
    name: int


def has_key(key: Key, path: str) -> bool:
    path = path.lower() if key.ignore_case else path
    return path == key.text if key.is_exact else path.startswith(key.text)


def walk(rules: List[Rule], path: str) -> Optional[int]:
    """The first that takes the path, in order."""
    for rule in rules:
        if has_key(rule.key, path) and (rule.takes is None or rule.takes(path)):
            return rule.name
    return None


def look_up(index: RouteIndex[Rule], path: str) -> Optional[int]:
    for _, rule in index.find(path):
        if rule.takes is None or rule.takes(path):
            return rule.name
    return None


def index_of(rules: List[Rule]) -> RouteIndex[Rule]:
    return RouteIndex([Entry((rule.key,), rule, rule.takes is None) for rule in rules])


def random_rules(rng: random.Random) -> List[Rule]:
    rules = []
    for name in range(rng.randint(0, 30)):
        text = "/" + "".join(rng.choice("ab/A") for _ in range(rng.randint(0, 5)))
        text = "" if rng.random() < 0.05 else text
        ignore_case = rng.random() < 0.25
        key = Key(text.lower() if ignore_case else text, rng.random() < 0.4, ignore_case)
        wanted = rng.randint(0, 2)
        takes = (lambda path, wanted=wanted: path.count("b") % 3 == wanted) if rng.random() < 0.5 else None
        rules.append(Rule(key, takes, name))
    return rules


def test_thousands_of_random_tables_answer_as_a_walk_in_order_does() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        rules = random_rules(rng)
        index = index_of(rules)
        for _ in range(8):
            path = "/" + "".join(rng.choice("ab/A") for _ in range(rng.randint(0, 7)))
            assert look_up(index, path) == walk(rules, path), (rules, path)


def test_candidates_end_with_the_first_that_takes_everything() -> None:
    rules = [
        Rule(Key("/a"), lambda path: False, 0), Rule(Key("/a/b", is_exact=True), None, 1), Rule(Key("/"), None, 2),
        Rule(Key("/a/"), None, 3), Rule(Key("/a"), None, 4),
    ]
    index = index_of(rules)
    assert [rank for rank, _ in index.find("/a/b")] == [0, 1]
    assert [rank for rank, _ in index.find("/a/c")] == [0, 2]
    assert [rank for rank, _ in index.find("/x")] == [2]
    assert index.find("") == ()


def test_a_route_may_have_several_keys() -> None:
    entry = Entry((Key("/a", is_exact=True), Key("/a/")), "a", True)
    index = RouteIndex([entry, Entry((Key("/"),), "all", True)])
    assert [index.find(path)[0][1] for path in ("/a", "/a/", "/a/b", "/ab", "/")] == ["a", "a", "a", "all", "all"]


def test_a_thousand_routes_cost_a_look_up_no_more_candidates_than_one() -> None:
    rules = [Rule(Key(f"/service-{number}/"), None, number) for number in range(1000)] + [Rule(Key("/"), None, 1000)]
    index = index_of(rules)
    for number in (0, 567, 999):
        assert [rank for rank, _ in index.find(f"/service-{number}/x")] == [number]
    assert [rank for rank, _ in index.find("/service-1000/x")] == [1000]
