"""The ClientHello parser by itself: every cut of its input, broken ones, and what it reads out of good ones."""

from __future__ import annotations

import random
import ssl
from typing import Any, List, Optional, Tuple

import pytest

from proxy_core.extensions.listener.client_hello import (
    ClientHello, HelloReader, NotAHello, Reason, application_protocols, parse,
)
from proxy_core.extensions.listener.fingerprints import ja3, ja3_text, ja4
from proxy_core.testing.splits import splits
from tests.support.inspected import (
    alpn, body, extension, handshake, hello, real_hello, record, records, sni, u16, v2_hello, v8, v16, versions,
)

OFFER = sni(b"ok.test") + alpn(b"h2")
ENCRYPTED = b"\0" + u16(1) + u16(1) + b"\7" + v16(b"key") + v16(b"payload")


def read(*pieces: bytes) -> Tuple[Optional[ClientHello], Optional[Reason], int]:
    """(hello, why there is none, bytes that were needed) after these pieces; (None, None, ...) while more are needed."""
    reader, data = HelloReader(), bytearray()
    for piece in pieces:
        data += piece
        try:
            message = reader.read(data, len(data))
            if message is not None:
                return parse(message), None, reader.consumed
        except NotAHello as problem:
            return None, problem.reason, reader.consumed
    return None, None, reader.consumed


def found(data: bytes) -> ClientHello:
    result, reason, needed = read(data)
    assert result is not None, reason
    assert needed == len(data)
    return result


WARNING = record(b"\1\x5a", kind=21)
GOOD = {
    "no extensions": hello(None),
    "empty extensions": hello(),
    "TLS 1.0": hello(OFFER, version=0x0301),
    "TLS 1.3": hello(OFFER + versions(0x0304)),
    "a session id": hello(OFFER, session_id=b"s" * 32),
    "encrypted client hello": hello(OFFER + extension(0xFE0D, ENCRYPTED)),
    "inner encrypted client hello": hello(OFFER + extension(0xFE0D, b"\1")),
    "records of one byte": records(handshake(body(OFFER)), 1),
    "records of seven bytes": records(handshake(body(OFFER)), 7),
    "empty records before and between": b"".join(
        (record(b"") * 32, record(handshake(body())[:9]), record(b""), record(handshake(body())[9:]))
    ),
    "warnings before and between": b"".join(
        (WARNING * 4, record(handshake(body())[:9]), WARNING * 4, record(handshake(body())[9:]))
    ),
    "any record version": record(handshake(body()), 0x03FF),
    "post-quantum size": hello(OFFER + extension(51, v16(u16(0x11EC) + v16(bytes(1216))))),
    "the largest": hello(extension(21, bytes(16384 - len(hello(extension(21)))))),
    "SSLv2 form": v2_hello((0x9C, 0x010080, 0x2F), session_id=b"s" * 16),
    "Python, TLS 1.2": real_hello("a.test", ["http/1.1"], highest=ssl.TLSVersion.TLSv1_2),
    "Python, TLS 1.3": real_hello("www.site.test", ["h2", "http/1.1"]),
    "Python, no name": real_hello(),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_a_good_hello_is_found_however_it_is_cut_and_never_before_its_last_byte(data: bytes) -> None:
    whole = read(data)
    assert whole[0] is not None
    for pieces in splits(data, two_way_limit=60):
        assert read(*pieces) == whole
    reader, growing = HelloReader(), bytearray()
    for byte in data[:-1]:
        growing.append(byte)
        assert reader.read(growing, len(growing)) is None
    assert read(data + b"what follows", b"more")[0] == whole[0]


BROKEN = {
    "HTTP_REQUEST": (b"GET / HTTP/1.1", b"POST /", b"HEAD /", b"PUT /x"),
    "HTTPS_PROXY_REQUEST": (b"CONNECT a:1",),
    "WRONG_VERSION_NUMBER": (
        b"SSH-2.0-x", b"GETX /", b"\0" * 5, b"\x16\x02\0\0\0", b"\x80\x2e\x01\x00\x02", b"\xff" * 5,
        record(b"\1", 0x0200), record(handshake(body())[:9]) + b"\x16\x04\x01\0\1",
    ),
    "ENCRYPTED_LENGTH_TOO_LONG": (b"\x16\3\1\xff\xff", b"X\3abc"),
    "UNEXPECTED_RECORD": (
        record(b"\1", kind=20), record(b"hi", kind=23), record(handshake(body())[:9]) + record(b"x", kind=23),
        b"X\3\0\0\1z", record(b"\2\x28", kind=21), record(b"\1\0", kind=21), record(b"\1", kind=21), WARNING * 5,
    ),
    "UNEXPECTED_MESSAGE": (record(handshake(body(), 2)), record(handshake(b"", 0)), record(handshake(b"x" * 12, 20))),
    "EXCESSIVE_MESSAGE_SIZE": (record(b"\1\0\x40\1" + b"x" * 50), record(b"\1\xff\xff\xff")),
    "TOO_MANY_EMPTY_FRAGMENTS": (record(b"") * 33, record(handshake(body())[:9]) + record(b"") * 33),
    "EXCESS_HANDSHAKE_DATA": (record(handshake(body()) + b"\x0b"),),
    "CLIENTHELLO_PARSE_FAILED": (
        record(handshake(b"")), hello(ciphers=()), hello(compressions=b""), hello(session_id=b"s" * 33), hello(tail=b"x"),
        record(handshake(body() + b"\0")), hello(extension(99) + extension(99)), hello(b"\0\x63\0\5ab"), hello(b"\0"),
        record(handshake(body()[:-3])), v2_hello((0x010080,)), v2_hello(()), record(handshake(body(tail=b"x")) + b"x"),
    ),
    "DECODE_ERROR": (
        hello(extension(0xFE0D)), hello(extension(0xFE0D, b"\0")), hello(extension(0xFE0D, ENCRYPTED + b"x")),
        v2_hello(tail=b"x"), b"\x80\x03\x01\x03\x00", u16(0x8000 | 29) + b"\1\3\1\0\4\0\0\0\x10" + b"\0\0\x9c\0" + bytes(16),
    ),
    "RECORD_LENGTH_MISMATCH": (b"\x80\x02\x01\x03\x00",),
    "RECORD_TOO_LARGE": (b"\x90\x01\x01\x03\x00",),
    "ERROR_PARSING_EXTENSION": tuple(
        hello(one + alpn(b"h2")) for one in (
            extension(0), extension(0, v16(b"")), sni(b""), sni(b"a.test", 1), sni(b"a\0b"), sni(b"a" * 256),
            extension(0, v16(b"\0" + v16(b"a.test")) + b"x"), extension(0, v16(b"\0\0\x09ab")),
            extension(0, v16(b"\0" + v16(b"a.test") + b"\0" + v16(b"b.test"))),
        )
    ),
}


@pytest.mark.parametrize("name, data", [(name, data) for name, some in BROKEN.items() for data in some])
def test_what_is_no_hello_is_refused_for_envoys_reason(name: str, data: bytes) -> None:
    """Names and inputs as measured on Envoy 1.40."""
    result, reason, needed = read(data)
    assert result is None and reason is Reason[name]
    assert 0 < needed <= len(data)


@pytest.mark.parametrize("data", [data for some in BROKEN.values() for data in some])
def test_what_is_no_hello_is_refused_however_it_is_cut(data: bytes) -> None:
    for pieces in splits(data, two_way_limit=40, random_ways=3):
        assert read(*pieces)[1] is not None


@pytest.mark.parametrize(
    "data", [b"G", b"\x17", b"\0", b"\x15\x02", b"\x16\x02", b"\x16\3\1\xff\xff", b"\x16\3\1\0\x40\2", b"\x80\0\2", b"\x80\0\1\2"]
)
def test_bytes_that_cannot_become_a_hello_are_refused_at_once(data: bytes) -> None:
    assert read(data[:-1])[1] is None
    assert read(data)[1] is not None


@pytest.mark.parametrize(
    "data",
    [b"", b"\x16", b"\x16\3", b"\x16\3\0\0\0", b"\x80", b"\x80\0\1", b"\xff\xff\1\3", b"\x16\3\1\0\x40\1"],
)
def test_bytes_that_can_become_a_hello_wait(data: bytes) -> None:
    assert read(data)[:2] == (None, None)


def test_bytes_behind_the_end_do_not_count() -> None:
    data = hello(OFFER)
    reader = HelloReader()
    assert reader.read(bytearray(data), len(data) - 1) is None
    assert reader.read(bytearray(data), len(data)) is not None
    assert HelloReader().read(bytearray(b"\x80\x80\x80"), 1) is None


def test_the_facts_of_a_hello() -> None:
    result = found(hello(alpn(b"h2", b"http/1.1") + sni(b"Www.Site.test") + versions(0x0304), ciphers=(0x1301, 0x9C)))
    assert result.version == 0x0303 and result.ciphers == (0x1301, 0x9C)
    assert list(result.extensions) == [16, 0, 43]
    assert result.server_name == b"Www.Site.test"
    assert application_protocols(result.extensions[16]) == (b"h2", b"http/1.1")


def test_an_sslv2_hello_says_the_same_as_its_tls_form() -> None:
    """SSLv2's own ciphers are left out, the challenge becomes the random (RFC 5246 appendix E.2)."""
    result = found(v2_hello((0x9C, 0x010080, 0x2F), version=0x0303))
    assert result == ClientHello(0x0303, (0x9C, 0x2F), {}, b"")


@pytest.mark.parametrize(
    "content", [b"", v16(b""), v16(v8(b"")), v16(v8(b"h2") + v8(b"")), v16(v8(b"h2")) + b"x", v16(b"\5h2"), b"\0"]
)
def test_a_malformed_protocol_list_is_no_list_but_the_hello_is_good(content: bytes) -> None:
    assert application_protocols(content) == ()
    found(hello(extension(16, content)))


def test_a_hello_that_comes_byte_by_byte_is_taken_apart_once() -> None:
    """The message is put together from each record once, so what was seen before is not touched again."""
    data = records(handshake(body(extension(21, bytes(2000)))), 100)

    class Watched(bytearray):
        touched = 0

        def __getitem__(self, key: Any) -> Any:
            if isinstance(key, slice):
                Watched.touched += len(range(*key.indices(len(self))))
            return super().__getitem__(key)

    reader, growing = HelloReader(), Watched()
    results: List[Optional[bytes]] = []
    for byte in data:
        growing.append(byte)
        results.append(reader.read(growing, len(growing)))
    assert results[-1] is not None and not any(results[:-1])
    assert Watched.touched < 10 * len(data)


def test_thousands_of_broken_hellos_raise_nothing_else_and_cuts_do_not_matter() -> None:
    generator = random.Random(20260401)
    names = ("TLS 1.3", "SSLv2 form", "records of seven bytes", "Python, TLS 1.2", "encrypted client hello")
    models = [GOOD[name] for name in names]
    verdicts = {True: 0, False: 0}
    for _ in range(4000):
        data = bytearray(generator.choice(models))
        for _ in range(generator.choice((1, 1, 2, 5))):
            at = generator.randrange(len(data))
            change = generator.randrange(4)
            if change == 0:
                data[at] = generator.randrange(256)
            elif change == 1:
                data[at] ^= 1 << generator.randrange(8)
            elif change == 2:
                del data[at:at + generator.randint(1, 3)]
            else:
                data[at:at] = generator.randbytes(2)
        whole = read(bytes(data))
        bytewise = read(*(bytes([byte]) for byte in data))
        assert whole[0] == bytewise[0]
        assert (whole[1] is None) == (bytewise[1] is None)
        if whole[0] is not None:
            ja3(whole[0]), ja4(whole[0])
        verdicts[whole[0] is not None] += 1
    assert min(verdicts.values()) > 200, verdicts


# -- fingerprints --------------------------------------------------------------------------------------------------


def groups(*numbers: int) -> bytes:
    return extension(10, v16(b"".join(u16(one) for one in numbers)))


def algorithms(*numbers: int) -> bytes:
    return extension(13, v16(b"".join(u16(one) for one in numbers)))


def test_ja3_of_the_specifications_example() -> None:
    data = hello(
        sni(b"a.test") + groups(23, 24, 25) + extension(11, v8(b"\0")), version=769,
        ciphers=(47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4),
    )
    assert ja3_text(found(data)) == "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0"
    assert ja3(found(data)) == "ada70206e40642a3e4461f35503241d5"


def test_ja3_of_the_specifications_example_without_extensions() -> None:
    data = hello(None, version=769, ciphers=(4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99))
    assert ja3_text(found(data)) == "769,4-5-10-9-100-98-3-6-19-18-99,,,"
    assert ja3(found(data)) == "de350869b8c85de67a350c8d186f11e6"


CHROME_CIPHERS = (
    0x8A8A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x9C, 0x9D, 0x2F, 0x35,
)


def test_ja4_of_the_specifications_example() -> None:
    empty = {kind: extension(kind) for kind in (0x1B, 0x33, 0x4469, 0x17, 0x2D, 5, 0x23, 0x12, 0xFF01, 11, 10, 0x15)}
    signed = algorithms(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
    ordered = [
        extension(0x3A3A), empty[0x1B], sni(b"a.test"), empty[0x33], alpn(b"h2"), empty[0x4469], empty[0x17], empty[0x2D], signed,
        empty[5], empty[0x23], empty[0x12], versions(0x0A0A, 0x0304, 0x0303), empty[0xFF01], empty[11], empty[10], empty[0x15],
        extension(0xDADA, b"\0"),
    ]
    assert ja4(found(hello(b"".join(ordered), ciphers=CHROME_CIPHERS))) == "t13d1516h2_8daaf6152771_e5627efa2ab1"


NAMED = sni(b"ok.test")
MEASURED = {
    # what Envoy 1.40 logged for the same bytes
    "nothing": (hello(None), "7612b07dcf8a2a2c245431212486dca2", "t12i030000_159d175d8039_000000000000"),
    "GREASE": (
        hello(
            extension(0x0A0A) + NAMED + groups(0x2A2A, 29, 23) + extension(11, v8(b"\0\1")) + algorithms(0x0403, 0x1A1A, 0x0804)
            + versions(0x3A3A, 0x0304, 0x0303) + extension(0xFAFA, b"\0"), ciphers=(0x4A4A, 0x1301, 0xC02F)),
        "d0a70644668c0e3943be4bda612b7807", "t13d020500_c1929292aa6b_4d94e545aecb"),
    "only GREASE": (hello(NAMED, ciphers=(0x0A0A,)), "eb135aa01a32c0d5cf6ca9cc0f16d7f5", "t12d000100_000000000000_000000000000"),
    "more than 99": (
        hello(NAMED + b"".join(extension(1000 + at) for at in range(120)), ciphers=range(1, 130)),
        "9ad07554e8d317d55980d5df11139075", "t12d999900_f9f499679c8c_9a64cc934c88"),
    "groups of odd length": (
        hello(NAMED + extension(10, b"\0\3\0\x1d\0")), "8029ccbf38f124afd8e9becc77152217",
        "t12d030200_159d175d8039_a8f3e973773c"),
    "groups longer than they say": (
        hello(NAMED + extension(10, b"\0\2\0\x1d\0\x17")), "479287edf4f8190c35e06c38eaed4cb8",
        "t12d030200_159d175d8039_a8f3e973773c"),
    "no point formats": (
        hello(NAMED + extension(11)), "64eda15fbe5c590ac0f0027c60a338f2", "t12d030200_159d175d8039_bcb145a8c2a7"),
    "an unknown version": (
        hello(OFFER + versions(0x7F17)), "8b4f35a226f4fdfa3c8c6699474d6641", "t00d0303h2_159d175d8039_b9a491fefe05"),
    "SSLv2 form": (v2_hello(), "12355b342be615581e1c7d3c8f7dfed0", "t10i010000_dc2b145ead28_000000000000"),
}


@pytest.mark.parametrize("data, third, fourth", MEASURED.values(), ids=MEASURED)
def test_fingerprints_are_those_of_envoy(data: bytes, third: str, fourth: str) -> None:
    assert ja3(found(data)) == third
    assert ja4(found(data)) == fourth


@pytest.mark.parametrize(
    "content, printed",
    [
        (alpn(b"h2"), "h2"), (alpn(b"http/1.1", b"h2"), "h1"), (alpn(b"x"), "xx"), (alpn(b"\x0a\x0a"), "0a"),
        (alpn(b"h\xff"), "6f"), (alpn(b"-h"), "28"), (alpn(b""), "00"), (extension(16), "00"),
        (extension(16, v16(b"\5h2")), "00"), (b"", "00"),
    ],
)
def test_ja4_shows_the_ends_of_the_first_protocol(content: bytes, printed: str) -> None:
    assert ja4(found(hello(NAMED + content)))[8:10] == printed


@pytest.mark.parametrize(
    "content, printed",
    [
        (b"\2\3\4", "13"), (b"\3\3\4\3", "13"), (b"\4\3\4", "00"), (b"\2\3\4\0", "13"), (b"\0", "12"), (b"", "00"),
        (b"\4\0\2\3\1", "10"),
    ],
)
def test_ja4_shows_the_highest_version_on_offer(content: bytes, printed: str) -> None:
    assert ja4(found(hello(extension(43, content))))[1:3] == printed
