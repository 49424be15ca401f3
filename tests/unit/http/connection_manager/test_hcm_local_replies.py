"""Which content-type an answer has that is made here, and where in the head: as measured on Envoy 1.40.0."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from tests.unit.http.connection_manager.hcm_kit import Hcm, get

Json = Dict[str, Any]
OVERWRITE = "OVERWRITE_IF_EXISTS_OR_ADD"
TEXT = {"text_format_source": {"inline_string": "B%LOCAL_REPLY_BODY%"}}
JSON = {"json_format": {"a": "%LOCAL_REPLY_BODY%"}}
IS_503 = {"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 503, "runtime_key": "x"}}}}


def add(name: str, value: str, action: str = "APPEND_IF_EXISTS_OR_ADD") -> Json:
    """One header to be added."""
    return {"header": {"key": name, "value": value}, "append_action": action}


def answer(route: Json, headers: List[Json], local_reply_config: Optional[Json] = None) -> List[str]:
    """The lines of a direct answer, without those that are always there, and its body. headers: of the route."""
    one = {"match": {"prefix": "/"}, "response_headers_to_add": headers, **route}
    hcm = Hcm({
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [one]}]},
        **({} if local_reply_config is None else {"local_reply_config": local_reply_config}),
    })
    lines = hcm.send(get("/x")).decode().split("\r\n")
    return [line for line in lines[1:] if line and not line.startswith(("date", "server", "content-length"))]


def direct(body: str = "hi", **body_format: Any) -> Json:
    """A 503 with a body."""
    action: Json = {"status": 503, "body": {"inline_string": body}}
    return {"direct_response": {**action, **({"body_format": body_format} if body_format else {})}}


@pytest.mark.parametrize("body_format, expected", [
    ({}, ["x-a: 1", "content-type: a/b", "x-b: 2", "hi"]),
    (TEXT, ["x-a: 1", "content-type: a/b", "x-b: 2", "Bhi"]),
    (JSON, ["x-a: 1", "x-b: 2", "content-type: application/json", '{"a":"hi"}\n']),
    ({**TEXT, "content_type": "text/html"}, ["x-a: 1", "x-b: 2", "content-type: text/html", "Bhi"]),
])
def test_a_route_says_the_type_of_a_direct_response_unless_its_format_does(body_format: Json, expected: List[str]) -> None:
    assert answer(direct(**body_format), [add("x-a", "1"), add("content-type", "a/b"), add("x-b", "2")]) == expected


def test_what_has_no_body_has_no_type() -> None:
    assert answer({"direct_response": {"status": 503}}, [add("content-type", "a/b"), add("x-b", "2")]) == ["x-b: 2"]


def test_headers_of_a_redirect_may_speak_of_its_location() -> None:
    redirect = {"redirect": {"path_redirect": "/there"}}
    headers = [add("x-to", "%RESP(location)% %RESP(:status)%")]
    assert answer(redirect, headers) == ["location: http://a/there", "x-to: http://a/there 301"]


def test_headers_are_made_before_there_is_a_body_to_speak_of() -> None:
    said = "%RESP(content-type)%|%RESP(content-length)%|%LOCAL_REPLY_BODY%|%RESPONSE_CODE%|%RESPONSE_CODE_DETAILS%"
    assert answer(direct(**TEXT), [add("x-l", said)])[0] == "x-l: |||0|direct_response"


@pytest.mark.parametrize("mapper, headers, expected", [
    ({}, [], ["content-type: a/b", "x-s: 1", "hi"]),
    ({"body_format_override": TEXT}, [], ["content-type: text/plain", "x-s: 1", "Bhi"]),
    ({"body_format_override": JSON}, [], ["content-type: application/json", "x-s: 1", '{"a":"hi"}\n']),
    ({"body": {"inline_string": "other"}}, [], ["content-type: text/plain", "x-s: 1", "other"]),
    ({"body_format_override": JSON}, [add("content-type", "m/m")], ["content-type: a/b,m/m", "x-s: 1", '{"a":"hi"}\n']),
    ({"body_format_override": JSON}, [add("content-type", "m/m", OVERWRITE)], ["x-s: 1", "content-type: m/m", '{"a":"hi"}\n']),
    ({"body_format_override": TEXT}, [add("content-type", "a/b", OVERWRITE)], ["x-s: 1", "content-type: text/plain", "Bhi"]),
    ({}, [add("x-s", "m", OVERWRITE), add("x-t", "3")], ["content-type: a/b", "x-s: m", "x-t: 3", "hi"]),
])
def test_a_mapper_says_the_type_or_else_the_format_of_a_new_body(mapper: Json, headers: List[Json], expected: List[str]) -> None:
    config = {"mappers": [{"filter": IS_503, "headers_to_add": headers, **mapper}]}
    assert answer(direct(), [add("content-type", "a/b"), add("x-s", "1")], config) == expected
