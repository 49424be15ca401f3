"""decompressor: gzip on its way to those who can't read it. Decisions as measured on Envoy 1.40; but a body that is no gzip, that is
cut off or that grows too much is never passed off as a whole one."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.errors import ConfigError, PeerError
from proxy_core.extensions.http.decompressor.gzip import Inflater, Limits
from proxy_core.testing.http import Answer, HttpHarness, assert_body_split_invariant

TYPE = "type.googleapis.com/envoy.extensions."
LIBRARY = f"{TYPE}compression.gzip.decompressor.v3.Gzip"
TEXT = b"hello world" * 5
ZIPPED = gzip.compress(TEXT, mtime=0)
BOMB = gzip.compress(b"\0" * 1_000_000, mtime=0)
STATS = "decompressor.z.gzip."


def decompressor(library: Any = None, **fields: Any) -> Dict[str, Any]:
    library = {"name": "z", "typed_config": {"@type": LIBRARY, **(library or {})}}
    config = {"@type": f"{TYPE}filters.http.decompressor.v3.Decompressor", "decompressor_library": library, **fields}
    return {"name": "decompressor", "typed_config": config}


def headers_seen(harness: HttpHarness) -> Dict[str, str]:
    assert harness.upstream.head is not None
    return dict(harness.upstream.head.headers.items())


@pytest.mark.parametrize(
    ("codings", "left"),
    [("gzip", None), (" GZip ", None), ("gzip, br", "br"), ("gzip, gzip", "gzip")],
)
def test_a_request_is_decompressed_and_its_head_fits(codings: str, left: Any) -> None:
    with HttpHarness([decompressor()]) as harness:
        harness.request("POST", headers=[("content-encoding", codings)], body=ZIPPED)
        assert harness.upstream.body == TEXT and headers_seen(harness).get("content-encoding") == left
        assert "content-length" not in headers_seen(harness)
        counted = [harness.stat(f"{STATS}request.{name}") for name in ("decompressed", "total_compressed_bytes", "total_uncompressed_bytes")]
        assert counted == [1, len(ZIPPED), len(TEXT)]


@pytest.mark.parametrize(
    "headers", [[], [("content-encoding", "br")], [("content-encoding", "br, gzip")], [("content-encoding", "gzip"), ("cache-control", "no-transform")]]
)
def test_other_requests_stay_as_they_are(headers: List[Tuple[str, str]]) -> None:
    with HttpHarness([decompressor()]) as harness:
        harness.request("POST", headers=headers, body=ZIPPED)
        assert harness.upstream.body == ZIPPED and harness.stat(f"{STATS}request.not_decompressed") == 1


def test_no_transform_can_be_ignored_and_each_way_switched_off() -> None:
    with HttpHarness([decompressor(request_direction_config={"common_config": {"ignore_no_transform_header": True}})]) as harness:
        harness.request("POST", headers=[("content-encoding", "gzip"), ("cache-control", "no-transform")], body=ZIPPED)
        assert harness.upstream.body == TEXT
    off = {"common_config": {"enabled": {"default_value": False, "runtime_key": "k"}}}
    with HttpHarness([decompressor(request_direction_config=off)]) as harness:
        harness.request("POST", headers=[("content-encoding", "gzip")], body=ZIPPED)
        assert harness.upstream.body == ZIPPED


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ([], "gzip"), (["br"], "br,gzip"), (["gzip;q=0"], "gzip"), (["br", "x"], "br,x,gzip"),
        (["identity;q=0.5, gzip;q=0.1"], "identity;q=0.5,gzip"),
        ([""], "gzip"), (["*"], "*,gzip"),
    ],
)
def test_the_upstream_is_told_that_gzip_is_welcome(sent: List[str], wanted: str) -> None:
    with HttpHarness([decompressor()]) as harness:
        harness.request(headers=[("accept-encoding", one) for one in sent])
        assert harness.upstream.head is not None and harness.upstream.head.headers.get_all("accept-encoding") == [wanted]
    with HttpHarness([decompressor(request_direction_config={"advertise_accept_encoding": False})]) as harness:
        harness.request()
        assert "accept-encoding" not in headers_seen(harness)


def test_a_response_is_decompressed() -> None:
    with HttpHarness([decompressor()], answer=Answer(200, (("content-encoding", "gzip"),), (ZIPPED[:7], ZIPPED[7:]))) as harness:
        got = harness.request()
        assert got.body == TEXT and got.complete and "content-encoding" not in got.headers
        assert harness.stat(f"{STATS}response.decompressed") == 1


def test_however_the_body_is_cut() -> None:
    double = ZIPPED + gzip.compress(b"second", mtime=0)
    for trailers in ((), (("x-sum", "1"),)):
        outcome = assert_body_split_invariant(lambda: [decompressor()], double, headers=[("content-encoding", "gzip")], trailers=trailers)
        assert outcome.upstream[3] == TEXT + b"second"


@pytest.mark.parametrize("body", [b"garbage", ZIPPED[:-1], ZIPPED[:5], zlib.compress(TEXT), BOMB, ZIPPED + ZIPPED[:9]])
def test_a_request_with_a_bad_body_is_refused(body: bytes) -> None:
    with HttpHarness([decompressor()]) as harness:
        assert harness.request("POST", headers=[("content-encoding", "gzip")], body=body).status == 400
        assert harness.upstream.ends == 0 and harness.stat(f"{STATS}decompressor_library.zlib_data_error") == 1
    assert harness.details == "decompressor_bad_body"


@pytest.mark.parametrize("body", [b"garbage", ZIPPED[:-1], BOMB])
def test_a_response_with_a_bad_body_is_broken_off(body: bytes) -> None:
    with HttpHarness([decompressor()], answer=Answer(200, (("content-encoding", "gzip"),), (body,))) as harness:
        got = harness.request()
        harness.advance(1.0)  # the delayed close
        assert not got.complete and harness.closed and harness.details == "decompressor_bad_body"


def test_a_body_that_ends_with_trailers_in_the_middle_of_gzip_is_no_whole_one() -> None:
    with HttpHarness([decompressor()]) as harness:
        got = harness.request("POST", headers=[("content-encoding", "gzip")], body=ZIPPED[:-1], trailers=[("x", "y")])
        assert got.status == 400 and harness.upstream.trailers is None


def inflate(data: bytes, cuts: List[int], ratio: int = 100) -> bytes:
    inflater = Inflater(15, Limits(ratio, 4096))
    found, begin = b"", 0
    for end in [*cuts, len(data)]:
        found += inflater.inflate(data[begin:end])
        begin = end
    if not inflater.complete:
        raise PeerError("cut off")
    return found


def test_every_split_and_padding_behind_the_last_member() -> None:
    data = ZIPPED + gzip.compress(b"", mtime=0) + gzip.compress(b"last", mtime=0) + b"\0\0\x1f\x8b padding"
    for cut in range(len(data)):
        assert inflate(data, [cut]) == TEXT + b"last"
    assert inflate(data, list(range(len(data)))) == TEXT + b"last"


def test_every_prefix_of_a_member_is_incomplete() -> None:
    for end in range(1, len(ZIPPED)):
        with pytest.raises(PeerError):
            inflate(ZIPPED[:end], [])


def test_mutations_never_yield_another_text_and_raise_nothing_else() -> None:
    rng = random.Random(5)
    for _ in range(300):
        data = bytearray(ZIPPED)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            assert inflate(bytes(data), []) == TEXT  # a bit that means nothing, in the head
        except PeerError:
            continue


@pytest.mark.parametrize(("ratio", "size", "good"), [(100, 3000, True), (1, 4096, True), (1, 4097, False), (1032, 100_000, True), (10, 100_000, False)])
def test_the_limit_is_a_ratio_but_never_less_than_a_chunk(ratio: int, size: int, good: bool) -> None:
    data = gzip.compress(b"a" * size, mtime=0)
    if good:
        assert inflate(data, [], ratio) == b"a" * size
    else:
        with pytest.raises(PeerError, match="more than"):
            inflate(data, [], ratio)


def test_a_library_that_is_none_is_refused() -> None:
    library = {"name": "x", "typed_config": {"@type": f"{TYPE}compression.gzip.compressor.v3.Gzip"}}
    with pytest.raises(ConfigError, match="Didn't find a registered implementation"):
        HttpHarness([decompressor(decompressor_library=library)])
