"""The decoding of whole messages: names, choices, order of problems, `Any`, and rules between fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import pytest

from proxy_core.config.context import Context
from proxy_core.config.decode import decode, decode_into
from proxy_core.config.descriptor import camel_case
from proxy_core.config.dump import dump, dump_any
from proxy_core.config.fields import (
    AnyOf, AnyValue, Duration, Int64, Message, Nested, PythonConfig, Report, String, Struct, TypeRegistry,
    UInt32, mapping, message, optional, plain, repeated, walk,
)
from proxy_core.config.registry import PythonResolver
from proxy_core.errors import ConfigError

LEAF = "type.googleapis.com/test.v3.Leaf"


@message("test.v3.Leaf", unsupported=("old_value",), required_oneofs=("what",))
@dataclass
class Leaf(Message):
    """A message with a choice."""

    name: str = plain(String(min_len=1), refers_to="thing")
    port_value: Optional[int] = optional(UInt32(lte=65535), oneof="what")
    path: Optional[str] = optional(String(), oneof="what", deprecated=True)


@message("test.v3.Tree", unsupported=("roots", "leaf_weight"))
@dataclass
class Tree(Message):
    """A message that holds itself."""

    leaf: Optional[Leaf] = optional(Nested(Leaf))
    trees: List[Tree] = repeated(Nested.later(lambda: Tree), max_items=3)
    named: Dict[str, Tree] = mapping(Nested.later(lambda: Tree))
    low: int = plain(Int64())
    high: int = plain(Int64(), deprecated=True)
    wait: Optional[float] = optional(Duration(gt=0))
    data: Optional[Dict[str, Any]] = optional(Struct())
    any: Optional[AnyValue] = optional(AnyOf())
    sizes: List[int] = repeated(UInt32())

    def check(self, report: Report) -> None:
        if self.low > self.high:
            report("low", "must not be above high", uses=("high",))
        if sum(self.sizes) > 100:
            report("", "too large in all", hint="take less", uses=("sizes",))


def registry(python: Optional[PythonResolver] = None) -> TypeRegistry:
    return TypeRegistry([Leaf, Tree], python)


def problems(value: Any, path: str = "", types: Optional[TypeRegistry] = None) -> List[Tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        decode(Tree, value, types or registry(), path)
    return [(problem.path, problem.message, problem.hint) for problem in caught.value.problems]


def test_an_empty_object_is_all_defaults_and_presence_can_be_told() -> None:
    tree = decode(Tree, {}, registry())
    assert tree == Tree() and tree.leaf is None and tree.wait is None and tree.trees == []
    assert decode(Tree, {"data": {}}, registry()).data == {}


def test_lists_of_two_instances_are_not_shared() -> None:
    Tree().trees.append(Tree())
    assert Tree().trees == []


def test_both_spellings_work_but_not_at_once() -> None:
    for key in ("port_value", "portValue"):
        assert decode(Leaf, {"name": "x", key: 1}, registry()).port_value == 1
    with pytest.raises(ConfigError) as caught:
        decode(Leaf, {"name": "x", "port_value": 1, "portValue": 1}, registry())
    text = "`port_value` is given twice, as `port_value` and as `portValue`"
    assert [(one.path, one.message) for one in caught.value.problems] == [("port_value", text)]


def test_camel_case_is_protobufs() -> None:
    assert camel_case("http2_max__x_9a") == "http2MaxX9a"


def test_all_problems_come_at_once_and_in_file_order() -> None:
    found = problems(
        {
            "wait": 5,
            "trees": [{"leaf": {"prot_value": 1}}, 7, {"zzzz": 1, "low": "x"}],
            "named": {"a b": {"sizes": [1, "x", 3]}},
            "roots": 1,
            "leaf": [],
        },
        "top",
    )
    assert [path for path, _, _ in found] == [
        "top.wait",
        "top.trees[0].leaf.prot_value",
        "top.trees[0].leaf.name",
        "top.trees[1]",
        "top.trees[2].zzzz",
        "top.trees[2].low",
        'top.named["a b"].sizes[1]',
        "top.roots",
        "top.leaf",
    ]
    assert found[1][1:] == ("unknown field `prot_value`", "did you mean `port_value`?")
    assert found[-1][1] == "expected an object (Leaf), found []"


def test_a_misspelt_field_is_not_reported_as_missing_too() -> None:
    assert [path for path, _, _ in problems({"leaf": {"name": "x", "prt_value": 1}})] == ["leaf.prt_value"]
    assert [path for path, _, _ in problems({"leaf": {"nmae": "x", "path": ""}})] == ["leaf.nmae"]


def test_a_field_of_the_message_inside_is_pointed_at() -> None:
    assert problems({"port_value": 1}) == [
        ("port_value", "unknown field `port_value`", "`port_value` is a field of `leaf`")
    ]


def test_an_unsupported_member_of_a_required_choice_is_reported_once() -> None:
    assert [path for path, _, _ in problems({"leaf": {"name": "x", "old_value": 1}})] == ["leaf.old_value"]


def test_a_broken_member_of_a_required_choice_is_reported_once() -> None:
    found = problems({"leaf": {"name": "x", "port_value": "x"}})
    assert [path for path, _, _ in found] == ["leaf.port_value"]


def test_limits_of_lists_are_kept() -> None:
    text = "expected at most 3 in the list, found 4"
    assert problems({"trees": [{}, {}, {}, {}]}) == [("trees", text, "")]
    assert problems({"sizes": 5})[0][1:] == ("expected a list, found 5", "")
    assert problems({"trees": {}})[0][1:] == ("expected a list, found {}", "put it in [ ]")


def test_unknown_fields_may_be_ignored_but_unsupported_ones_never() -> None:
    context = Context(registry(), allow_unknown=True)
    value = {"zzz": 1, "leaf": {"name": "x", "path": "/", "yyy": {}}, "roots": 1}
    tree = decode_into(Tree, value, "", context)
    assert tree.leaf is not None and tree.leaf.name == "x"
    assert [str(one) for one in context.warnings] == [
        "zzz: unknown field `zzz` is ignored",
        "leaf.path: Using deprecated option 'test.v3.Leaf.path'",
        "leaf.yyy: unknown field `yyy` is ignored",
    ]
    assert [one.path for one in context.problems] == ["roots"]


def test_a_deprecated_field_that_is_zero_is_no_warning() -> None:
    context = Context(registry())
    decode_into(Tree, {"high": 0}, "", context)
    assert context.warnings == []
    decode_into(Tree, {"high": 1}, "", context)
    assert len(context.warnings) == 1


def test_rules_between_fields_are_asked_and_have_a_path() -> None:
    assert problems({"trees": [{"low": 2, "high": 1, "sizes": [101]}]}) == [
        ("trees[0].low", "must not be above high", ""),
        ("trees[0]", "too large in all", "take less"),
    ]


def test_a_rule_that_rests_on_a_broken_field_is_not_asked() -> None:
    assert [path for path, _, _ in problems({"low": 2, "high": "x"})] == ["high"]
    assert [path for path, _, _ in problems({"low": [], "high": 1})] == ["low"]
    assert [path for path, _, _ in problems({"sizes": [101, "x"]})] == ["sizes[1]"]


def test_a_bad_element_keeps_its_place_in_the_list() -> None:
    context = Context(registry())
    tree = decode_into(Tree, {"trees": [5, {"low": 1, "high": 1}], "sizes": ["x", 9]}, "", context)
    assert [one.low for one in tree.trees] == [0, 1] and tree.sizes == [0, 9]


def test_an_any_holds_its_type_and_its_message() -> None:
    tree = decode(Tree, {"any": {"name": "x", "@type": LEAF, "port_value": "1"}}, registry())
    assert tree.any == AnyValue(LEAF, Leaf(name="x", port_value=1))
    assert tree.any is not None and tree.any.type_name == "test.v3.Leaf"
    assert dump(tree) == {"any": {"@type": LEAF, "name": "x", "port_value": 1}}
    assert dump_any(Leaf(name="x")) == {"@type": LEAF, "name": "x"}
    assert decode(Tree, {"any": {"@type": "host/more/test.v3.Tree"}}, registry()).any is not None


def test_problems_inside_an_any_have_the_path_of_the_place() -> None:
    assert [path for path, _, _ in problems({"any": {"@type": LEAF, "name": 1, "path": "x", "zzz": 1}})] == [
        "any.name", "any.zzz",
    ]


@pytest.mark.parametrize(
    "value, path, message, hint",
    [
        ({}, "any.@type", "`@type` is required", 'write "@type": "type.googleapis.com/<message name>"'),
        ({"@type": 5}, "any.@type", "expected a string, found 5", ""),
        (5, "any", "expected an object with `@type`, found 5", ""),
        (
            {"@type": "test.v3.Leaf"}, "any.@type",
            '`@type` must contain at least one / and a nonempty host, found "test.v3.Leaf"',
            'write "type.googleapis.com/test.v3.Leaf"',
        ),
        (
            {"@type": "/test.v3.Leaf"}, "any.@type",
            '`@type` must contain at least one / and a nonempty host, found "/test.v3.Leaf"', "",
        ),
        (
            {"@type": "type.googleapis.com/test.v2.Leaf"}, "any.@type",
            "could not find @type 'type.googleapis.com/test.v2.Leaf'", f"did you mean `{LEAF}`?",
        ),
        (
            {"@type": "type.googleapis.com/test.v3.Laef"}, "any.@type",
            "could not find @type 'type.googleapis.com/test.v3.Laef'", f"did you mean `{LEAF}`?",
        ),
        (
            {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}, "any.@type",
            "'envoy.extensions.filters.http.lua.v3.Lua' is a type of Envoy's that is not supported by "
            "proxy_core yet", "",
        ),
        (
            {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Luaa"}, "any.@type",
            "could not find @type 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Luaa'",
            "did you mean `type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua`?",
        ),
        ({"@type": "type.googleapis.com/"}, "any.@type", "could not find @type 'type.googleapis.com/'", ""),
        (
            {"@type": "python:a.B"}, "any.@type",
            "'python:a.B': no filters of one's own can be loaded here", "",
        ),
    ],
)
def test_a_type_that_can_not_be_used_says_why(value: Any, path: str, message: str, hint: str) -> None:
    assert problems({"any": value}) == [(path, message, hint)]


def test_a_python_type_goes_to_the_resolver_with_its_configuration_as_written() -> None:
    def resolve(name: str) -> Any:
        if name != "mine.Filter":
            raise ValueError("no module named mine")
        return len

    types = registry(resolve)
    tree = decode(Tree, {"any": {"@type": "python:mine.Filter", "word": {"a": 1}}}, types)
    assert tree.any is not None and isinstance(tree.any.message, PythonConfig)
    assert tree.any.message.target is len and tree.any.message.config == {"word": {"a": 1}}
    assert tree.any.type_name == "python:mine.Filter"
    assert dump(tree) == {"any": {"@type": "python:mine.Filter", "word": {"a": 1}}}
    assert problems({"any": {"@type": "python:other"}}, types=types) == [
        ("any.@type", "'python:other': no module named mine", "")
    ]


def test_two_classes_for_one_type_are_a_bug_of_the_program() -> None:
    @message("test.v3.Leaf")
    @dataclass
    class Other(Message):
        pass

    with pytest.raises(ValueError):
        registry().add(Other)


def test_the_walk_visits_every_value_with_its_path() -> None:
    tree = decode(
        Tree,
        {
            "leaf": {"name": "a", "port_value": 1},
            "named": {"k": {"sizes": [7, 8]}},
            "any": {"@type": LEAF, "name": "b", "path": ""},
        },
        registry(),
    )
    leaves = [(path, value) for path, _, value in walk(tree) if not isinstance(value, (Message, AnyValue))]
    assert leaves == [
        ("leaf.name", "a"), ("leaf.port_value", 1), ('named["k"].sizes[0]', 7), ('named["k"].sizes[1]', 8),
        ("any.name", "b"), ("any.path", ""),
    ]
    assert [value for _, spec, value in walk(tree) if spec.refers_to == "thing"] == ["a", "b"]


def test_declarations_that_contradict_themselves_are_refused() -> None:
    @dataclass
    class Doubled(Message):
        name: str = plain(String())

    @dataclass
    class Undeclared(Message):
        name: str = "x"

    with pytest.raises(TypeError, match="declared twice"):
        message("test.v3.Doubled", unsupported=("name",))(Doubled)
    with pytest.raises(TypeError, match="required choice is empty"):
        message("test.v3.Doubled", required_oneofs=("what",))(Doubled)
    with pytest.raises(TypeError, match="declare it with"):
        message("test.v3.Undeclared")(Undeclared)
