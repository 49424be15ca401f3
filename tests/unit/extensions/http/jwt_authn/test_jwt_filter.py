"""jwt_authn in a connection manager: who passes, what the others are told, what the upstream gets. Measured on Envoy 1.40.

Time stands at 0 here: what has expired is tested with the token.
"""

from __future__ import annotations


from typing import Any, Dict, List, Sequence, Tuple

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import HttpHarness
from tests.unit.extensions.http.jwt_authn.jwt_kit import TYPE, VECTORS, authn, bearer, provider, spoilt, token

Lines = Sequence[Tuple[str, str]]
GOOD = token()
MISSING, FAILS, UNKNOWN = "Jwt is missing", "Jwt verification fails", "Jwt issuer is not configured"
EARLY, FORMAT = "Jwt not yet valid", "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"


def outcome(filters: Any, headers: Lines = (), path: str = "/", **settings: Any) -> str:
    """"" for a request that passes, else what the client is told."""
    with HttpHarness([filters], **settings) as harness:
        got = harness.request(path=path, headers=headers)
        assert got.status in (200, 401, 403) and (got.status == 200) is harness.reached_upstream
        assert harness.stat("jwt_authn.allowed") == (got.status == 200) and harness.stat("jwt_authn.denied") == (got.status != 200)
        return got.body.decode()


def passed(harness: HttpHarness) -> Dict[str, str]:
    assert harness.upstream.head is not None
    return {name: value for name, value in harness.upstream.head.headers.items() if not name.startswith("x-forwarded")}


def test_without_a_token_and_with_a_bad_one() -> None:
    for headers, status, text, error in (
        ([], 401, MISSING, ""), (bearer(spoilt(GOOD)), 401, FAILS, ', error="invalid_token"'),
        (bearer(token(iss="x")), 401, UNKNOWN, ', error="invalid_token"'),
        (bearer(token(nbf=1000)), 401, EARLY, ', error="invalid_token"'),
    ):
        with HttpHarness([authn()]) as harness:
            got = harness.request(path="/a?b=c", host="h.com", headers=headers)
            assert (got.status, got.body.decode()) == (status, text)
            assert got.headers.get("www-authenticate") == f'Bearer realm="http://h.com/a?b=c"{error}'
        assert harness.details == f"jwt_authn_access_denied{{{text.replace(' ', '_')}}}"
    with HttpHarness([authn(strip_failure_response=True)]) as harness:
        got = harness.request()
        assert (got.status, got.body, "www-authenticate" in got.headers) == (401, b"", False)


def test_a_good_token_passes_and_is_taken_out_unless_it_is_to_be_forwarded() -> None:
    for forward in (False, True):
        with HttpHarness([authn(providers={"p": provider(forward=forward)})]) as harness:
            assert harness.request(headers=bearer(GOOD)).status == 200
            assert ("authorization" in passed(harness)) is forward


@pytest.mark.parametrize("algorithm", sorted(VECTORS["tokens"]))
def test_every_algorithm(algorithm: str) -> None:
    filters = authn(providers={"p": provider(*VECTORS["jwks"]["keys"])})
    assert outcome(filters, bearer(VECTORS["tokens"][algorithm])) == ""
    assert outcome(filters, bearer(spoilt(VECTORS["tokens"][algorithm]))) == FAILS


@pytest.mark.parametrize(
    ("fields", "claims", "text"),
    [
        ({"audiences": ["a", "b/"]}, {"aud": "a"}, ""), ({"audiences": ["a", "b/"]}, {"aud": ["c", "https://b"]}, ""),
        ({"audiences": ["a"]}, {"aud": ["c"]}, "Audiences in Jwt are not allowed"), ({"audiences": ["a"]},
        {}, "Audiences in Jwt are not allowed"),
        ({"subjects": {"prefix": "s"}}, {"sub": "s1"}, ""), ({"subjects": {"prefix": "s"}}, {}, FAILS),
        ({"require_expiration": True}, {}, FAILS),
        ({"require_expiration": True}, {"exp": 5}, ""), ({"max_lifetime": "100s"}, {"exp": 100}, ""),
        ({"max_lifetime": "100s"}, {"exp": 101}, FAILS),
        ({"max_lifetime": "100s"}, {}, FAILS), ({}, {"nbf": 60}, ""), ({"clock_skew_seconds": 10}, {"nbf": 60}, EARLY),
        ({"issuer": ""}, {"iss": "any"}, ""),
    ],
)
def test_what_a_provider_asks_of_its_tokens(fields: Any, claims: Any, text: str) -> None:
    assert outcome(authn(providers={"p": provider(**fields)}), bearer(token(**claims))) == text


# -- where tokens are --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Bearer  " + GOOD, ""), ("x Bearer " + GOOD, ""), ("Bearer ," + GOOD, ""), ("bearer " + GOOD, MISSING),
        (GOOD, MISSING), ("Bearer", MISSING),
        (f"Bearer {GOOD}, x", "Jwt signature is an invalid Base64url encoded"), ("Bearer x", FORMAT),
    ],
)
def test_the_authorization_header(value: str, text: str) -> None:
    assert outcome(authn(), [("authorization", value)]) == text


def test_headers_parameters_and_cookies_that_a_provider_names() -> None:
    places = {"from_headers": [{"name": "X-Tok", "value_prefix": "JWT "}, {"name": "x-two"}], "from_params": ["t"], "from_cookies": ["c"]}
    filters = authn(providers={"p": provider(**places)})
    assert outcome(filters, bearer(GOOD)) == MISSING and outcome(filters, (), f"/?access_token={GOOD}") == MISSING
    cases: List[Tuple[Lines, str, Dict[str, str], str]] = [
        ([("x-tok", f"JWT {GOOD}"), ("x", "1")], "/", {"x": "1"}, "/"), ([("x-two", GOOD)], "/", {}, "/"),
        ([], f"/?a=1&t={GOOD.replace('.', '%2e')}&b", {}, "/?a=1&b"),
        ([("cookie", f"a=b; c={GOOD}")], "/", {"cookie": f"a=b; c={GOOD}"}, "/"),
    ]
    for headers, path, left, path_left in cases:
        with HttpHarness([filters]) as harness:
            assert harness.request(path=path, headers=headers).status == 200
            assert passed(harness) == left and harness.upstream.head is not None and harness.upstream.head.path == path_left
    assert outcome(authn(), (), f"/?access_token={GOOD}") == ""


def test_of_several_tokens_all_must_be_good_and_the_last_one_speaks_first() -> None:
    filters = authn(providers={"p": provider(from_headers=[{"name": "x-1"}, {"name": "x-2"}], from_params=["t"], from_cookies=["c"])})
    early = token(nbf=1000)
    for headers, path, text in (
        ([("x-1", GOOD), ("x-2", GOOD)], "/", ""), ([("x-1", "bad"), ("x-2", GOOD)], "/", FORMAT), ([("x-1", GOOD),
        ("x-2", "bad")], "/", FORMAT),
        ([("x-1", "bad"), ("x-2", early)], "/", EARLY), ([("x-1", early), ("x-1", "bad")], "/", FORMAT),
        ([("x-1", "bad")], f"/?t={early}", EARLY),
        ([("cookie", "c=bad")], f"/?t={early}", FORMAT),
    ):
        assert outcome(filters, headers, path) == text, (headers, path)


# -- what becomes of it ------------------------------------------------------------------------------------------------


def test_payload_and_claims_for_the_upstream_and_nobody_else_may_send_them() -> None:
    claims = [
        {"header_name": "X-Sub", "claim_name": "sub"}, {"header_name": "x-deep", "claim_name": "a.b"},
        {"header_name": "x-none", "claim_name": "a.z"},
        {"header_name": "x-dot", "claim_path": [{"key": "c.d"}]}, {"header_name": "x-list", "claim_name": "l"},
    ]
    fields = {"forward_payload_header": "X-Payload", "pad_forward_payload_header": True, "claim_to_headers": claims}
    evil = [(name, "evil") for name in ("x-payload", "x-sub", "x-deep", "x-none", "x-dot", "x-list")]
    with HttpHarness([authn(providers={"p": provider(**fields)})]) as harness:
        text = token(sub="mé\r\nx: y", a={"b": 1}, **{"c.d": True}, l=[1])
        assert harness.request(headers=[*evil, *bearer(text)]).status == 200
        payload = text.split(".")[1]
        wanted = {"x-payload": payload + "=" * (-len(payload) % 4), "x-sub": "mÃ©x: y", "x-deep": "1", "x-dot": "true", "x-list": "WzFd"}
        assert passed(harness) == wanted
    for requires in ({"allow_missing": {}}, None):
        config = authn(requires, {"p": provider(**fields)}, **({} if requires else {"rules": []}))
        with HttpHarness([config]) as harness:
            assert harness.request(headers=evil).status == 200 and passed(harness) == {}


def test_what_goes_to_the_dynamic_metadata() -> None:
    fields = {
        "payload_in_metadata": "pay", "header_in_metadata": "head", "failed_status_in_metadata": "bad",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
    }
    cases: List[Tuple[Lines, Dict[str, Any]]] = [
        (bearer(token(scope="a b")), {"pay": {"iss": "iss", "scope": ["a", "b"]}, "head": {"alg": "HS256"}}),
        (bearer(token(nbf=1000)), {"bad": {"code": 2, "message": EARLY}}), ([], {"bad": {"code": 1, "message": MISSING}}),
        (bearer(spoilt(GOOD)), {"bad": {"code": 26, "message": FAILS}}),
    ]
    for headers, found in cases:
        with HttpHarness([authn(providers={"p": provider(**fields)})]) as harness:
            harness.request(headers=headers)
            assert harness.finished[-1].dynamic_metadata == {"envoy.filters.http.jwt_authn": found}


def test_the_route_is_chosen_by_a_claim() -> None:
    fields = {"claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}], "clear_route_cache": True}
    own = {"prefix": "/", "headers": [{"name": "x-sub", "string_match": {"exact": "a"}}]}
    routes = [{"match": own, "route": {"cluster": "for-a"}}, {"match": {"prefix": "/"}, "route": {"cluster": "c"}}]
    with HttpHarness([authn(providers={"p": provider(**fields)})], routes=routes, answer=None) as harness:
        harness.open(headers=bearer(token(sub="a")))
        decoder = harness.upstream.decoder
        assert decoder.route is not None and decoder.route.action is not None and decoder.route.action.cluster_name(decoder.request) == "for-a"
        harness.act(harness.upstream.respond)


# -- requirements ------------------------------------------------------------------------------------------------------

BOTH = {"p": provider(), "q": provider(issuer="iq", from_headers=[{"name": "x-q"}])}
TOKEN_Q = token(iss="iq")


def named(name: str) -> Dict[str, Any]:
    return {"provider_name": name}


def any_of(*some: Any) -> Dict[str, Any]:
    return {"requires_any": {"requirements": list(some)}}


def all_of(*some: Any) -> Dict[str, Any]:
    return {"requires_all": {"requirements": list(some)}}


AM: Dict[str, Any] = {"allow_missing": {}}
AF: Dict[str, Any] = {"allow_missing_or_failed": {}}
# authorization, x-q
SENT = {
    "nothing": ("", ""), "p": (GOOD, ""), "p bad": (spoilt(GOOD), ""), "p early": (token(nbf=1000), ""), "p unknown": (token(iss="z"), ""),
    "q": ("", TOKEN_Q), "q unknown": ("", GOOD), "q early": ("", token(iss="iq", nbf=1000)), "p, q": (GOOD, TOKEN_Q), "p, q unknown": (GOOD, GOOD),
    "p bad, q": (spoilt(GOOD), TOKEN_Q), "p bad, q early": (spoilt(GOOD), token(iss="iq", nbf=1000)),
    "p early, q unknown": (token(nbf=1000), GOOD), "p unknown, q early": (token(iss="z"), token(iss="iq", nbf=1000)),
}
OUTCOMES: List[Tuple[Any, List[str]]] = [
    (any_of(named("p"), named("q")), [MISSING, "", FAILS, EARLY, UNKNOWN, "", UNKNOWN, EARLY, "", "", "", EARLY, EARLY, EARLY]),
    (any_of(named("q"), named("p")), [MISSING, "", FAILS, EARLY, UNKNOWN, "", UNKNOWN, EARLY, "", "", "", FAILS, EARLY, EARLY]),
    (all_of(named("p"), named("q")), [MISSING, MISSING, FAILS, EARLY, UNKNOWN, MISSING, MISSING, MISSING, "", UNKNOWN, FAILS, FAILS, EARLY, UNKNOWN]),
    (AF, [""] * 14),
    # Envoy lets the tenth pass, with a token that is not good still in the request.
    (AM, ["", "", FAILS, EARLY, UNKNOWN, "", UNKNOWN, EARLY, "", UNKNOWN, FAILS, FAILS, EARLY, UNKNOWN]),
    (any_of(named("p"), AM), ["", "", FAILS, EARLY, UNKNOWN, "", "", "", "", "", FAILS, FAILS, EARLY, UNKNOWN]),
    (any_of(named("p"), AF), [""] * 14),
    (any_of(named("p"), named("q"), AM), ["", "", FAILS, EARLY, UNKNOWN, "", UNKNOWN, EARLY, "", "", "", EARLY, EARLY, EARLY]),
    (all_of(named("p"), AM), [MISSING, "", FAILS, EARLY, UNKNOWN, MISSING, MISSING, MISSING, "", UNKNOWN, FAILS, FAILS, EARLY, UNKNOWN]),
    (all_of(named("p"), any_of(named("q"), AM)), [MISSING, "", FAILS, EARLY, UNKNOWN, MISSING, MISSING, MISSING, "", UNKNOWN, FAILS, FAILS, EARLY, UNKNOWN]),
    (all_of(any_of(named("p"), named("q")), any_of(named("q"), AM)), [MISSING, "", FAILS, EARLY, UNKNOWN, "", UNKNOWN, EARLY, "", UNKNOWN, "", EARLY, EARLY, EARLY]),
    ({}, [""] * 14),
]


@pytest.mark.parametrize(("requires", "wanted"), OUTCOMES)
def test_requirements(requires: Any, wanted: List[str]) -> None:
    for (what, (p, q)), text in zip(SENT.items(), wanted):
        headers = (bearer(p) if p else []) + ([("x-q", q)] if q else [])
        rules = [{"match": {"prefix": "/"}, "requires": requires}]
        assert outcome(authn(providers=BOTH, rules=rules), headers) == text, what


def test_any_leaves_the_tokens_behind_the_good_one_and_all_takes_them_out() -> None:
    headers = [*bearer(GOOD), ("x-q", TOKEN_Q)]
    for requires, left in ((any_of(named("p"), named("q")), {"x-q": TOKEN_Q}), (all_of(named("p"), named("q")), {}), (AM, {}), (AF, {})):
        with HttpHarness([authn(requires, BOTH)]) as harness:
            harness.request(headers=headers)
            assert passed(harness) == left


def test_other_audiences_for_a_requirement() -> None:
    requires = {"provider_and_audiences": {"provider_name": "p", "audiences": ["a"]}}
    filters = authn(requires, {"p": provider(audiences=["own"], jwt_cache_config={})})
    with HttpHarness([filters]) as harness:
        assert harness.request(headers=bearer(token(aud="a"))).status == 200
        assert harness.request(headers=bearer(token(aud="own"))).status == 403


# -- rules and routes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "yes", "no"),
    [
        ({"prefix": "/x"}, ["/x", "/xyz?a"], ["/", "/X"]), ({"path": "/y"}, ["/y", "/y?z"], ["/y/"]),
        ({"prefix": "/Ab", "case_sensitive": False}, ["/aB"], ["/c"]),
        ({"safe_regex": {"regex": "/a[0-9]+"}}, ["/a1?x"], ["/a1b"]), ({"path_separated_prefix": "/ps"}, ["/ps", "/ps/x"],
        ["/psx"]),
        ({"prefix": "/", "query_parameters": [{"name": "a", "string_match": {"exact": "1"}}]}, ["/?a=1"], ["/", "/?a=2"]),
    ],
)
def test_which_requests_a_rule_is_about(match: Any, yes: List[str], no: List[str]) -> None:
    filters = authn(rules=[{"match": match, "requires": named("p")}])
    assert [outcome(filters, (), path) for path in (*yes, *no)] == [MISSING] * len(yes) + [""] * len(no)


def test_the_first_rule_that_matches_counts_and_names_of_the_map() -> None:
    rules = [{"match": {"path": "/open"}}, {"match": {"prefix": "/"}, "requirement_name": "m"}]
    filters = authn(rules=rules, requirement_map={"m": named("p")})
    assert [outcome(filters, (), path) for path in ("/open", "/other")] == ["", MISSING]


def routed(**own: Any) -> Dict[str, Any]:
    config = {"jwt_authn": {"@type": f"{TYPE}PerRouteConfig", **own}}
    return {"routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": config}]}


def test_routes_name_a_requirement_or_switch_the_filter_off() -> None:
    filters = authn(rules=[], requirement_map={"m": named("p"), "a": {}})
    assert outcome(filters, (), **routed(requirement_name="m")) == MISSING
    assert outcome(filters, bearer(GOOD), **routed(requirement_name="m")) == "" == outcome(filters, (), **routed(requirement_name="a"))
    wrong = "Failed JWT authentication: Wrong requirement_name: zz. It should be one of [a,m]"
    assert outcome(filters, (), **routed(requirement_name="zz")) == wrong
    assert outcome(authn(), (), **routed(disabled=True)) == ""


def test_rules_by_an_object_of_another_filter() -> None:
    from proxy_core.http.filter_api import CONTINUE, FilterStatus, HttpFilter

    class Leaves(HttpFilter):
        def decode_headers(self, head: Any, end_stream: bool) -> FilterStatus:
            self.decoder.info.set_filter_state("kind", head.path[1:])
            return CONTINUE

    state = {"name": "kind", "requires": {"strict": named("p"), "lax": {}}}
    for path, status in (("/strict", 401), ("/lax", 200), ("/other", 200)):
        with HttpHarness([Leaves, authn(rules=[], filter_state_rules=state)]) as harness:
            assert harness.request(path=path).status == status


def test_a_cors_preflight_passes_if_told_so() -> None:
    preflight = [("origin", "x"), ("access-control-request-method", "GET")]
    for method, headers, passes in (
        ("OPTIONS", preflight, True), ("OPTIONS", preflight[:1], False), ("GET", preflight, False),
        ("OPTIONS", [("origin", ""), preflight[1]], False),
    ):
        with HttpHarness([authn(bypass_cors_preflight=True)]) as harness:
            assert (harness.request(method, headers=headers).status == 200) is passes
            assert harness.stat("jwt_authn.cors_preflight_bypassed") == passes


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_good_tokens_are_remembered_up_to_a_number_and_bad_ones_are_not() -> None:
    texts = [token(n=number) for number in range(3)]
    with HttpHarness([authn(providers={"p": provider(jwt_cache_config={"jwt_cache_size": 2})})]) as harness:
        for text in (texts[0], texts[1], texts[0], texts[2], texts[0], texts[1], spoilt(texts[0]), spoilt(texts[0])):
            harness.request(headers=bearer(text))
        assert (harness.stat("jwt_authn.jwt_cache_hit"), harness.stat("jwt_authn.jwt_cache_miss")) == (2, 6)
        assert harness.stat("jwt_authn.denied") == 2
    with HttpHarness([authn(providers={"p": provider(jwt_cache_config={"jwt_max_token_size": 50})})]) as harness:
        harness.request(headers=bearer(GOOD))
        harness.request(headers=bearer(GOOD))
        assert harness.stat("jwt_authn.jwt_cache_hit") == 0


def test_a_remembered_token_must_still_be_for_the_right_audience_and_time() -> None:
    requires = any_of({"provider_and_audiences": {"provider_name": "p", "audiences": ["a"]}}, named("q"))
    rules = [{"match": {"prefix": "/a"}, "requires": requires}, {"match": {"prefix": "/"}, "requires": named("p")}]
    providers = {"p": provider(jwt_cache_config={}), "q": BOTH["q"]}
    with HttpHarness([authn(providers=providers, rules=rules)]) as harness:
        assert harness.request(headers=bearer(token(aud="b"))).status == 200
        assert harness.request(path="/a", headers=bearer(token(aud="b"))).status == 403


# -- configurations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"requires": named("zz")}, r"Required provider \['zz'\] is not configured."),
        ({"providers": {"p": {"issuer": "x"}}}, "local_jwks is required"),
        ({"providers": {"p": {"local_jwks": {"inline_string": "{}"}}}}, "Provider 'p' in jwt_authn config has invalid local jwks: Jwks does not have"),
        ({"providers": {"p": provider(claim_to_headers=[{"header_name": "a"}])}}, "exactly one of claim_name and claim_path"),
        ({"rules": [{"match": {"prefix": "/"}, "requirement_name": "zz"}]}, "Wrong requirement_name: zz"),
        ({"requires": {"extract_only_without_validation": {}}}, "does not support yet"),
        ({"requires": {"requires_any": {"requirements": [named("p")]}}}, "at least 2"),
        ({"providers": {"p": provider(remote_jwks={})}}, "jwks_source_specifier|remote_jwks"),
    ],
)
def test_bad_configurations_are_refused(fields: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        HttpHarness([authn(**fields)])


def test_an_empty_source_of_keys_refuses_every_token() -> None:
    filters = authn(providers={"p": {"issuer": "iss", "local_jwks": {"inline_string": ""}}})
    assert outcome(filters, bearer(GOOD)) == "Jwks doesn't have any valid public key"


def test_the_stats_can_have_a_name() -> None:
    with HttpHarness([authn(stat_prefix="s")]) as harness:
        harness.request()
        assert harness.stat("jwt_authn.s.denied") == 1
