"""What a health check, its requests and the names of several of them must not say."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Cluster
from proxy_core.config.model.health_check import HEALTH_CHECK_TYPES, HealthCheck, Payload
from proxy_core.config.model.header_value import HeaderValueOption
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from tests.support.watched import REDIS, check


def problems(message: Any, config: Any) -> List[Tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        decode(message, config, TypeRegistry(list(HEALTH_CHECK_TYPES)))
    return [(problem.path, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(("http", "path", "words"), [
    ({"path": ""}, "path", "at least 1 character"), ({"path": "/", "method": "CONNECT"}, "method", "CONNECT"),
    ({"path": "/\r\nx: y"}, "path", "no line breaks"), ({"path": "/", "host": "a\nb"}, "host", "no line breaks"),
    ({"path": "/", "codec_client_type": "HTTP2"}, "codec_client_type", "HTTP2 is not supported"),
    ({"path": "/", "expected_statuses": [{"start": 200, "end": 200}]}, "expected_statuses[0]", "start < end"),
    ({"path": "/", "expected_statuses": [{"start": 99, "end": 200}]}, "expected_statuses[0]", "start >= 100"),
    ({"path": "/", "retriable_statuses": [{"start": 500, "end": 601}]}, "retriable_statuses[0]", "end <= 600"),
    ({"path": "/", "receive": [{"text": "0g"}]}, "receive[0].text", "hex"),
    ({"path": "/", "request_headers_to_add": [{"header": {"key": "a", "value": "b\r\nc"}}]},
     "request_headers_to_add[0].header.value", "no line breaks"),
    ({"path": "/", "request_headers_to_add": [{"header": {"key": "Host", "value": "x"}}]},
     "request_headers_to_add[0].header.key", "may not be modified"),
    ({"path": "/", "request_headers_to_add": [{"header": {"key": ":path", "value": "x"}}]},
     "request_headers_to_add[0].header.key", "may not be modified"),
    ({"path": "/", "request_headers_to_remove": ["host"]}, "request_headers_to_remove[0]", "may not be removed"),
])
def test_requests_that_can_not_be_sent_or_judged_are_refused_at_their_place(http: Any, path: str, words: str) -> None:
    found = problems(HealthCheck, check(http_health_check=http))
    assert [where for where, _ in found] == [f"http_health_check.{path}"]
    assert words in found[0][1]


def test_exactly_one_kind_is_needed_and_thresholds_and_times() -> None:
    assert "exactly one of" in problems(HealthCheck, check())[0][1]
    assert len(problems(HealthCheck, {"tcp_health_check": {}})) == 4
    assert problems(HealthCheck, check(tcp_health_check={}, interval="0s"))[0][0] == "interval"
    assert any("not support" in words for _, words in problems(HealthCheck, check(grpc_health_check={"service_name": "x"})))


def test_payloads_are_hexadecimal_or_base64() -> None:
    for config in ({"text": "50 4f"}, {"text": "504F"}, {"binary": "UE8="}):
        assert decode(Payload, config, TypeRegistry()).data == b"PO"


def test_several_checks_need_names_of_their_own() -> None:
    def cluster(*names: Any) -> Any:
        return {"name": "c", "health_checks": [check(tcp_health_check={}, **({"name": one} if one else {})) for one in names]}
    for names in ((), (None,), ("a",), ("a", "b")):
        decode(Cluster, cluster(*names), TypeRegistry())
    assert problems(Cluster, cluster(None, "a")) == [(
        "health_checks[0].name", "health check at index 0 is missing a name; all health checks must have a name when multiple "
        "health checks are configured",
    )]
    assert problems(Cluster, cluster("a", "b", "a")) == [("health_checks[2].name", "duplicate health check name 'a'")]


def test_redis_is_a_custom_check() -> None:
    found = decode(HealthCheck, check(custom_health_check=REDIS), TypeRegistry(list(HEALTH_CHECK_TYPES)))
    assert found.custom_health_check is not None and found.custom_health_check.typed_config is not None


def test_the_old_way_to_overwrite_a_header_still_works_but_not_beside_the_new_one() -> None:
    header = {"header": {"key": "a", "value": "b"}}
    for fields, action in (
        ({}, "APPEND_IF_EXISTS_OR_ADD"), ({"append": True}, "APPEND_IF_EXISTS_OR_ADD"),
        ({"append": False}, "OVERWRITE_IF_EXISTS_OR_ADD"), ({"append_action": "ADD_IF_ABSENT"}, "ADD_IF_ABSENT"),
    ):
        assert decode(HeaderValueOption, {**header, **fields}, TypeRegistry()).action == action
    assert problems(HeaderValueOption, {**header, "append": True, "append_action": "ADD_IF_ABSENT"})[0][0] == "append"
