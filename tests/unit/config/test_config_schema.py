"""The JSON Schema says what the decoder does: both take the valid samples, both refuse the wrong ones."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Type

import pytest

from proxy_core.config.descriptor import Message
from proxy_core.config.model.bootstrap import Bootstrap
from proxy_core.config.schema import DIALECT, schema
from tests.unit.config.config_samples import (
    message_classes, registry, smallest, valid_field, with_field, wrong_values,
)

CLASSES = message_classes()


def name_of(message_class: Type[Message]) -> str:
    return message_class.DESCRIPTOR.short_name


def valid(value: Any, rule: Dict[str, Any], root: Dict[str, Any]) -> bool:
    """The part of draft 2020-12 that our schemas use. An unknown keyword is an error of the test."""
    checks = {
        "$ref": lambda ref: valid(value, root["$defs"][ref.rpartition("/")[2]], root),
        "type": lambda name: of_type(value, name),
        "enum": lambda values: any(value == one and type(value) is type(one) for one in values),
        "pattern": lambda pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
        "minLength": lambda limit: not isinstance(value, str) or len(value) >= limit,
        "minimum": lambda limit: not of_type(value, "number") or value >= limit,
        "maximum": lambda limit: not of_type(value, "number") or value <= limit,
        "items": lambda rule: not isinstance(value, list) or all(valid(one, rule, root) for one in value),
        "minItems": lambda limit: not isinstance(value, list) or len(value) >= limit,
        "maxItems": lambda limit: not isinstance(value, list) or len(value) <= limit,
        "required": lambda names: not isinstance(value, dict) or all(name in value for name in names),
        "propertyNames": lambda rule: not isinstance(value, dict) or all(valid(k, rule, root) for k in value),
        "anyOf": lambda rules: any(valid(value, one, root) for one in rules),
        "oneOf": lambda rules: sum(valid(value, one, root) for one in rules) == 1,
        "allOf": lambda rules: all(valid(value, one, root) for one in rules),
        "not": lambda rule: not valid(value, rule, root),
    }
    notes = ("$schema", "$defs", "title", "description", "deprecated", "examples", "contentEncoding")
    keywords = [key for key in rule if key not in (*notes, "properties", "additionalProperties")]
    return all(checks[key](rule[key]) for key in keywords) and valid_properties(value, rule, root)


def valid_properties(value: Any, rule: Dict[str, Any], root: Dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    properties, others = rule.get("properties", {}), rule.get("additionalProperties", True)
    for key, item in value.items():
        one = properties.get(key, others)
        if one is False or (isinstance(one, dict) and not valid(item, one, root)):
            return False
    return True


def of_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    integral = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    python = {"object": dict, "array": list, "string": str, "boolean": bool}
    if name == "integer":
        return integral
    return isinstance(value, (int, float)) if name == "number" else isinstance(value, python[name])


@pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
def test_valid_samples_fit_the_schema_and_wrong_ones_do_not(message_class: Type[Message]) -> None:
    root = schema(message_class, registry())
    assert valid(smallest(message_class), root, root)
    assert not valid({**smallest(message_class), "zzzz": 1}, root, root)
    for spec in message_class.DESCRIPTOR.fields.values():
        good = valid_field(message_class, spec)
        assert valid(with_field(message_class, spec, good), root, root), spec.name
        for wrong in (5, True, "x", [[]]) if spec.label in ("repeated", "map") else wrong_values(spec.kind):
            if isinstance(wrong, str) and wrong not in ("", "x"):
                continue  # the schema does not repeat the range of numbers in strings, nor base64
            assert not valid(with_field(message_class, spec, wrong), root, root), (spec.name, wrong)


@pytest.mark.parametrize("message_class", CLASSES, ids=name_of)
def test_what_is_required_is_required_by_the_schema(message_class: Type[Message]) -> None:
    root = schema(message_class, registry())
    descriptor = message_class.DESCRIPTOR
    required = [spec.name for spec in descriptor.fields.values() if spec.is_required]
    assert root.get("required", []) == required
    for group in descriptor.required_oneofs:
        members = descriptor.oneofs[group]
        body = {key: value for key, value in smallest(message_class).items() if key not in members}
        assert not valid(body, root, root)
    for members in descriptor.oneofs.values():
        if len(members) > 1:
            first, second = (descriptor.fields[name] for name in members[:2])
            body = with_field(message_class, first, valid_field(message_class, first))
            assert not valid({**body, second.name: valid_field(message_class, second)}, root, root)


def test_the_document_of_a_bootstrap_is_complete_and_plain_json() -> None:
    root = json.loads(json.dumps(schema(Bootstrap, registry())))
    assert root["$schema"] == DIALECT and root["title"] == "envoy.config.bootstrap.v3.Bootstrap"
    assert root["additionalProperties"] is False and "$schema" in root["properties"]
    references = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(root)))
    assert references == set(root["$defs"])
    assert all(entry for entry in root["$defs"].values())
    port = root["$defs"]["envoy.config.core.v3.SocketAddress"]["properties"]["port_value"]
    assert port["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 65535}
    assert port["description"] == "0 = any free port."


def test_recursive_messages_refer_to_themselves() -> None:
    root = schema(Bootstrap, registry())
    one_of = root["$defs"]["envoy.type.matcher.v3.ListMatcher"]["properties"]["one_of"]
    assert one_of == {"$ref": "#/$defs/envoy.type.matcher.v3.ValueMatcher"}


def test_an_any_is_told_apart_by_its_type() -> None:
    root = schema(Bootstrap, registry())
    name = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    rule = root["$defs"]["google.protobuf.Any"]
    assert valid({"@type": f"type.googleapis.com/{name}", "max_active_downstream_connections": 5}, rule, root)
    assert valid({"@type": "python:mine.Filter", "anything": 1}, rule, root)
    assert not valid({"@type": f"type.googleapis.com/{name}", "zzz": 5}, rule, root)
    assert not valid({"@type": "type.googleapis.com/other.Type"}, rule, root)
    assert not valid({"max_active_downstream_connections": 5}, rule, root)
