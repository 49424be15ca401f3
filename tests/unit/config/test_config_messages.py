"""Every message of the model with good and bad input, generated from its declaration."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple, Type

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.descriptor import FieldSpec, Message, camel_case
from proxy_core.config.dump import dump
from proxy_core.config.kinds import Value
from proxy_core.errors import ConfigError
from tests.unit.config.config_samples import (
    message_classes, registry, smallest, valid_field, with_field, wrong_values,
)

CLASSES = message_classes()


def name_of(value: Any) -> str:
    return value.DESCRIPTOR.short_name if isinstance(value, type) else getattr(value, "name", "")


def for_each_field(test: Callable[[Type[Message], FieldSpec], None]) -> Callable[..., None]:
    """One test per message that tries all of its fields: a test of its own for each would cost more than what it does."""
    @pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
    def try_all(message_class: Type[Message]) -> None:
        for spec in message_class.DESCRIPTOR.fields.values():
            test(message_class, spec)

    try_all.__name__ = test.__name__
    return try_all


def problems(message_class: Type[Message], value: Any) -> List[Tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        decode(message_class, value, registry(), "m")
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_the_model_has_the_messages_of_a_bootstrap() -> None:
    names = {one.DESCRIPTOR.short_name for one in CLASSES}
    assert {"Bootstrap", "Listener", "FilterChainMatch", "Cluster", "LbEndpoint", "AccessLogFilter"} <= names
    assert len(CLASSES) >= 60


@pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
def test_the_smallest_valid_object_decodes_and_comes_back_the_same_from_dump(
    message_class: Type[Message],
) -> None:
    decoded = decode(message_class, smallest(message_class), registry())
    again = decode(message_class, dump(decoded), registry())
    assert again == decoded


@pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
def test_a_message_that_is_not_an_object_is_refused_at_its_own_path(message_class: Type[Message]) -> None:
    for value in (5, "x", True, [], None):
        assert [path for path, _ in problems(message_class, value)] == ["m"]


@pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
def test_an_unknown_field_is_refused_in_every_message(message_class: Type[Message]) -> None:
    found = problems(message_class, {**smallest(message_class), "zzzz_zzzz": 1})
    assert found == [("m.zzzz_zzzz", "unknown field `zzzz_zzzz`")]


@pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
def test_fields_that_envoy_has_and_we_do_not_say_so_unless_they_are_unset(
    message_class: Type[Message],
) -> None:
    descriptor = message_class.DESCRIPTOR
    for name in descriptor.unsupported:
        for spelling in (name, camel_case(name)):
            for unset in (None, False, 0, "", [], {}):
                decode(message_class, {**smallest(message_class), spelling: unset}, registry())
            owner = f"Envoy's {descriptor.short_name}"
            text = f"`{name}` is a field of {owner} that proxy_core does not support yet"
            body = {**smallest(message_class), spelling: True}
            assert problems(message_class, body) == [(f"m.{name}", text)]


@for_each_field
def test_a_valid_value_of_each_field_decodes_in_both_spellings_and_survives_dump(
    message_class: Type[Message], spec: FieldSpec
) -> None:
    if spec.name in ("protocol", "codec_client_type"):
        return  # TCP and HTTP1, the zeros, are all there is
    value = valid_field(message_class, spec)
    body = with_field(message_class, spec, value)
    decoded = decode(message_class, body, registry())
    assert spec.is_set(getattr(decoded, spec.name))
    camel = {camel_case(key): item for key, item in body.items()}
    assert decode(message_class, camel, registry()) == decoded
    assert decode(message_class, dump(decoded), registry()) == decoded
    assert spec.name in dump(decoded)


@for_each_field
def test_null_is_the_same_as_leaving_a_field_out(message_class: Type[Message], spec: FieldSpec) -> None:
    body = smallest(message_class)
    if spec.name not in body:
        with_null = decode(message_class, {**body, spec.name: None}, registry())
        assert with_null == decode(message_class, body, registry())


@for_each_field
def test_every_wrong_value_of_each_field_is_refused_at_its_exact_path(
    message_class: Type[Message], spec: FieldSpec
) -> None:
    if isinstance(spec.kind, Value):
        return
    for wrong in wrong_values(spec.kind):
        whole, path = wrong, f"m.{spec.name}"
        if spec.label == "repeated":
            good = valid_field(message_class, spec)
            whole, path = [*good, wrong, *good], f"{path}[{len(good)}]"
        elif spec.label == "map":
            whole, path = {"a.b": wrong}, f'{path}["a.b"]'
        found = problems(message_class, with_field(message_class, spec, whole))
        assert [where for where, _ in found] == [path], wrong
        assert "expected" in found[0][1].lower(), wrong


@for_each_field
def test_lists_and_maps_take_nothing_else_and_no_null_inside(
    message_class: Type[Message], spec: FieldSpec
) -> None:
    def paths(value: Any) -> List[str]:
        return [path for path, _ in problems(message_class, with_field(message_class, spec, value))]

    path = f"m.{spec.name}"
    if spec.label == "repeated":
        good = valid_field(message_class, spec)
        for wrong in (5, "x", True, {}):
            assert paths(wrong) == [path]
        assert paths([*good, None]) == [f"{path}[{len(good)}]"]
    elif spec.label == "map":
        for wrong in (5, "x", True, []):
            assert paths(wrong) == [path]
        assert paths({"k": None}) == [f'{path}["k"]']
        assert paths({"": {}}) == [f'{path}[""]']


@pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
def test_what_is_required_is_missed_at_its_path(message_class: Type[Message]) -> None:
    descriptor = message_class.DESCRIPTOR
    for spec in descriptor.fields.values():
        if spec.is_required:
            body = {key: item for key, item in smallest(message_class).items() if key != spec.name}
            path, text = problems(message_class, body)[0]
            assert (path, text.split(":")[0]) == (f"m.{spec.name}", f"`{spec.name}` is required")
    for group in descriptor.required_oneofs:
        members = descriptor.oneofs[group]
        body = {key: item for key, item in smallest(message_class).items() if key not in members}
        wanted = f"exactly one of {', '.join(members)}" if len(members) > 1 else f"`{members[0]}`"
        assert ("m", f"{wanted} is required") in problems(message_class, body)


@pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
def test_two_members_of_one_choice_are_refused_at_the_second(message_class: Type[Message]) -> None:
    descriptor = message_class.DESCRIPTOR
    for members in descriptor.oneofs.values():
        if len(members) < 2:
            continue
        first, second = (descriptor.fields[name] for name in members[:2])
        body = with_field(message_class, first, valid_field(message_class, first))
        body[second.name] = valid_field(message_class, second)
        text = f"`{first.name}` is set already: at most one of {', '.join(members)} may be set"
        assert problems(message_class, body) == [(f"m.{second.name}", text)]
