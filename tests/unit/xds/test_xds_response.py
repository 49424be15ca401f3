"""DiscoveryResponses: what is one, what is not, and that each resource is judged by itself."""

from __future__ import annotations

import json
import random
from typing import Any, List

import pytest

from proxy_core.config.model.listener import Listener
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.xds.response import Rejected, Response, decode_response

TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"


def decoded(value: Any) -> Response[Listener]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode_response(data, "lds.json", Listener, TypeRegistry())


def listener(name: str, **fields: Any) -> Any:
    return {"@type": TYPE, "name": name, **fields}


def test_version_and_resources_in_both_spellings() -> None:
    for version, kind in (("version_info", "type_url"), ("versionInfo", "typeUrl")):
        response = decoded({version: "7", kind: TYPE, "resources": [listener("a"), listener("b")], "nonce": "n"})
        assert response.version_info == "7"
        assert [one.config.name for one in response.resources] == ["a", "b"]
        assert [one.path for one in response.resources] == ["resources[0]", "resources[1]"]
        assert not any(one.problems for one in response.resources)


def test_an_empty_object_is_an_update_that_holds_nothing() -> None:
    response = decoded({})
    assert (response.version_info, response.resources) == ("", [])


def test_a_wrapped_resource_is_unwrapped() -> None:
    wrapper = {"@type": "type.googleapis.com/envoy.service.discovery.v3.Resource", "name": "a", "resource": listener("a")}
    resource = decoded({"resources": [wrapper]}).resources[0]
    assert (resource.config.name, resource.path, resource.raw) == ("a", "resources[0].resource", listener("a"))
    for broken in ({**wrapper, "resource": None}, {**wrapper, "resource": {"name": "a"}}):
        with pytest.raises(ConfigError) as caught:
            decoded({"resources": [broken]})
        assert caught.value.problems[0].path.startswith("resources[0].resource")


def test_a_resource_with_a_mistake_has_its_own_problems_and_the_others_none() -> None:
    response = decoded({"resources": [listener("a"), listener("b", drain_type="NEVER"), listener("c", bind_to_port=1)]})
    assert [[problem.path for problem in one.problems] for one in response.resources] == [
        [], ["resources[1].drain_type"], ["resources[2].bind_to_port"],
    ]


def test_unknown_fields_are_warnings_wherever_they_are() -> None:
    response = decoded({"nosuch": 1, "resources": [listener("a", nosuch=2)]})
    assert [warning.path for warning in response.warnings] == ["nosuch", "resources[0].nosuch"]
    assert response.resources[0].problems == []


@pytest.mark.parametrize("value", [
    b"", b"{", b"[]", b"null", b"\xff", b'{"a": 1, "a": 2}', b'{"resources": {}}', b'{"resources": [1]}', b'{"version_info": 7}',
    b'{"resources": [{"name": "a"}]}', b'{"resources": [{"@type": 7}]}', b'{"resources": [{"@type": "Listener"}]}',
])
def test_what_is_no_discovery_response_is_a_config_error(value: bytes) -> None:
    with pytest.raises(ConfigError):
        decoded(value)


def test_resources_of_another_type_reject_the_whole_response() -> None:
    other = {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "c"}
    with pytest.raises(Rejected) as caught:
        decoded({"resources": [listener("a"), other]})
    assert str(caught.value).startswith("resources[1]: unable to unpack as envoy.config.listener.v3.Listener")


def test_every_prefix_of_a_response_is_refused_and_mutations_never_raise_anything_else() -> None:
    whole = json.dumps({"version_info": "1", "resources": [listener("a", stat_prefix="s")]}).encode()
    for end in range(len(whole)):
        with pytest.raises(ConfigError):
            decoded(whole[:end])
    rng = random.Random(7)
    outcomes: List[bool] = []
    for _ in range(2000):
        changed = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        try:
            decoded(bytes(changed))
            outcomes.append(True)
        except (ConfigError, Rejected):
            outcomes.append(False)
    assert {True, False} == set(outcomes)
