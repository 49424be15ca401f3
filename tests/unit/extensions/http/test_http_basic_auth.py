"""basic_auth: who passes, and what the others are told. The texts are those of Envoy 1.40."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Dict, Optional

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import HttpHarness

TYPE = "type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3."
FAILED = "User authentication failed. "


def line(name: str, password: str) -> str:
    return f"{name}:{{SHA}}{base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()}"


def basic(users: str = line("ann", "a:1"), **fields: Any) -> Dict[str, Any]:
    return {"name": "basic_auth", "typed_config": {"@type": f"{TYPE}BasicAuth", "users": {"inline_string": users}, **fields}}


def credentials(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("value", "text", "what"),
    [
        (None, "Missing username and password.", "no_credential"),
        ("Bearer x", "Expected 'Basic' authentication scheme.", "invalid_scheme"),
        (credentials("ann:a:1").replace("Basic", "basic"), "Expected 'Basic' authentication scheme.", "invalid_scheme"),
        ("Basic !!!", "Invalid basic credential format.", "invalid_format"),
        (credentials("ann"), "Invalid basic credential format.", "invalid_format"),
        (credentials("ann:wrong"), "Invalid username/password combination.", "invalid_credential"),
        (credentials("eve:a:1"), "Invalid username/password combination.", "invalid_credential"),
        (credentials(":"), "Invalid username/password combination.", "invalid_credential"),
    ],
)
def test_what_a_client_without_good_credentials_is_told(value: Optional[str], text: str, what: str) -> None:
    with HttpHarness([basic()]) as harness:
        response = harness.request(path="/x?y=1", host="a.com", headers=[] if value is None else [("authorization", value)])
        assert (response.status, response.body.decode()) == (401, FAILED + text)
        assert response.headers.get("www-authenticate") == 'Basic realm="http://a.com/x?y=1"'
        assert not harness.reached_upstream and harness.stat("basic_auth.denied") == 1
    assert harness.details == f"{what}_for_basic_auth"


@pytest.mark.parametrize("value", [credentials("ann:a:1"), credentials("ann:a:1").rstrip("=")])
def test_good_credentials_pass_and_the_upstream_is_told_the_name_by_nobody_else(value: str) -> None:
    with HttpHarness([basic(forward_username_header="X-User", emit_dynamic_metadata=True)]) as harness:
        assert harness.request(headers=[("x-user", "root"), ("x-user", "root"), ("authorization", value)]).status == 200
        assert harness.upstream.head is not None and harness.upstream.head.headers.get_all("x-user") == ["ann"]
        assert harness.stat("basic_auth.allowed") == 1
        assert harness.finished[-1].dynamic_metadata["envoy.filters.http.basic_auth"] == {"username": "ann"}


def test_a_name_can_not_smuggle_a_header_line() -> None:
    with HttpHarness([basic(line("a\rb", "p"), forward_username_header="x-user")]) as harness:
        assert harness.request(headers=[("authorization", credentials("a\rb:p"))]).status == 200
        assert harness.upstream.head is not None and harness.upstream.head.headers.get("x-user") == "ab"


def test_two_credentials_are_none() -> None:
    with HttpHarness([basic()]) as harness:
        both = [("authorization", credentials("ann:a:1")), ("authorization", credentials("ann:wrong"))]
        assert harness.request(headers=both).body.decode() == FAILED + "Invalid basic credential format."


def test_another_header_and_requests_without_any() -> None:
    with HttpHarness([basic(authentication_header="X-Auth", allow_missing=True)]) as harness:
        assert harness.request(headers=[("x-auth", credentials("ann:a:1"))]).status == 200
        assert harness.request(headers=[("authorization", credentials("ann:wrong"))]).status == 200
        assert harness.request(headers=[("x-auth", "Bearer x")]).status == 200
        assert harness.request(headers=[("x-auth", credentials("ann:wrong"))]).status == 401
        assert (harness.stat("basic_auth.allowed"), harness.stat("basic_auth.denied")) == (1, 1)


def test_a_realm_of_ones_own_stays_one_quoted_string_and_a_long_url_is_cut() -> None:
    with HttpHarness([basic(realm='a"b\\c')]) as harness:
        assert harness.request().headers.get("www-authenticate") == 'Basic realm="a\\"b\\\\c"'
    with HttpHarness([basic()]) as harness:
        realm = harness.request(path="/" + "a" * 300, host="h").headers.get("www-authenticate")
        assert realm == f'Basic realm="http://h/{"a" * 255}"'


def test_other_users_for_a_route() -> None:
    own = {"basic_auth": {"@type": f"{TYPE}BasicAuthPerRoute", "users": {"inline_string": line("bob", "b")}, "realm": "r"}}
    routes = [
        {"match": {"prefix": "/own"}, "route": {"cluster": "c"}, "typed_per_filter_config": own},
        {"match": {"prefix": "/"}, "route": {"cluster": "c"}},
    ]
    ann, bob = ([("authorization", credentials(text))] for text in ("ann:a:1", "bob:b"))
    with HttpHarness([basic()], routes=routes) as harness:
        assert [harness.request(path=path, headers=who).status for path in ("/own", "/") for who in (ann, bob)] == [401, 200, 200, 401]
        assert harness.request(path="/own").headers.get("www-authenticate") == 'Basic realm="r"'


@pytest.mark.parametrize(
    ("users", "text"),
    [
        ("", "DataSource cannot be empty"),
        ("ann", "basic auth: invalid htpasswd format, username:password is expected"),
        ("ann:", "basic auth: empty user name or password"),
        (":{SHA}x", "basic auth: empty user name or password"),
        ("ann:{MD5}x", "basic auth: unsupported htpasswd format: please use {SHA}"),
        ("ann:{SHA}x", "basic auth: invalid htpasswd format, invalid SHA hash length"),
        (line("ann", "1") + "\r\n", "basic auth: invalid htpasswd format, invalid SHA hash length"),
        (line("ann", "1") + "\n" + line("ann", "2"), "basic auth: duplicate users"),
    ],
)
def test_a_bad_list_is_refused_with_envoys_sentence(users: str, text: str) -> None:
    with pytest.raises(ConfigError, match="^.*users: .*" + text.replace("{", "\\{").replace("}", "\\}")):
        HttpHarness([basic(users)])


def test_empty_lines_and_comments_don_t_count() -> None:
    with HttpHarness([basic("# staff\n\n" + line("ann", "1") + "\n\n")]) as harness:
        assert harness.request(headers=[("authorization", credentials("ann:1"))]).status == 200
