"""set_filter_state and sni_cluster: what they leave on a connection, who uses it and how it is printed."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator, List, Optional

import pytest

from proxy_core.config.model.core import DataSource, SubstitutionFormatString
from proxy_core.errors import ConfigError
from proxy_core.extensions.network import set_filter_state, sni_cluster
from proxy_core.extensions.network.set_filter_state.filter import FilterStateValue
from proxy_core.extensions.network.set_filter_state.objects import factories
from proxy_core.observe.access_log.format import FormatCompiler
from proxy_core.observe.access_log.values import LogContext
from proxy_core.observe.filter_state import FilterStateObject
from proxy_core.observe.stream_info import UpstreamInfo
from proxy_core.testing.recording import RecordingFilter
from tests.support.engine import Engine, Json, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.filters import FilterRig
from tests.support.peers import Server

Serve = Callable[..., Engine]
CLUSTER = "envoy.tcp_proxy.cluster"


def entry(key: str, text: str, factory: str = "envoy.string", **fields: Any) -> Json:
    kind = {} if key.startswith("envoy.") else {"factory_key": factory}
    return {"object_key": key, "format_string": {"text_format_source": {"inline_string": text}}, **kind, **fields}


def value(key: str, text: str, **fields: Any) -> FilterStateValue:
    source = SubstitutionFormatString(
        text_format_source=DataSource(inline_string=text), omit_empty_values=fields.pop("omit", False)
    )
    return FilterStateValue(object_key=key, format_string=source, factory_key="envoy.string", **fields)


def texts(rig: FilterRig) -> Any:
    return {key: str(found) for key, found in rig.connection.info.filter_state.items()}


def test_values_are_set_in_order_when_the_connection_is_new() -> None:
    rig = FilterRig()
    rig.connection.info.requested_server_name = "a.test"
    rig.use(set_filter_state.EXTENSION, on_new_connection=[
        value("first", "1"), value("second", "%FILTER_STATE(first:PLAIN)%2 %REQUESTED_SERVER_NAME%"), value("first", "3"),
        value("locked", "1", read_only=True), value("locked", "2"),
    ]).add(RecordingFilter("last")).start()
    assert texts(rig) == {"first": "3", "second": "12 a.test", "locked": "2"}


def test_nothing_is_set_by_an_empty_text_that_is_to_be_skipped() -> None:
    rig = FilterRig()
    rig.use(set_filter_state.EXTENSION, on_new_connection=[
        value("kept", "old"), value("kept", "", skip_if_empty=True), value("lost", "old"), value("lost", ""),
        value("dash", "%REQUESTED_SERVER_NAME%", skip_if_empty=True),
        value("skipped", "%REQUESTED_SERVER_NAME%", skip_if_empty=True, omit=True),
        value("empty", "%REQUESTED_SERVER_NAME%", omit=True),
    ]).add(RecordingFilter("last")).start()
    assert texts(rig) == {"kept": "old", "lost": "", "dash": "-", "empty": ""}


@pytest.mark.parametrize("says", [b"hello", b""])
def test_the_three_moments_come_in_order_and_once(says: bytes) -> None:
    rig = FilterRig()
    last = RecordingFilter("last", on_new_do=lambda: seen.append(texts(rig)))
    seen: List[Any] = []
    rig.use(
        set_filter_state.EXTENSION, on_new_connection=[value("new", "rx=%BYTES_RECEIVED%")],
        on_downstream_tls_handshake=[value("up", "after %FILTER_STATE(new:PLAIN)%, before %FILTER_STATE(data:PLAIN)%")],
        on_downstream_data=[value("data", "rx=%BYTES_RECEIVED%")],
    ).add(last).start()
    assert seen == [{"new": "rx=0"}]
    before = {"new": "rx=0", "up": "after rx=0, before -"}
    assert texts(rig) == before
    if says:
        rig.peer.send(says)
        rig.turn()
        rig.peer.send(b"more")
    else:
        rig.peer.finish()
    rig.turn()
    assert texts(rig) == {**before, "data": f"rx={len(says)}"}
    assert bytes(last.data) == (says + b"more" if says else b"")


def test_json_formats_and_files_make_values_too(tmp_path: Any) -> None:
    file = tmp_path / "format"
    file.write_text("from a file: %CONNECTION_ID%")
    rig = FilterRig()
    in_file = SubstitutionFormatString(text_format_source=DataSource(filename=str(file)))
    tree = SubstitutionFormatString(json_format={"id": "%CONNECTION_ID%", "n": 3})
    rig.use(set_filter_state.EXTENSION, on_new_connection=[
        FilterStateValue(object_key=key, format_string=format_, factory_key="envoy.string")
        for key, format_ in (("file", in_file), ("tree", tree))
    ]).add(RecordingFilter("last")).start()
    assert texts(rig) == {"file": "from a file: 7", "tree": '{"id":7,"n":3}\n'}


# Kind, text, then the plain and the typed form in a text format and in JSON: as Envoy 1.40 prints them.
RENDERED = [
    ("envoy.string", 'a"b', 'a"b', '"a\\"b"', 'a"b'),
    ("envoy.string", "", "", '""', ""),
    ("envoy.hashable_string", "h", "h", '"h"', "h"),
    (CLUSTER, "c", "c", "-", None),
    ("envoy.network.upstream_server_name", "A.Test", "A.Test", "-", None),
    ("envoy.network.upstream_subject_alt_names", " a , b,,c", " a , b,,c", "-", None),
    ("envoy.network.application_protocols", "h2,http/1.1", "-", "-", None),
    ("envoy.network.ip", "10.1.2.3", "10.1.2.3:0", "-", None),
    ("envoy.network.ip", "::1", "[::1]:0", "-", None),
    ("envoy.network.transport_socket.original_dst_address", "10.0.0.1:80", "10.0.0.1:80", "-", None),
    ("envoy.filters.listener.original_dst.local_ip", "[::1]:5", "[::1]:5", "-", None),
    ("envoy.tcp_proxy.disable_tunneling", "true", "true", "true", True),
    ("envoy.tcp_proxy.disable_tunneling", "1", "false", "false", False),
    ("envoy.upstream.dynamic_host", "host", "host", '"host"', "host"),
    ("envoy.upstream.dynamic_port", "80", "80", "80", 80),
    ("envoy.upstream.dynamic_port", " +70000", "70000", "70000", 70000),
    ("envoy.ratelimit.hits_addend", "3", "3", "3", 3),
]


def log(rig: FilterRig, pattern: Any) -> str:
    compiler, context = FormatCompiler(), LogContext("NotSet", 0.0, 0.0)
    compiled = compiler.text(pattern) if isinstance(pattern, str) else compiler.json(pattern)
    return compiled.format(rig.connection.info, context)


@pytest.mark.parametrize("kind, text, plain, typed, json_value", RENDERED)
def test_each_kind_is_printed_as_envoy_prints_it(kind: str, text: str, plain: str, typed: str, json_value: Any) -> None:
    rig = FilterRig()
    made = factories()[kind](text)
    rig.connection.info.set_filter_state("k", made)
    assert log(rig, "%FILTER_STATE(k:PLAIN)%|%FILTER_STATE(k)%|%FILTER_STATE(k:TYPED)%") == f"{plain}|{typed}|{typed}"
    assert json.loads(log(rig, {"v": "%FILTER_STATE(k)%"})) == {"v": json_value}


def test_lengths_and_fields_of_objects() -> None:
    rig = FilterRig()
    rig.connection.info.set_filter_state("s", factories()["envoy.string"]("plain"))
    rig.connection.info.set_filter_state("a", factories()["envoy.filters.listener.original_dst.remote_ip"]("10.0.0.9:99"))
    pattern = "%FILTER_STATE(s:PLAIN):2%|%FILTER_STATE(s):2%|%FILTER_STATE(a:FIELD:ip)%|%FILTER_STATE(a:FIELD:port):1%"
    assert log(rig, pattern) == 'pl|"p|10.0.0.9|9'
    assert log(rig, "%FILTER_STATE(a:FIELD:nope)%%FILTER_STATE(s:FIELD:ip)%") == "--"


@pytest.mark.parametrize("kind, text, worth", [
    ("envoy.network.application_protocols", "h2,http/1.1", ("h2", "http/1.1")),
    ("envoy.network.upstream_subject_alt_names", "a.test,b.test", ("a.test", "b.test")),
    ("envoy.network.upstream_server_name", "a.test", "a.test"), ("envoy.upstream.dynamic_port", "80", 80),
    ("envoy.tcp_proxy.disable_tunneling", "true", True),
])
def test_who_uses_an_object_finds_its_value_and_its_text(kind: str, text: str, worth: Any) -> None:
    made = factories()[kind](text)
    assert made is not None and made.value == worth and str(made) == text


def test_only_shared_objects_are_the_upstreams_as_well() -> None:
    rig = FilterRig()
    rig.use(set_filter_state.EXTENSION, on_new_connection=[
        value("no", "1"), value("once", "2", shared_with_upstream="ONCE"), value("ever", "3", shared_with_upstream="TRANSITIVE"),
    ]).add(RecordingFilter("last")).start()
    pattern = "".join(f"%UPSTREAM_FILTER_STATE({key}:PLAIN)%" for key in ("no", "once", "ever", "unknown"))
    assert log(rig, pattern) == "----"
    rig.connection.info.upstream = UpstreamInfo()
    assert log(rig, pattern) == "-23-"


@pytest.mark.parametrize("kind, text", [
    ("envoy.network.ip", "nonsense"), ("envoy.network.ip", "10.1.2.3:80"), ("envoy.network.ip", ""),
    ("envoy.upstream.dynamic_port", "x"), ("envoy.upstream.dynamic_port", "-1"), ("envoy.upstream.dynamic_port", "4294967296"),
    ("envoy.upstream.dynamic_port", "0x10"), ("envoy.upstream.dynamic_port", ""), ("envoy.upstream.dynamic_port", "\u0663"),
    ("envoy.upstream.dynamic_port", "9" * 5000),
    ("envoy.filters.listener.original_dst.local_ip", "10.0.0.1"), ("envoy.filters.listener.original_dst.local_ip", "::1:80"),
    ("envoy.filters.listener.original_dst.local_ip", "10.0.0.1:65536"), ("envoy.filters.listener.original_dst.local_ip", "[10.0.0.1]:1"),
])
def test_a_text_that_is_not_such_an_object_makes_none(kind: str, text: str) -> None:
    assert factories()[kind](text) is None


def test_what_could_not_be_made_leaves_what_was_there() -> None:
    rig = FilterRig()
    port = "envoy.upstream.dynamic_port"
    updates = [FilterStateValue(object_key=port, format_string=value("", text).format_string) for text in ("80", "eighty")]
    rig.use(set_filter_state.EXTENSION, on_new_connection=updates).add(RecordingFilter("last")).start()
    assert texts(rig) == {port: "80"}


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: List[Any] = []
    opened: List[Server] = []

    def make(*filters: Any, name: Optional[str] = None, **proxy: Any) -> Engine:
        servers = {one: Server() for one in ("configured", "chosen")}
        opened.extend(servers.values())
        lines = access_log("%RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %DOWNSTREAM_LOCAL_CLOSE_REASON%")
        last = network_filter("tcp_proxy", stat_prefix="t", cluster="configured", access_log=[lines], **proxy)
        clusters = [cluster(address(server.port), name=one) for one, server in servers.items()]
        engine: Any = Engine(bootstrap([listener(*filters, last)], clusters))
        engine.servers = servers
        if name is not None:
            def announce(manager: Any) -> None:
                manager.connection.info.requested_server_name = name
            engine.put_in_front(announce)
        made.append(engine.start())
        return made[-1]
    yield make
    for engine in made:
        engine.close()
        assert engine.errors == []
    for server in opened:
        server.close()


def choose(to: str) -> Json:
    return network_filter("set_filter_state", on_new_connection=[entry(CLUSTER, to)])


def test_tcp_proxy_goes_to_the_cluster_that_a_filter_in_front_has_chosen(serve: Serve) -> None:
    engine: Any = serve(choose("chosen"))
    engine.client()
    engine.accepted(engine.servers["chosen"])
    assert engine.value("cluster.configured.upstream_cx_total") == 0


@pytest.mark.parametrize("name, to", [("chosen", "chosen"), ("", "configured"), (None, "configured")])
def test_sni_cluster_sends_a_client_to_the_cluster_of_its_server_name(serve: Serve, name: Any, to: str) -> None:
    engine: Any = serve(network_filter("sni_cluster"), name=name)
    engine.client()
    engine.accepted(engine.servers[to])


@pytest.mark.parametrize("front", [choose("unknown"), choose("")], ids=["unknown", "empty"])
def test_a_chosen_cluster_that_is_none_is_no_route(serve: Serve, front: Json) -> None:
    engine: Any = serve(front)
    client = engine.client()
    engine.until(lambda: client.over)
    assert engine.lines == ["TcpConnectionEnd NC - tcp_initializion_failure:3"]
    assert engine.value("tcp.t.downstream_cx_no_route") == 1


def test_the_first_bytes_can_choose_when_tcp_proxy_waits_for_them(serve: Serve) -> None:
    """Envoy 1.40 has chosen before them, unless its flag tcp_proxy_delay_route_selection is on."""
    front = network_filter("set_filter_state", on_downstream_data=[entry(CLUSTER, "chosen")])
    engine: Any = serve(front, upstream_connect_mode="ON_DOWNSTREAM_DATA", max_early_data_bytes=100)
    client = engine.client()
    client.send(b"hello")
    server = engine.accepted(engine.servers["chosen"])
    engine.until(lambda: bytes(server.got) == b"hello")


def test_sni_cluster_leaves_an_object_that_logs_show() -> None:
    rig = FilterRig()
    rig.connection.info.requested_server_name = "a.test"
    rig.use(sni_cluster.EXTENSION).add(RecordingFilter("last")).start()
    assert isinstance(rig.connection.info.filter_state[CLUSTER], FilterStateObject)
    assert log(rig, f"%FILTER_STATE({CLUSTER}:PLAIN)% %FILTER_STATE({CLUSTER})%") == "a.test -"


BAD = [
    (entry("envoy.nope", "x"), "object_key", "'envoy.nope' does not have an object factory"),
    (entry("own", "x", factory="nope"), "factory_key", "'own' does not have an object factory"),
    (entry("envoy.network.network_namespace", "x"), "object_key", "not supported yet"),
    (entry("envoy.string", "%NOPE%"), "format_string", "Not supported field in StreamInfo: NOPE"),
    ({"object_key": "envoy.string"}, "", "`format_string` is required"),
    ({"factory_key": "envoy.string", "format_string": {"json_format": {}}}, "", "`object_key` is required"),
    ({**entry("envoy.string", "x"), "format_string": {"text_format_source": {"filename": "/nowhere"}}},
     "format_string.text_format_source.filename", "Invalid path: /nowhere"),
    (entry("envoy.string", "x", shared_with_upstream="SOME"), "shared_with_upstream", "expected one of"),
]


@pytest.mark.parametrize("wrong, path, text", BAD)
@pytest.mark.parametrize("moment", ["on_new_connection", "on_downstream_tls_handshake", "on_downstream_data"])
def test_a_wrong_value_is_refused_with_its_path(serve: Serve, wrong: Json, path: str, text: str, moment: str) -> None:
    with pytest.raises(ConfigError) as caught:
        serve(network_filter("set_filter_state", **{moment: [entry("envoy.string", "good"), wrong]}))
    problem, = caught.value.problems
    assert problem.path.endswith(f"typed_config.{moment}[1]" + (f".{path}" if path else "")) and text in problem.message
