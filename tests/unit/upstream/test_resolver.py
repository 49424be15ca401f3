"""Look-ups: which families are asked for, what counts as an answer, and that one question is asked once."""

from __future__ import annotations

import socket
from typing import List

import pytest

from proxy_core.upstream.resolver import Answer, Resolver, ask, is_localhost, system_look_up
from tests.support.discovered import NO_SUCH_NAME, UNREACHABLE, Held, Names

BOTH = ["10.0.0.1", "10.0.0.2", "fd00::1"]


@pytest.mark.parametrize("family, expected", [
    ("AUTO", ["fd00::1"]), ("UNSPECIFIED", ["fd00::1"]), ("V4_ONLY", BOTH[:2]), ("V6_ONLY", ["fd00::1"]),
    ("V4_PREFERRED", BOTH[:2]), ("ALL", BOTH),
])
def test_each_lookup_family_takes_its_addresses(family: str, expected: List[str]) -> None:
    names = Names()
    names.known["a"] = BOTH
    assert ask(names, "a", family) == Answer(tuple(expected))


@pytest.mark.parametrize("family, only, expected", [
    ("AUTO", "10.0.0.1", ["10.0.0.1"]), ("V4_PREFERRED", "fd00::1", ["fd00::1"]), ("V6_ONLY", "10.0.0.1", []),
    ("V4_ONLY", "fd00::1", []), ("ALL", "fd00::1", ["fd00::1"]),
])
def test_a_family_without_addresses_leads_to_the_other_one_where_that_is_allowed(
    family: str, only: str, expected: List[str]
) -> None:
    names = Names()
    names.known["a"] = [only]
    assert ask(names, "a", family) == Answer(tuple(expected))


def test_a_name_that_does_not_exist_is_an_empty_answer_and_a_server_that_fails_is_an_error() -> None:
    names = Names()
    assert ask(names, "missing", "AUTO") == Answer(())
    names.known["a"] = UNREACHABLE
    assert ask(names, "a", "AUTO") == Answer((), "Temporary failure in name resolution")
    names.known["a"] = UnicodeError("label empty or too long")
    assert "label" in ask(names, "a", "AUTO").error


def test_one_family_that_fails_does_not_hide_the_addresses_of_the_other() -> None:
    def look_up(name: str, family: int) -> List[str]:
        if family == socket.AF_INET6:
            raise UNREACHABLE
        return ["10.0.0.1"]
    assert ask(look_up, "a", "AUTO") == Answer(("10.0.0.1",))


def test_the_same_question_under_way_is_asked_once_and_answered_to_all() -> None:
    names, background = Names(), Held()
    names.known["a"] = ["10.0.0.1"]
    resolver = Resolver(background, names)
    heard: List[Answer] = []
    for _ in range(3):
        resolver.resolve("a", "V4_ONLY", heard.append)
    resolver.resolve("a", "V6_ONLY", heard.append)
    assert resolver.pending == 2 and heard == []
    assert background.finish() == 2
    assert heard == [Answer(("10.0.0.1",))] * 3 + [Answer(())]
    resolver.resolve("a", "V4_ONLY", heard.append)
    assert background.finish() == 1 and len(heard) == 5


def test_a_cancelled_query_is_not_told_and_the_others_are() -> None:
    names, background = Names(), Held()
    resolver = Resolver(background, names)
    heard: List[str] = []
    first = resolver.resolve("a", "AUTO", lambda answer: heard.append("first"))
    resolver.resolve("a", "AUTO", lambda answer: heard.append("second"))
    first.cancel()
    background.finish()
    assert heard == ["second"]


def test_a_look_up_that_breaks_is_a_failure_and_not_the_end() -> None:
    def broken(name: str, family: int) -> List[str]:
        raise RuntimeError("of the test")
    background = Held()
    resolver = Resolver(background, broken)
    heard: List[Answer] = []
    resolver.resolve("a", "AUTO", heard.append)
    background.finish()
    assert heard == [Answer((), "RuntimeError: of the test")]
    assert resolver.pending == 0


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "a.localhost"])
def test_localhost_is_both_loopback_addresses_whatever_the_system_knows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*arguments: object) -> None:
        raise NO_SUCH_NAME
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert is_localhost(name)
    assert ask(system_look_up, name, "ALL") == Answer(("127.0.0.1", "::1"))
    assert ask(system_look_up, "localhost.example", "ALL") == Answer(())


def test_the_system_takes_a_numeric_address_for_itself() -> None:
    assert ask(system_look_up, "127.0.0.1", "V4_ONLY") == Answer(("127.0.0.1",))
