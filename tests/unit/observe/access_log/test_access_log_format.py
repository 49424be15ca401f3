"""Access-log formats against what Envoy 1.40 printed for the same connection, and refused in which words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Optional

import pytest

from proxy_core.observe.access_log.format import ENVOY_DEFAULT, TCP_DEFAULT, FormatCompiler
from proxy_core.observe.access_log.time_format import TimeFormat
from proxy_core.observe.access_log.values import LogContext
from proxy_core.observe.stream_info import StreamInfo, UpstreamInfo

COMPILER = FormatCompiler()
MEASURED = json.loads((Path(__file__).parent / "envoy_operators.json").read_text())


def connection() -> StreamInfo:
    """The connection that Envoy logged into envoy_operators.json."""
    info = StreamInfo(2, 1795466918.761575, 100.0)
    info.end_mono = 100.0015
    info.listener_name, info.filter_chain_name = "l1", "ch"
    info.downstream_remote_address = info.downstream_direct_remote_address = "127.0.0.1:44798"
    info.downstream_local_address = info.downstream_direct_local_address = "127.0.0.1:24502"
    info.bytes_received = info.bytes_sent = info.wire_bytes_sent = info.wire_bytes_received = 5
    info.stream_id = "578fca7b-6214-4009-93bd-35cad4619d44"
    info.metadata = {"LISTENER": {"ns": {"k": "v", "n": 1}}}
    upstream = info.upstream = UpstreamInfo()
    upstream.cluster = upstream.cluster_raw = "c1"
    upstream.host = upstream.remote_address = "127.0.0.1:24510"
    upstream.local_address = "127.0.0.1:34664"
    upstream.connection_id = 3
    upstream.hosts_attempted, upstream.connection_ids_attempted = ["127.0.0.1:24510"], [3]
    upstream.attempt_count, upstream.pool_ready_ms = 1, 0
    upstream.wire_bytes_sent = upstream.wire_bytes_received = 5
    upstream.connect_started_at, upstream.connected_at = 100.0, 100.000043
    return info


CONTEXT = LogContext("TcpConnectionEnd", 1795466918.762, 100.0015)


def text(pattern: str, info: Optional[StreamInfo] = None, omit: bool = False) -> str:
    return COMPILER.text(pattern, omit).format(info or connection(), CONTEXT)


def tree(fields: Any, info: Optional[StreamInfo] = None, omit: bool = False) -> Any:
    line = COMPILER.json(fields, omit).format(info or connection(), CONTEXT)
    assert line.endswith("\n") and len(line.splitlines()) == 1
    return json.loads(line)


@pytest.mark.parametrize(("operator", "as_text", "as_json"), MEASURED)
def test_an_operator_renders_as_envoy_rendered_it(operator: str, as_text: str, as_json: Any) -> None:
    assert text(f"%{operator}%") == as_text
    assert tree({"a": f"%{operator}%"}) == {"a": as_json}


REFUSED = [
    ("%", "Incorrect configuration: %. Couldn't find valid command at position 0"),
    ("abc % def", "Incorrect configuration: abc % def. Couldn't find valid command at position 4"),
    ("%START_TIME", "Incorrect configuration: %START_TIME. Couldn't find valid command at position 0"),
    ("%start_time%", "Incorrect configuration: %start_time%. Couldn't find valid command at position 0"),
    ("%%%", "Incorrect configuration: %%%. Couldn't find valid command at position 2"),
    ("%REQ(A)%%", "Incorrect configuration: %REQ(A)%%. Couldn't find valid command at position 8"),
    ("%REQ(A):-1%", "Incorrect configuration: %REQ(A):-1%. Couldn't find valid command at position 0"),
    (
        "%REQ(A):99999999999999999999%",
        "Incorrect configuration: %REQ(A):99999999999999999999%. Couldn't find valid command at position 0",
    ),
    ("%BOGUS%", "Not supported field in StreamInfo: BOGUS"),
    ("%BOGUS(x)%", "Not supported field in StreamInfo: BOGUS"),
    ("%START_TIME:5%", "START_TIME does not allow length to be specified."),
    ("%BYTES_SENT:3%", "BYTES_SENT does not take any parameters or length"),
    ("%CUSTOM_FLAGS(x)%", "CUSTOM_FLAGS does not take any parameters or length"),
    ("%REQ()%", "REQ requires parameters"),
    ("%REQ(A?B?C)%", "More than 1 alternative header specified in token: A?B?C"),
    ("%ENVIRONMENT%", "ENVIRONMENT requires parameters"),
    ("%DYNAMIC_METADATA%", "DYNAMIC_METADATA requires parameters"),
    ("%FILTER_STATE%", "Invalid filter state configuration, key cannot be empty."),
    ("%FILTER_STATE(a:B)%", "Invalid filter state serialize type, only support PLAIN/TYPED/FIELD."),
    ("%METADATA(FOO:a)%", "FOO is not supported type of metadata"),
    ("%COMMON_DURATION(DS_RX_BEG)%", "Invalid common duration configuration: DS_RX_BEG."),
    ("%COMMON_DURATION(DS_RX_BEG:DS_RX_END:s)%", "Invalid common duration precision: s."),
    ("%PATH(X)%", "Invalid PATH option: 'X', only 'WQ'/'NQ' are allowed"),
    ("%PATH(NQ:FOO)%", "Invalid PATH option: 'FOO', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed"),
    (
        "%REQUESTED_SERVER_NAME(X)%",
        "Invalid REQUESTED_SERVER_NAME option: 'X', only 'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST' are allowed",
    ),
    ("%GRPC_STATUS(X)%", "GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: X"),
]


@pytest.mark.parametrize(("pattern", "message"), REFUSED)
def test_a_bad_format_is_refused_in_text_and_json_with_envoys_sentence(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        COMPILER.text(pattern)
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        COMPILER.json({"a": [{"b": pattern}]})


@pytest.mark.parametrize("pattern", [ENVOY_DEFAULT, TCP_DEFAULT])
def test_no_prefix_of_a_good_format_breaks_the_parser(pattern: str) -> None:
    for end in range(len(pattern) + 1):
        try:
            COMPILER.text(pattern[:end]).format(connection(), CONTEXT)
        except ValueError as error:
            assert "Couldn't find valid command" in str(error)


def test_literals_percent_signs_and_line_ends_stay_as_they_are() -> None:
    assert text("100%% of %CONNECTION_ID%\nnext") == "100% of 2\nnext"
    assert text("") == ""


def test_envoys_default_line_for_a_tcp_connection() -> None:
    assert text(ENVOY_DEFAULT) == (
        '[2026-11-23T20:48:38.761Z] "- - -" 0 - 5 5 1 - "-" "-" "-" "-" "127.0.0.1:24510"\n'
    )


def test_the_default_line_made_for_tcp() -> None:
    info = connection()
    info.close_reason = "the client ended the connection (FIN)"
    assert text(TCP_DEFAULT, info) == (
        "[2026-11-23T20:48:38.761Z] [C2] l1 ch 127.0.0.1:44798 -> 127.0.0.1:24510 c1 in=5 out=5 ms=1 flags=- "
        'TcpConnectionEnd "the client ended the connection (FIN)"\n'
    )


def test_an_untouched_connection_has_no_upstream() -> None:
    info = StreamInfo(0, 0.0, 0.0)
    assert text(
        "%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_CONNECTION_ID% %UPSTREAM_DETECTED_CLOSE_TYPE%", info
    ) == ("- - 0 -")
    assert (
        text("%UPSTREAM_WIRE_BYTES_SENT% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %UPSTREAM_REMOTE_PORT%", info)
        == "0 0 -"
    )


def test_flags_are_printed_once_in_the_order_in_which_they_were_set() -> None:
    info = connection()
    for flag in ("URX", "UF", "URX"):
        info.add_flag(flag)
    assert text("%RESPONSE_FLAGS%|%RESPONSE_FLAGS_LONG%", info) == (
        "URX,UF|UpstreamRetryLimitExceeded,UpstreamConnectionFailure"
    )


def test_spaces_of_transport_failures_become_underscores_but_those_of_termination_details_stay() -> None:
    info = connection()
    assert info.upstream is not None
    info.upstream.transport_failure_reason = "delayed connect error: Connection refused"
    info.connection_termination_details = "transport socket timeout was reached"
    assert text("%UPSTREAM_TRANSPORT_FAILURE_REASON% %CONNECTION_TERMINATION_DETAILS%", info) == (
        "delayed_connect_error:_Connection_refused transport socket timeout was reached"
    )


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("[2001:db8::1]:443", "2001:db8::1", "443"),
        ("/run/a:1.sock", "/run/a:1.sock", "-"),
        ("@abstract:1", "@abstract:1", "-"),
        ("", "-", "-"),
    ],
)
def test_addresses_without_port(address: str, host: str, port: str) -> None:
    info = connection()
    info.downstream_remote_address = address
    assert text("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%", info) == f"{host} {port}"


def test_the_duration_of_a_living_connection_runs_up_to_the_log_line() -> None:
    info = connection()
    info.end_mono = None
    assert COMPILER.text("%DURATION%").format(info, LogContext("TcpPeriodic", 0.0, 107.25)) == "7250"


@pytest.mark.parametrize("hostile", ["a\nb", "a\r\nb", "a\x00\x1b[2Jb", "a\u2028b", "a\x85b", "\udcff\n"])
def test_a_peer_cannot_break_out_of_its_line(hostile: str) -> None:
    info = connection()
    info.requested_server_name = hostile
    info.dynamic_metadata = {"ns": {"k": hostile}}
    for line in (
        text("%REQUESTED_SERVER_NAME% %DYNAMIC_METADATA(ns:k)% %DYNAMIC_METADATA(ns)%", info),
        json.dumps(tree({"a": "%REQUESTED_SERVER_NAME%", "b": "x%REQUESTED_SERVER_NAME%"}, info)),
    ):
        assert len(line.splitlines()) == 1
        assert not any(ord(character) < 0x20 or ord(character) == 0x7F for character in line)


def test_length_cuts_bytes_but_never_inside_a_character() -> None:
    info = connection()
    info.dynamic_metadata = {"ns": {"k": "añb", "n": 12345}}
    assert (
        text("%DYNAMIC_METADATA(ns:k):2%|%DYNAMIC_METADATA(ns:k):3%|%DYNAMIC_METADATA(ns:k):0%", info)
        == "a|añ|"
    )
    assert text("%DYNAMIC_METADATA(ns:n):2%", info) == "12345"


def test_metadata_is_an_object_in_json_and_compact_json_in_text() -> None:
    info = connection()
    info.dynamic_metadata = {"ns": {"b": True, "a": {"x": 1.5}}}
    assert text("%DYNAMIC_METADATA(ns)%|%DYNAMIC_METADATA(ns:a:x)%|%DYNAMIC_METADATA(ns:b)%", info) == (
        '{"a":{"x":1.5},"b":true}|1.5|true'
    )
    assert tree({"m": "%DYNAMIC_METADATA(ns)%", "none": "%DYNAMIC_METADATA(ns:a:x:deeper)%"}, info) == {
        "m": {"b": True, "a": {"x": 1.5}},
        "none": None,
    }


def test_json_escapes_the_value_in_a_mixed_string_once() -> None:
    info = connection()
    info.dynamic_metadata = {"ns": {"a": 'tab\t"quote"\n'}}
    assert tree({"m": "<%DYNAMIC_METADATA(ns:a)%>"}, info) == {"m": '<tab\t"quote"\n>'}
    assert text("<%DYNAMIC_METADATA(ns:a)%>", info) == '<tab\\t"quote"\\n>'


def test_filter_state_by_key_plain_and_field() -> None:
    info = connection()
    info.filter_state = {"k": "text", "d": {"f": 7}}
    assert text(
        "%FILTER_STATE(k:PLAIN)% %FILTER_STATE(k):2% %FILTER_STATE(d:FIELD:f)% %FILTER_STATE(no)%", info
    ) == ("text te 7 -")


def test_json_keeps_types_sorts_keys_and_turns_mixed_text_into_strings() -> None:
    line = COMPILER.json(
        {
            "z": "%BYTES_SENT%",
            "a": "%PROTOCOL% to %UPSTREAM_CLUSTER%",
            "m": {"y": "%ROUTE_NAME%", "x": [1, "%DURATION%", True]},
            "n": None,
            "f": 3.0,
            "s": "plain",
        }
    ).format(connection(), CONTEXT)
    assert line == '{"a":"- to c1","f":3,"m":{"x":[1,1,true],"y":null},"n":null,"s":"plain","z":5}\n'


def test_json_omits_empty_values_and_text_prints_nothing_for_them() -> None:
    assert tree(
        {"a": "%PROTOCOL%", "b": "%PROTOCOL%x", "c": {"d": "%PROTOCOL%"}, "e": "%RESPONSE_FLAGS%"}, omit=True
    ) == {"b": "x", "e": "-"}
    unknown = "%PROTOCOL%"
    assert tree({"a": [{"x": unknown}, [unknown], {}, 1], "b": {}, "c": {"d": {"e": unknown}}}, omit=True) == {"a": [[], 1]}
    assert tree({"a": unknown}, omit=True) == {}
    assert text("<%PROTOCOL%>", omit=True) == "<>"


def test_json_refuses_what_is_not_json() -> None:
    with pytest.raises(ValueError, match="a set is not a JSON value"):
        COMPILER.json({"a": {1}})


def test_environment_is_read_when_the_format_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VARIABLE", "value")
    compiled = COMPILER.text(
        "%ENVIRONMENT(SOME_VARIABLE)% %ENVIRONMENT(SOME_VARIABLE):3% %ENVIRONMENT(NO_SUCH_ONE)%"
    )
    monkeypatch.delenv("SOME_VARIABLE")
    assert compiled.format(connection(), CONTEXT) == "value val -"


def test_emit_time_is_the_moment_of_the_line() -> None:
    assert text("%EMIT_TIME%") == "2026-11-23T20:48:38.762Z"


def test_start_time_rounds_over_the_second_and_keeps_no_stale_second() -> None:
    compiled = COMPILER.text("%START_TIME(%S.%3f)%")
    for wall, expected in ((59.9999999, "00.000"), (1.5, "01.500"), (2.25, "02.250"), (2.75, "02.750")):
        assert compiled.format(StreamInfo(1, wall, 0.0), CONTEXT) == expected


def test_unique_ids_differ_from_line_to_line() -> None:
    compiled = COMPILER.text("%UNIQUE_ID%")
    assert compiled.format(connection(), CONTEXT) != compiled.format(connection(), CONTEXT)


class Request:
    """HTTP facts as a connection manager would give them."""

    def request_header(self, name: str) -> Optional[str]:
        return {":method": "GET", ":path": "/a/b?k=v&q=2", ":authority": "t", "user-agent": "ua"}.get(name)

    def response_header(self, name: str) -> Optional[str]:
        return {"x-flavour": "plain"}.get(name)

    def response_trailer(self, name: str) -> Optional[str]:
        return None

    def fact(self, name: str) -> Any:
        return {"PROTOCOL": "HTTP/1.1", "RESPONSE_CODE": 201, "POINT:DS_RX_END": 100.5}.get(name)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("REQ(:METHOD)", "GET"),
        ("REQ(X-NO?:AUTHORITY)", "t"),
        ("REQ(:PATH):3", "/a/"),
        ("RESP(X-FLAVOUR)", "plain"),
        ("TRAILER(x)", "-"),
        ("PROTOCOL", "HTTP/1.1"),
        ("RESPONSE_CODE", "201"),
        ("PATH(NQ)", "/a/b"),
        ("PATH", "/a/b?k=v&q=2"),
        ("PATH(WQ:ORIG)", "-"),
        ("QUERY_PARAM(q)", "2"),
        ("QUERY_PARAM(none)", "-"),
        ("QUERY_PARAMS", "k=v&q=2"),
        ("COMMON_DURATION(DS_CX_BEG:DS_RX_END:ms)", "500"),
        ("REQUESTED_SERVER_NAME(HOST_FIRST)", "t"),
        ("ROUTE_NAME", "-"),
        ("REQUEST_HEADERS_BYTES", "0"),
    ],
)
def test_http_facts_plug_in_through_one_object(operator: str, expected: str) -> None:
    info = connection()
    info.http = Request()
    assert text(f"%{operator}%", info) == expected


def test_tls_facts_are_read_from_the_session_and_lists_are_joined() -> None:
    info = connection()
    info.tls = {
        "version": "TLSv1.3",
        "peer_dns_san": ["a.example", "b.example"],
        "peer_uri_san": [],
        "peer_cert_v_start": 0.0,
    }
    assert (
        text(
            "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_DNS_SAN% %DOWNSTREAM_PEER_URI_SAN% "
            "%UPSTREAM_TLS_VERSION% "
            "%DOWNSTREAM_PEER_CERT_V_START% %DOWNSTREAM_PEER_CERT_V_START(%Y)%",
            info,
        )
        == "TLSv1.3 a.example,b.example - - 1970-01-01T00:00:00.000Z 1970"
    )


@pytest.mark.parametrize(("pattern", "expected"), [
    ("%E4S", "07.1234"), ("%E*S", "07.123456"), ("%E0S", "07"), ("%E*f", "123456"), ("%E3f", "123"), ("%E4Y", "2001"),
    ("%Ez", "+00:00"), ("%E*z", "+00:00:00"), ("%Y%ET%H", "2001T01"), ("%s.%3f", "978310867.123"),
])
def test_times_know_abseils_own_tokens(pattern: str, expected: str) -> None:
    assert TimeFormat(pattern).format(978310867.123456) == expected
