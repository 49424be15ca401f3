"""Queries and paths of requests."""

from __future__ import annotations

from typing import Dict

import pytest

from proxy_core.admin.api import json_reply, normalise_path, parse_query


@pytest.mark.parametrize(("query", "expected"), [
    ("", {}),
    ("&&", {}),
    ("=value", {}),
    ("usedonly", {"usedonly": ""}),
    ("a=1&b=2", {"a": "1", "b": "2"}),
    ("a=1&a=2", {"a": "1"}),
    ("a=b=c", {"a": "b=c"}),
    ("a%20b=c%20d+e", {"a b": "c d+e"}),
    ("filter=%5Ex%24", {"filter": "^x$"}),
    ("a=%zz", {"a": "%zz"}),
    ("a=%c3%a9", {"a": "\u00e9"}),
    ("a=\u00c3\u00a9", {"a": "\u00e9"}),  # the same bytes, as the codec gives them
    ("a=%ff", {"a": "\ufffd"}),
])
def test_a_query_is_decoded_and_the_first_of_a_name_counts(query: str, expected: Dict[str, str]) -> None:
    assert parse_query(query) == expected


@pytest.mark.parametrize(("path", "expected"), [
    ("/", "/"),
    ("/ready", "/ready"),
    ("//ready", "/ready"),
    ("/ready/", "/ready/"),
    ("/a/../ready", "/ready"),
    ("/../../ready", "/ready"),
    ("/./ready/.", "/ready/"),
    ("/healthcheck/fail/..", "/healthcheck/"),
    ("/hel%70", "/help"),
    ("/a%2Fb", "/a%2Fb"),
    ("/a%", "/a%"),
    ("/a%zz%4", "/a%zz%4"),
    ("/a%+1b", "/a%+1b"),
    ("/READY", "/READY"),
])
def test_a_path_has_one_form_whatever_way_it_was_written(path: str, expected: str) -> None:
    assert normalise_path(path) == expected


@pytest.mark.parametrize("path", ["", "ready", "*", "http://x/ready", "/ready#top"])
def test_what_is_no_path_is_refused(path: str) -> None:
    assert normalise_path(path) is None


def test_json_is_printed_as_envoy_prints_it() -> None:
    assert json_reply({"a": [{"b": "\u00e9"}], "c": []}).body.decode() == (
        '{\n "a": [\n  {\n   "b": "\u00e9"\n  }\n ],\n "c": []\n}\n'
    )
