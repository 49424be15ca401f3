"""compressor: what is compressed, and what is said about it. All decisions were measured on Envoy 1.40."""

from __future__ import annotations

import gzip
import zlib
from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.errors import ConfigError
from proxy_core.extensions.http.compressor.encodings import IDENTITY, NOT_VALID, USED, WILDCARD, Choice, choose
from proxy_core.testing.http import Answer, HttpHarness, assert_body_split_invariant

TYPE = "type.googleapis.com/envoy.extensions."
GZIP = {"name": "text", "typed_config": {"@type": f"{TYPE}compression.gzip.compressor.v3.Gzip"}}
BODY = b"x" * 100
HTML = ("content-type", "text/html")
LENGTH = ("content-length", "100")
STATS = "compressor.text.gzip."
ACCEPT = [("accept-encoding", "gzip")]


def compressor(**fields: Any) -> Dict[str, Any]:
    config = {"@type": f"{TYPE}filters.http.compressor.v3.Compressor", "compressor_library": GZIP, **fields}
    return {"name": "compressor", "typed_config": config}


def response(**fields: Any) -> Dict[str, Any]:
    return compressor(response_direction_config=fields)


def answer(*headers: Tuple[str, str], status: int = 200, body: bytes = BODY) -> Answer:
    return Answer(status, (*headers, ("content-length", str(len(body)))), (body,) if body else ())


@pytest.mark.parametrize(
    ("accepted", "choice", "choice_of_first"),
    [
        ("gzip", USED, USED), ("GZIP", NOT_VALID, NOT_VALID), ("Gzip;q=0.5", NOT_VALID, NOT_VALID),
        ("gzip;q=0", NOT_VALID, NOT_VALID),
        ("*", WILDCARD, WILDCARD), ("*;q=0", NOT_VALID, NOT_VALID), ("identity", IDENTITY, IDENTITY),
        ("identity;q=0.5, gzip;q=0.4", IDENTITY, IDENTITY), ("gzip;q=0.5, identity;q=0.5", USED, USED),
        ("identity;q=0.5, gzip;q=0.5", IDENTITY, USED), ("br", NOT_VALID, NOT_VALID), ("br, gzip;q=0.1", USED, USED),
        ("gzip;q=abc", NOT_VALID, NOT_VALID), ("gzip;q=", NOT_VALID, NOT_VALID), ("gzip;x=1", USED, USED),
        ("*, gzip;q=0", NOT_VALID, NOT_VALID), ("", NOT_VALID, NOT_VALID), (" gzip ,br", USED, USED),
        ("gzip;Q=0", NOT_VALID, NOT_VALID),
        ("gzip; q = 0.3", USED, USED), ("gzip;q=-1", NOT_VALID, NOT_VALID), ("gzip;q=nan", NOT_VALID, NOT_VALID),
        ("gzip;q=1_0", NOT_VALID, NOT_VALID), ("deflate, *;q=0.5", WILDCARD, WILDCARD),
        ("gzip,gzip;q=0", NOT_VALID, NOT_VALID),
    ],
)
def test_what_a_client_accepts(accepted: str, choice: Choice, choice_of_first: Choice) -> None:
    assert choose(accepted, "gzip") is choice
    assert choose(accepted, "gzip", choose_first=True) is choice_of_first


def test_a_compressed_response() -> None:
    with HttpHarness([compressor()], answer=answer(HTML, ("etag", '"abc"'))) as harness:
        got = harness.request(headers=ACCEPT)
        assert gzip.decompress(got.body) == BODY
        assert got.headers.get("content-encoding") == "gzip" and got.headers.get("vary") == "Accept-Encoding"
        assert "content-length" not in got.headers and "etag" not in got.headers
        # As long as Envoy's, which flushes the body before it knows that it was all.
        assert [harness.stat(STATS + name) for name in ("compressed", "total_uncompressed_bytes", "total_compressed_bytes")] == [1, 100, 30]
        assert harness.stat(STATS + "header_compressor_used") == 1


@pytest.mark.parametrize(
    ("headers", "size", "varies"),
    [
        ([("content-type", "image/png")], 100, False), ([HTML], 29, False),
        ([HTML, ("cache-control", "a, No-Transform")], 100, False),
        ([HTML, ("content-encoding", "br")], 100, False), ([HTML, ("content-encoding", "")], 100, False),
    ],
)
def test_responses_that_stay_as_they_are(headers: List[Tuple[str, str]], size: int, varies: bool) -> None:
    with HttpHarness([compressor()], answer=answer(*headers, body=b"x" * size)) as harness:
        got = harness.request(headers=ACCEPT)
        assert got.body == b"x" * size and ("vary" in got.headers) is varies and harness.stat(STATS + "not_compressed") == 1


@pytest.mark.parametrize("kind", ["TEXT/HTML", "text/html ; charset=x", "application/json", "image/svg+xml", ""])
def test_types_are_compared_without_parameters_and_case_and_an_untold_one_is_good(kind: str) -> None:
    headers = [("content-type", kind)] if kind else []
    with HttpHarness([compressor()], answer=answer(*headers)) as harness:
        assert harness.request(headers=ACCEPT).headers.get("content-encoding") == "gzip"


def test_caches_are_told_even_if_this_client_gets_it_plain() -> None:
    for headers, method, stat in (((), "GET", "no_accept_header"), ([("accept-encoding", "br")], "GET", "header_not_valid"), (ACCEPT, "HEAD", "")):
        with HttpHarness([compressor()], answer=answer(HTML)) as harness:
            if method == "HEAD":
                harness = HttpHarness([compressor()], answer=Answer(200, (HTML, LENGTH)))
            got = harness.request(method, headers=headers)
            assert got.headers.get("vary") == "Accept-Encoding" and got.headers.get("content-length") == "100"
            assert not stat or harness.stat(STATS + stat) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [("Origin", "Origin, Accept-Encoding"), ("x, Accept-Encoding", "x, Accept-Encoding"),
    ("accept-encoding", "accept-encoding, Accept-Encoding")],
)
def test_vary_is_extended(before: str, after: str) -> None:
    with HttpHarness([compressor()], answer=answer(HTML, ("vary", before))) as harness:
        assert harness.request(headers=ACCEPT).headers.get_all("vary") == [after]


def test_etags_that_forbid_it_or_become_weak_and_codes() -> None:
    cases: List[Tuple[Dict[str, Any], Answer, bool, Any]] = [
        ({"disable_on_etag_header": True}, answer(HTML, ("etag", '"a"')), False, '"a"'),
        ({"weaken_etag_on_compress": True}, answer(HTML, ("etag", '"a"')), True, 'W/"a"'),
        ({"weaken_etag_on_compress": True}, answer(HTML, ("etag", 'W/"a"')), True, 'W/"a"'),
        ({}, answer(HTML, ("etag", 'w/"a"')), True, 'w/"a"'),
        ({"uncompressible_response_codes": [404]}, answer(HTML, status=404), False, None),
        ({"common_config": {"min_content_length": 101}}, answer(HTML), False, None),
        ({"common_config": {"content_type": ["image/PNG"]}}, answer(("content-type", "image/png")), True, None),
        ({"common_config": {"content_type": ["text/html"], "content_type_matcher": [{"prefix": "image/"}]}}, answer(HTML), False, None),
    ]
    for fields, given, compressed, etag in cases:
        with HttpHarness([response(**fields)], answer=given) as harness:
            got = harness.request(headers=ACCEPT)
            assert (got.headers.get("content-encoding") == "gzip") is compressed, fields
            assert got.headers.get("etag") == etag
            assert harness.stat(f"{STATS}response.compressed") == compressed


@pytest.mark.parametrize(
    ("given", "accept", "status"),
    [
        (answer(HTML), "gzip", "gzip;Compressed;OriginalLength=100"), (answer(HTML), "br", None),
        (answer(HTML, body=b"12345"), "gzip", "gzip;ContentLengthTooSmall"),
        (answer(("content-type", "image/png")), "gzip", "gzip;ContentTypeNotAllowed"),
        (answer(HTML, ("etag", "x"), status=206), "gzip", "gzip;EtagNotAllowed"),
        (answer(HTML, status=206), "br", "gzip;StatusCodeNotAllowed"),
        (answer(HTML, ("content-encoding", "br")), "gzip", None),
    ],
)
def test_the_status_header_says_why(given: Answer, accept: str, status: Any) -> None:
    fields = {"status_header_enabled": True, "disable_on_etag_header": True, "uncompressible_response_codes": [206]}
    with HttpHarness([response(**fields)], answer=given) as harness:
        assert harness.request(headers=[("accept-encoding", accept)]).headers.get("x-envoy-compression-status") == status


def test_the_upstream_does_not_hear_of_it_if_told_so_unless_the_filter_is_off() -> None:
    off = {"default_value": False, "runtime_key": "k"}
    for fields, runtime, kept in (
        ({"remove_accept_encoding_header": True}, {}, False),
        ({"remove_accept_encoding_header": True, "common_config": {"enabled": off}}, {}, True),
        ({"remove_accept_encoding_header": True, "common_config": {"enabled": off}}, {"k": True}, False),
    ):
        with HttpHarness([response(**fields)], runtime=runtime) as harness:
            harness.request(headers=ACCEPT)
            assert harness.upstream.head is not None and ("accept-encoding" in harness.upstream.head.headers) is kept


def test_routes_switch_it_off_and_on() -> None:
    route_type = f"{TYPE}filters.http.compressor.v3.CompressorPerRoute"
    off = {"common_config": {"enabled": {"default_value": False, "runtime_key": "k"}}}
    for fields, own, compressed in (({}, {"disabled": True}, False), (off, {"overrides": {"response_direction_config": {}}}, True)):
        config = {"compressor": {"@type": route_type, **own}}
        routes = [{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": config}]
        with HttpHarness([response(**fields)], routes=routes, answer=answer(HTML)) as harness:
            assert (harness.request(headers=ACCEPT).headers.get("content-encoding") == "gzip") is compressed


def test_each_piece_can_be_read_before_the_next_comes() -> None:
    with HttpHarness([compressor()], answer=None) as harness:
        harness.open(headers=ACCEPT)
        harness.act(harness.upstream.respond, 200, [HTML], b"", False)
        reader, read = zlib.decompressobj(31), b""
        for piece in (b"first", b"second"):
            harness.act(harness.upstream.send, piece)
            assert harness.response is not None
            read += reader.decompress(harness.response.body)
            assert read == (b"first" if piece == b"first" else b"firstsecond")
            harness.response.body = b""
        harness.act(harness.upstream.send_trailers, [("x-sum", "1")])
        assert reader.decompress(harness.response.body) == b"" and reader.eof and harness.response.complete


def test_requests_are_compressed_when_told_to_however_they_are_cut() -> None:
    with HttpHarness([compressor(request_direction_config={})]) as harness:
        harness.request("POST", body=BODY)
        head = harness.upstream.head
        assert gzip.decompress(harness.upstream.body) == BODY and head is not None
        assert head.headers.get("content-encoding") == "gzip" and "content-length" not in head.headers
        harness.request("POST", body=b"short")
        assert harness.upstream.body == b"short" and harness.stat(f"{STATS}request.content_length_too_small") == 1
        assert (harness.stat(f"{STATS}request.compressed"), harness.stat(f"{STATS}request.not_compressed")) == (1, 1)
    outcome = assert_body_split_invariant(
        lambda: [undone(), compressor(request_direction_config={"common_config": {"min_content_length": 0}})][::-1], b"some text " * 5
    )
    assert outcome.upstream[3] == b"some text " * 5


def undone() -> Dict[str, Any]:
    library = {"name": "z", "typed_config": {"@type": f"{TYPE}compression.gzip.decompressor.v3.Gzip"}}
    return {"name": "d", "typed_config": {"@type": f"{TYPE}filters.http.decompressor.v3.Decompressor", "decompressor_library": library}}


def test_of_two_compressors_one_does_the_work_and_they_agree_on_what_is_accepted() -> None:
    second = compressor(compressor_library={**GZIP, "name": "second"}, content_type=["image/png"])
    with HttpHarness([compressor(), second], answer=answer(("content-type", "image/png"))) as harness:
        got = harness.request(headers=ACCEPT)
        assert gzip.decompress(got.body) == BODY
        assert harness.stat("compressor.second.gzip.compressed") == 1 and harness.stat(STATS + "compressed") == 0
        assert harness.stat("compressor.second.gzip.header_compressor_used") == harness.stat(STATS + "header_compressor_used") == 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"compressor_library": None}, "compressor_library"),
        ({"compressor_library": {"name": "x", "typed_config": {"@type": f"{TYPE}filters.http.router.v3.Router"}}}, "Didn't find a registered"),
        ({"response_direction_config": {"uncompressible_response_codes": [100]}}, "from 200 to 599"),
        ({"compressor_library": {"name": "x", "typed_config": {**GZIP["typed_config"], "window_bits": 8}}}, "from 9 to 15"),  # type: ignore[dict-item]
    ],
)
def test_bad_configurations_are_refused(fields: Dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        HttpHarness([compressor(**fields)])
