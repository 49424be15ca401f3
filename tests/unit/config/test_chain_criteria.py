"""The keys of a filter_chain_match and the tree of them: what is the same, what overlaps, what is shared."""

from __future__ import annotations

from typing import List

import pytest

from proxy_core.config.chain_criteria import ANY, CRITERIA, covers, key_text, keys_of, keys_text, range_key
from proxy_core.config.chain_tree import Branch, Leaf, build, divide, leaves
from proxy_core.config.check_chains import overlapping
from proxy_core.config.model.address import CidrRange
from tests.support.chain_reference import Match, cidr, decoded


def overlaps(*matches: Match) -> List[int]:
    return overlapping([keys_of(decoded(match)) for match in matches])


@pytest.mark.parametrize("match", [{}, {"source_type": "ANY"}, {"server_names": [""]}, {"application_protocols": [""]}])
def test_what_is_not_set_is_any(match: Match) -> None:
    assert keys_of(decoded(match)) == keys_of(None) == ((ANY,),) * 9


def test_every_field_has_its_place() -> None:
    fields = {
        "destination_port": 1, "prefix_ranges": [cidr("10.0.0.0/8")], "server_names": ["a"], "transport_protocol": "tls",
        "application_protocols": ["h2"], "direct_source_prefix_ranges": [cidr("::/0")], "source_type": "EXTERNAL",
        "source_prefix_ranges": [cidr("1.2.3.4/32")], "source_ports": [7],
    }
    for place, field in enumerate(CRITERIA):
        keys = keys_of(decoded({field: fields[field]}))
        assert [one != (ANY,) for one in keys] == [place == other for other in range(9)]


@pytest.mark.parametrize("matches", [
    [{"server_names": ["a", "a"]}], [{"server_names": ["a", "A"]}], [{"server_names": ["*.a", ".a"]}], [{"source_ports": [1, 1]}],
    [{"prefix_ranges": [cidr("10.1.0.0/8"), cidr("10.0.0.0/8")]}],
])
def test_one_value_twice_in_a_field_is_an_overlap_as_in_envoy(matches: List[Match]) -> None:
    assert overlaps(*matches) == [0]


@pytest.mark.parametrize("one, other, expected", [
    ({"server_names": ["*.a"]}, {"server_names": [".A"]}, [1]),
    ({"server_names": [""]}, {}, [1]),
    ({"application_protocols": [""]}, {}, [1]),
    ({"server_names": ["Ä.com"]}, {"server_names": ["ä.com"]}, []),  # only ASCII letters have no case
    ({"prefix_ranges": [cidr("0.0.0.0/0")]}, {}, []),
    ({"prefix_ranges": [cidr("::ffff:10.0.0.0/104")]}, {"prefix_ranges": [cidr("10.0.0.0/8")]}, []),
])
def test_two_chains_overlap_as_envoy_says(one: Match, other: Match, expected: List[int]) -> None:
    assert overlaps(one, other) == expected


def test_a_range_that_is_none_has_no_key() -> None:
    with pytest.raises(ValueError):
        range_key(CidrRange(address_prefix="localhost", prefix_len=8))


def test_ranges_cover_each_other_by_their_leading_bits() -> None:
    wide, narrow = range_key(CidrRange("10.9.9.9", 8)), range_key(CidrRange("10.1.0.0", 16))
    assert covers(wide, narrow) and covers(wide, wide) and not covers(narrow, wide)
    assert not covers(range_key(CidrRange("::", 0)), narrow)
    assert covers(range_key(CidrRange("0.0.0.0", 0)), narrow)


def test_keys_are_shown_as_they_were_written() -> None:
    keys = keys_of(decoded({"server_names": ["*.A.test", "b"], "prefix_ranges": [cidr("10.1.2.3/8"), cidr("2001:db8::1/32")]}))
    assert keys_text(2, keys[2]) == "*.a.test, b"
    assert keys_text(1, keys[1]) == "10.0.0.0/8, 2001:db8::/32"
    assert key_text(0, ANY) == "any"
    assert keys_text(8, [1, 2, 3, 4, 5, 6]) == "1, 2, 3, 4 and 2 more"


def test_a_chain_is_once_in_a_group_however_often_it_has_the_key() -> None:
    keys = [keys_of(decoded({"source_ports": [1, 2, 1]})), keys_of(decoded({"source_ports": [1]}))]
    assert divide(keys, CRITERIA.index("source_ports"), (0, 1)) == {1: (0, 1), 2: (0,)}


def test_equal_sets_of_chains_share_a_subtree_and_unset_criteria_have_no_branch() -> None:
    many = {"server_names": [f"n{n}" for n in range(100)], "source_ports": list(range(1, 100))}
    tree = build([keys_of(decoded(many)), keys_of(decoded({"server_names": ["x"]}))])
    assert isinstance(tree, Branch) and CRITERIA[tree.criterion] == "server_names"
    assert len(tree.children) == 101
    assert len({id(child) for child in tree.children.values()}) == 2
    assert [leaf.members for leaf in leaves(tree)] == [(0,), (1,)]
    alone = build([keys_of(None)])
    assert isinstance(alone, Leaf) and alone.members == (0,)
