"""tls_inspector in front of one socket: verdicts, facts, stats, limits. What is called measured was seen on Envoy 1.40."""

from __future__ import annotations

import random
import ssl
from typing import Any, Dict

import pytest

from proxy_core.errors import ConfigError
from proxy_core.extensions.listener.tls_inspector import EXTENSION, NAME
from proxy_core.observe.access_log.format import FormatCompiler
from proxy_core.observe.access_log.values import LogContext
from proxy_core.testing.splits import bytewise, splits
from tests.support.inspected import (
    Context, Inspected, alpn, body, extension, handshake, hello, prepare, real_hello, records, sni, v2_hello, versions,
)

COUNTERS = (
    "tls_found", "tls_not_found", "alpn_found", "alpn_not_found", "sni_found", "sni_not_found", "client_hello_too_large",
)
OFFER = sni(b"Ok.Test") + alpn(b"h2", b"http/1.1")
PRINTS = {"enable_ja3_fingerprinting": True, "enable_ja4_fingerprinting": True}


def inspect(*pieces: bytes, ended: bool = False, **config: Any) -> Inspected:
    return Inspected(prepare(EXTENSION, Context(), **config)).feed(*pieces, ended=ended)


def counted(data: bytes, **config: Any) -> Dict[str, int]:
    """The counters that moved."""
    context = Context()
    Inspected(prepare(EXTENSION, context, **config)).feed(data)
    values = {name: context.value(f"tls_inspector.{name}") for name in COUNTERS}
    return {name: value for name, value in values.items() if value}


def reason(one: Inspected) -> str:
    return str(one.socket.info.dynamic_metadata.get(NAME, {}).get("failure_reason", ""))


def test_a_hello_gives_name_protocols_and_transport() -> None:
    one = inspect(hello(OFFER))
    assert one.verdict == "passed"
    assert one.socket.transport_protocol == "tls"
    assert one.socket.requested_server_name == one.socket.info.requested_server_name == "ok.test"
    assert one.socket.application_protocols == ("h2", "http/1.1")
    assert one.socket.ja3_hash == one.socket.ja4_hash == ""
    assert not one.socket.info.dynamic_metadata and not one.socket.info.downstream_transport_failure_reason


def test_fingerprints_are_worked_out_when_asked_for() -> None:
    one = inspect(hello(sni(b"ok.test") + alpn(b"h2")), **PRINTS)
    assert one.socket.ja3_hash == one.socket.info.ja3_hash == "f5160f8db91742874b60e797b4f2bf98"
    assert one.socket.ja4_hash == one.socket.info.ja4_hash == "t12d0302h2_159d175d8039_000000000000"
    assert inspect(hello(OFFER), enable_ja4_fingerprinting=True).socket.ja3_hash == ""


@pytest.mark.parametrize(
    "data",
    [
        real_hello("a.test", ["h2"]), real_hello(highest=ssl.TLSVersion.TLSv1_2),
        real_hello("a.test", lowest=ssl.TLSVersion.TLSv1_3),
    ],
)
def test_real_hellos_are_found_however_they_are_cut(data: bytes) -> None:
    whole = inspect(data, **PRINTS)
    assert whole.verdict == "passed" and whole.socket.transport_protocol == "tls"
    for pieces in splits(data, two_way_limit=40):
        assert inspect(*pieces, **PRINTS).facts() == whole.facts()
        assert inspect(*pieces, initial_read_buffer_size=256, **PRINTS).facts() == whole.facts()


def test_the_end_of_the_client_is_no_matter_once_the_hello_is_there() -> None:
    """Envoy rejects it: it sees the end first."""
    data = hello(OFFER)
    context = Context()
    one = Inspected(prepare(EXTENSION, context))
    one.data += data
    one.ask(True)
    assert one.verdict == "passed" and one.socket.transport_protocol == "tls"


def test_an_end_at_every_prefix_is_refused() -> None:
    for data in (hello(OFFER), v2_hello(), records(handshake(body(OFFER)), 9)):
        for length in range(len(data)):
            one = inspect(data[:length], ended=True)
            assert one.verdict == "refused" and not one.socket.transport_protocol


@pytest.mark.parametrize("data", [b"G", b"S", b"\0", b"\x17", b"{"])
def test_one_byte_that_begins_no_hello_is_enough(data: bytes) -> None:
    """Envoy waits for five of them until its timeout."""
    one = inspect(data)
    assert one.verdict == "passed" and not one.socket.transport_protocol
    assert reason(one) == "ClientHelloNotDetected"


@pytest.mark.parametrize(
    "data, text",
    [
        (b"GET / HTTP/1.1\r\n\r\n", "TLS_error|error:1000009c:SSL routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end"),
        (b"hello world\r\n", "TLS_error|error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end"),
        (hello(ciphers=()), "TLS_error|error:10000083:SSL routines:OPENSSL_internal:CLIENTHELLO_PARSE_FAILED:TLS_error_end"),
    ],
)
def test_what_is_no_hello_passes_with_the_reason_that_envoy_gives(data: bytes, text: str) -> None:
    one = inspect(data)
    assert one.verdict == "passed" and not one.socket.transport_protocol
    assert one.socket.info.downstream_transport_failure_reason == text
    assert reason(one) == "ClientHelloNotDetected"
    assert counted(data) == {"tls_not_found": 1}


def test_what_is_no_hello_is_closed_if_the_configuration_says_so() -> None:
    config = {"close_connection_on_client_hello_parsing_errors": True}
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"x", hello(ciphers=())):
        one = inspect(data, **config)
        assert one.verdict == "closed" and one.reason.startswith("tls_inspector: not a ClientHello: ")
        assert reason(one) == "ClientHelloNotDetected"
        assert counted(data, **config) == {"tls_not_found": 1}
    assert inspect(hello(OFFER), **config).verdict == "passed"


@pytest.mark.parametrize("version", [0x0002, 0x0200, 0x0300, 0x0305, 0x03FF, 0x0400, 0x7F1C])
def test_a_version_that_is_none_of_tls_is_closed(version: int) -> None:
    """Measured: with the facts set, whatever supported_versions offers, and not counted as found."""
    data = hello(OFFER + versions(0x0304), version=version)
    one = inspect(data)
    assert one.verdict == "closed" and one.socket.requested_server_name == "ok.test"
    assert reason(one) == "ClientHelloInvalidTlsVersion"
    assert one.socket.info.downstream_transport_failure_reason == (
        "TLS_error|error:10000085:SSL routines:OPENSSL_internal:CONNECTION_REJECTED:TLS_error_end"
    )
    assert counted(data) == {"tls_not_found": 1, "sni_found": 1}


@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303, 0x0304])
def test_the_versions_of_tls_are_found(version: int) -> None:
    assert inspect(hello(OFFER, version=version)).socket.transport_protocol == "tls"
    assert inspect(v2_hello(version=version)).socket.transport_protocol == "tls"


def test_the_stats_of_what_was_found() -> None:
    assert counted(hello(OFFER)) == {"tls_found": 1, "alpn_found": 1, "sni_found": 1}
    assert counted(hello(None)) == {"tls_found": 1, "alpn_not_found": 1, "sni_not_found": 1}
    assert counted(hello(sni(b""))) == {"tls_not_found": 1}
    assert counted(hello(OFFER)[:-1]) == {}


def test_listeners_share_their_stats_which_exist_from_the_start() -> None:
    context = Context()
    first, second = prepare(EXTENSION, context), prepare(EXTENSION, context)
    assert [context.value(f"tls_inspector.{name}") for name in COUNTERS] == [0] * len(COUNTERS)
    assert list(context.stats.histograms) == ["tls_inspector.bytes_processed"]
    Inspected(first).feed(hello(OFFER))
    Inspected(second).feed(hello(OFFER))
    assert context.value("tls_inspector.tls_found") == 2


@pytest.mark.parametrize(
    "data, needed",
    [(hello(OFFER) + b"early data", len(hello(OFFER))), (b"GET / HTTP/1.1\r\n", 5), (b"\x16\3\1\xff\xff....", 5), (b"x", 1)],
)
def test_bytes_processed_is_what_the_decision_needed(data: bytes, needed: int) -> None:
    context = Context()
    Inspected(prepare(EXTENSION, context)).feed(data)
    context.now += 5.0  # histograms are merged once in a while
    bins = context.stats.histograms["tls_inspector.bytes_processed"].cumulative().bins()
    assert [one.values for one in bins] == [1] and bins[0].lower_bound <= needed < bins[0].lower_bound + bins[0].width


def test_the_largest_hello_passes_and_one_byte_more_is_closed() -> None:
    empty = len(hello(extension(21)))
    for limit, config in ((16384, {}), (400, {"max_client_hello_size": 400}), (400, {"max_client_hello_size": 400, **PRINTS})):
        for initial in (256, 16384):
            full: Dict[str, Any] = {**config, "initial_read_buffer_size": initial}
            fits = hello(extension(21, bytes(limit - empty)))
            assert len(fits) == limit and inspect(fits, **full).socket.transport_protocol == "tls"
            large = hello(extension(21, bytes(limit + 1 - empty)))
            for pieces in ([large], bytewise(large)):
                one = inspect(*pieces, **full)
                assert one.verdict == "closed" and reason(one) == "ClientHelloTooLarge"
                assert one.reason == f"tls_inspector: the ClientHello is larger than {limit} bytes"
            assert counted(large, **full) == {"client_hello_too_large": 1}


def test_a_hello_larger_than_allowed_is_not_found_though_more_was_read_for_somebody_else() -> None:
    one = Inspected(prepare(EXTENSION, Context(), max_client_hello_size=300))
    one.data += hello(extension(21, bytes(300)))
    one.ask(False)
    assert one.verdict == "closed" and reason(one) == "ClientHelloTooLarge"


def test_a_long_broken_hello_is_called_too_large_only_where_it_is_closed() -> None:
    data = b"\x16\3\1\0\2\1\0\x16\3\1\0\2\x40\1" + bytes(400)
    config: Dict[str, Any] = {"max_client_hello_size": 256}
    assert reason(inspect(data, **config)) == "ClientHelloNotDetected"
    config["close_connection_on_client_hello_parsing_errors"] = True
    assert reason(inspect(data, **config)) == "ClientHelloTooLarge"
    assert counted(data, **config) == {"client_hello_too_large": 1}


def test_the_window_grows_up_to_the_limit() -> None:
    one = Inspected(prepare(EXTENSION, Context(), initial_read_buffer_size=256))
    data = hello(extension(21, bytes(3000)))
    sizes = []
    for byte in bytewise(data[:-1]):
        one.feed(byte)
        sizes.append(one.filter.most_bytes)
    assert sorted(set(sizes)) == [256, 512, 1024, 2048, 4096]
    assert Inspected(prepare(EXTENSION, Context())).filter.most_bytes == 16384
    assert Inspected(prepare(EXTENSION, Context(), initial_read_buffer_size=65536)).filter.most_bytes == 16384
    both = prepare(EXTENSION, Context(), initial_read_buffer_size=500, max_client_hello_size=400)
    assert Inspected(both).filter.most_bytes == 400


@pytest.mark.parametrize(
    "name, kept",
    [
        (b"UPPER.Test", "upper.test"), (b"a.test.", "a.test."), ("BÜCHER".encode(), "bÜcher"),
        (b"\xff\xfe.T", "\udcff\udcfe.t"), (b"a" * 255, "a" * 255),
    ],
)
def test_names_are_put_into_lower_case_as_bytes(name: bytes, kept: str) -> None:
    assert inspect(hello(sni(name))).socket.requested_server_name == kept


@pytest.mark.parametrize(
    "name, printed",
    [
        (b"a-b_c.Test.", "a-b_c.test."), (b"a b", "invalid:a_b"), ("bücher".encode(), "invalid:b__cher"),
        (b"\xff\xfe.t", "invalid:__.t"), (b"*.test", "invalid:_.test"), (b"a\nb", "invalid:a_b"),
    ],
)
def test_access_logs_show_name_and_fingerprints(name: bytes, printed: str) -> None:
    """Measured: characters that no host name has are replaced, byte for byte."""
    info = inspect(hello(sni(name) + alpn(b"h2")), **PRINTS).socket.info
    line = FormatCompiler().text("%REQUESTED_SERVER_NAME% %TLS_JA3_FINGERPRINT% %TLS_JA4_FINGERPRINT%", False)
    ending = "f5160f8db91742874b60e797b4f2bf98 t12d0302h2_159d175d8039_000000000000"
    assert line.format(info, LogContext("TcpConnectionEnd", 0.0, 0.0)) == f"{printed} {ending}"


def test_a_protocol_that_is_no_text_is_kept() -> None:
    assert inspect(hello(alpn(b"\x8a\x8a", b"h2"))).socket.application_protocols == ("\udc8a\udc8a", "h2")


@pytest.mark.parametrize(
    "field, value",
    [
        ("initial_read_buffer_size", 255), ("initial_read_buffer_size", 65537), ("max_client_hello_size", 255),
        ("max_client_hello_size", 16385), ("max_client_hello_size", 0), ("enable_ja3_fingerprinting", "x"), ("unknown", 1),
    ],
)
def test_wrong_configurations_are_refused(field: str, value: Any) -> None:
    """The bounds are Envoy's."""
    with pytest.raises(ConfigError) as caught:
        prepare(EXTENSION, Context(), **{field: value})
    assert field in str(caught.value)


def test_thousands_of_broken_hellos_get_the_same_verdict_whole_and_byte_by_byte() -> None:
    generator = random.Random(7)
    models = [hello(OFFER + versions(0x0304)), real_hello("a.test", ["h2"], highest=ssl.TLSVersion.TLSv1_2), v2_hello()]
    make = prepare(EXTENSION, Context(), **PRINTS)
    verdicts: Dict[str, int] = {}
    for _ in range(2000):
        data = bytearray(generator.choice(models))
        for _ in range(generator.choice((1, 2, 4))):
            data[generator.randrange(len(data))] = generator.randrange(256)
        whole = Inspected(make).feed(bytes(data), ended=True).facts()
        assert Inspected(make).feed(*bytewise(bytes(data)), ended=True).facts() == whole
        verdicts[whole["verdict"]] = verdicts.get(whole["verdict"], 0) + 1
    assert min(verdicts.values()) > 20 and set(verdicts) == {"passed", "closed", "refused"}
