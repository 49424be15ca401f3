"""The endpoints as functions: text and JSON as the real Envoy 1.40 answers for the same configuration."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest

from proxy_core.admin.api import HTML, JSON, PLAIN, TEXT
from proxy_core.admin.routes import ROUTES
from proxy_core.observe.log import component_logger
from proxy_core.observe.log_levels import COMPONENTS
from tests.unit.admin.admin_kit import AdminRig, bootstrap


@pytest.fixture
def levels() -> Any:
    before = {name: component_logger(name).level for name in COMPONENTS}
    for name in COMPONENTS:
        component_logger(name).setLevel(20)
    yield
    for name, level in before.items():
        component_logger(name).setLevel(level)


# -- routes --------------------------------------------------------------------------------------------------

def test_every_route_answers_and_says_what_it_is(rig: AdminRig) -> None:
    for route in ROUTES:
        answer = rig.ask(route.path, "POST")
        assert answer.status in (200, 400, 501, 503), route.path
        assert answer.content_type in (TEXT, JSON, HTML) or answer.stream is not None


def test_an_unknown_path_gets_the_help(rig: AdminRig) -> None:
    answer = rig.ask("/nothing_here")
    assert answer.status == 404
    assert answer.body.decode() == "invalid path. " + rig.text("/help")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_what_changes_something_takes_only_post(rig: AdminRig, method: str) -> None:
    for route in ROUTES:
        if route.mutates:
            answer = rig.ask(route.path, method)
            assert answer.status == 405
            assert answer.body.decode() == f"Method {method} not allowed, POST required."
            assert answer.after is None


def test_help_lists_commands_parameters_and_choices(rig: AdminRig) -> None:
    lines = rig.text("/help").splitlines()
    assert lines[0] == "admin commands are:"
    assert "  /quitquitquit (POST): exit the server" in lines
    assert "      format: File format to use; One of (text, json)" in lines


def test_the_home_page_has_a_form_for_what_takes_post(rig: AdminRig) -> None:
    page = rig.ask("/")
    assert page.content_type == HTML
    assert "<form action='quitquitquit' method='post'" in page.body.decode()
    assert "<a href='ready'>ready</a>" in page.body.decode()


# -- process -------------------------------------------------------------------------------------------------

def test_ready_follows_the_state_of_the_server(rig: AdminRig) -> None:
    assert (rig.ask("/ready").status, rig.text("/ready")) == (200, "LIVE\n")
    assert rig.text("/healthcheck/fail", "POST") == "OK\n"
    assert (rig.ask("/ready").status, rig.text("/ready")) == (503, "DRAINING\n")
    assert rig.text("/healthcheck/ok", "POST") == "OK\n"
    assert rig.text("/ready") == "LIVE\n"
    rig.server.running = False
    assert (rig.ask("/ready").status, rig.text("/ready")) == (503, "PRE_INITIALIZING\n")


def test_server_info_has_envoys_fields_and_prints_empty_ones_too(rig: AdminRig) -> None:
    rig.clock.advance(65.9)
    info = rig.json("/server_info")
    assert list(info) == [
        "version", "state", "uptime_current_epoch", "uptime_all_epochs", "hot_restart_version",
        "command_line_options", "node", "hot_restart_initializing",
    ]
    assert info["uptime_current_epoch"] == info["uptime_all_epochs"] == "65s"
    assert info["command_line_options"]["config_path"] == "config.json"
    assert info["command_line_options"]["drain_time"] == "20s"
    assert info["node"]["locality"] == {"region": "", "zone": "z", "sub_zone": ""}
    assert (info["node"]["id"], info["node"]["cluster"]) == ("me", "here")


def test_server_info_without_a_node_and_with_one_from_the_command_line() -> None:
    config = bootstrap()
    del config["node"]
    rig = AdminRig(config)
    try:
        node = rig.json("/server_info")["node"]
        assert (node["id"], node["cluster"]) == ("", "")
        rig.server.options.service_node = "given"
        assert rig.json("/server_info")["node"]["id"] == "given"
    finally:
        rig.close()


def test_memory_is_numbers_as_text(rig: AdminRig) -> None:
    usage = rig.json("/memory")
    assert list(usage) == [
        "allocated", "heap_size", "pageheap_unmapped", "pageheap_free", "total_thread_cache",
        "total_physical_bytes",
    ]
    assert int(usage["total_physical_bytes"]) >= int(usage["allocated"]) > 0


def test_runtime_modify_sets_and_deletes_in_the_admin_layer() -> None:
    layers = [{"name": "static", "static_layer": {"foo.bar": 1}}, {"name": "admin", "admin_layer": {}}]
    rig = AdminRig(bootstrap(layered_runtime={"layers": layers}))
    try:
        assert rig.text("/runtime_modify?foo.bar=7&x=y", "POST") == "OK\n"
        assert rig.json("/runtime") == {
            "entries": {
                "foo.bar": {"final_value": "7", "layer_values": ["1", "7"]},
                "x": {"final_value": "y", "layer_values": ["", "y"]},
            },
            "layers": ["static", "admin"],
        }
        assert rig.text("/runtime_modify?foo.bar=&x=", "POST") == "OK\n"
        assert rig.json("/runtime")["entries"] == {"foo.bar": {"final_value": "1", "layer_values": ["1", ""]}}
    finally:
        rig.close()


def test_runtime_modify_needs_parameters_and_an_admin_layer(rig: AdminRig) -> None:
    assert rig.ask("/runtime_modify", "POST").status == 400
    answer = rig.ask("/runtime_modify?a=1", "POST")
    assert (answer.status, answer.body) == (503, b"No admin layer specified")
    assert rig.json("/runtime") == {"entries": {}, "layers": []}


# -- logging -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("query", "changed"), [
    ("", {}),
    ("?level=", {}),
    ("?paths=", {}),
    ("?upstream=debug", {"upstream": "debug"}),
    ("?paths=admin:trace,config:off", {"admin": "trace", "config": "off"}),
    ("?level=error", dict.fromkeys(COMPONENTS, "error")),
])
def test_levels_are_shown_and_changed(
    rig: AdminRig, levels: None, query: str, changed: Dict[str, str]
) -> None:
    answer = rig.ask("/logging" + query, "POST")
    assert answer.status == 200
    wanted = {**dict.fromkeys(COMPONENTS, "info"), **changed}
    listed = "".join(f"  {name}: {wanted[name]}\n" for name in COMPONENTS)
    assert answer.body.decode() == f"active loggers:\n{listed}\n"


@pytest.mark.parametrize(("query", "error"), [
    ("level=loud", "unknown logger level"),
    ("level=warn", "unknown logger level"),
    ("level=Debug", "unknown logger level"),
    ("nosuch=debug", "unknown logger name"),
    ("admin=loud", "unknown logger level"),
    ("paths=admin", "empty logger name or empty logger level"),
    ("paths=:debug", "empty logger name or empty logger level"),
    ("paths=admin:debug,nosuch:off", "unknown logger name"),
    ("paths=admin:debug,config:loud", "unknown logger level"),
    ("paths=admin:debug,", "empty logger name or empty logger level"),
    ("group=admin:info", "group parameter requires fine-grain logging to be enabled"),
    ("level=debug&admin=info", "invalid number of parameters"),
])
def test_a_bad_level_is_400_with_usage_and_changes_nothing(
    rig: AdminRig, levels: None, query: str, error: str
) -> None:
    answer = rig.ask("/logging?" + query, "POST")
    body = answer.body.decode()
    assert answer.status == 400
    assert body.startswith(f"error: {error}\n\nusage: /logging?<name>=<level> (change single level)\n")
    assert "levels: trace debug info warning error critical off \nactive loggers:\n" in body
    assert all(component_logger(name).level == 20 for name in COMPONENTS)


# -- stats ---------------------------------------------------------------------------------------------------

def test_stats_in_each_format(rig: AdminRig) -> None:
    assert rig.text("/stats?filter=^server.live$") == "server.live: 0\n"
    answer = rig.ask("/stats?format=json&filter=^server.live$")
    assert (answer.content_type, answer.body) == (JSON, b'{"stats":[{"name":"server.live","value":0}]}')
    for path in ("/stats/prometheus?", "/stats?format=prometheus&type=Counters&"):
        shown = rig.text(path + "filter=^server.live$")
        assert shown == "# TYPE envoy_server_live gauge\nenvoy_server_live{} 0\n"
    page = rig.ask("/stats?format=html&filter=^server.live$")
    assert page.content_type == HTML and "<pre>server.live: 0\n</pre>" in page.body.decode()
    assert "http-equiv='refresh'" in rig.text("/stats?format=active-html")


def test_the_stats_page_does_not_let_markup_through(rig: AdminRig) -> None:
    page = rig.text("/stats?format=html&filter=%27%3E%3Cscript%3E")
    assert "<script>" not in page and "&#x27;&gt;&lt;script&gt;" in page


@pytest.mark.parametrize(("target", "start"), [
    ("/stats?format=xml", "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n"),
    ("/stats?type=Bogus", "invalid &type= param"),
    ("/stats?histogram_buckets=bogus", "usage: /stats?histogram_buckets=("),
    ("/stats?filter=*(", "Invalid re2 regex: no argument for repetition operator: *"),
    ("/stats/prometheus?filter=*(", "Invalid re2 regex: no argument for repetition operator: *"),
    ("/stats/prometheus?histogram_buckets=detailed", "unsupported prometheus histogram bucket mode"),
    ("/stats?format=prometheus&histogram_buckets=disjoint", "unsupported prometheus histogram bucket mode"),
])
def test_bad_stats_queries_are_400(rig: AdminRig, target: str, start: str) -> None:
    answer = rig.ask(target)
    assert answer.status == 400 and answer.body.decode().startswith(start)


def test_reset_counters_leaves_gauges_alone(rig: AdminRig) -> None:
    scope = rig.server.stats.scope("tcp.x")
    scope.counter("c").inc(3)
    scope.gauge("g").set(4)
    assert rig.text("/reset_counters", "POST") == "OK\n"
    assert rig.text("/stats?filter=^tcp.x") == "tcp.x.c: 0\ntcp.x.g: 4\n"


# -- inventory -----------------------------------------------------------------------------------------------

def test_listeners_as_text_and_json(rig: AdminRig) -> None:
    assert rig.text("/listeners") == "in::127.0.0.1:7001\nout::127.0.0.1:7002\nout::[::1]:7002\n"
    assert rig.text("/listeners?format=xml") == rig.text("/listeners")
    assert rig.json("/listeners?format=json") == {"listener_statuses": [
        {"name": "in", "local_address": {"socket_address": {"address": "127.0.0.1", "port_value": 7001}}},
        {
            "name": "out", "local_address": {"socket_address": {"address": "127.0.0.1", "port_value": 7002}},
            "additional_local_addresses": [{"socket_address": {"address": "::1", "port_value": 7002}}],
        },
    ]}


def test_clusters_as_text(rig: AdminRig) -> None:
    lines = rig.text("/clusters?filter=^api$").splitlines()
    assert lines[:10] == [
        "api::observability_name::alt",
        "api::default_priority::max_connections::1024",
        "api::default_priority::max_pending_requests::1024",
        "api::default_priority::max_requests::1024",
        "api::default_priority::max_retries::7",
        "api::high_priority::max_connections::1024",
        "api::high_priority::max_pending_requests::1024",
        "api::high_priority::max_requests::1024",
        "api::high_priority::max_retries::3",
        "api::added_via_api::false",
    ]
    assert [line.replace("api::127.0.0.1:8003::", "") for line in lines[10:]] == [
        "cx_active::0", "cx_connect_fail::0", "cx_total::0", "rq_active::0", "rq_error::0",
        "rq_pending_active::0", "rq_success::0", "rq_timeout::0", "rq_total::0", "hostname::a.test",
        "health_flags::/failed_eds_health",
        "weight::1", "region::", "zone::", "sub_zone::", "canary::false", "priority::0", "success_rate::-1",
        "local_origin_success_rate::-1",
    ]


def test_clusters_as_json_leave_out_what_is_zero(rig: AdminRig) -> None:
    cluster = rig.server.clusters.get("web")
    assert cluster is not None
    cluster.hosts[0].counters.cx_total = 2
    cluster.hosts[0].counters.cx_active = 1
    api, web = rig.json("/clusters?format=json")["cluster_statuses"]
    assert list(web) == ["name", "host_statuses", "circuit_breakers", "observability_name"]
    first, second = web["host_statuses"]
    assert list(first) == ["address", "stats", "health_status", "weight", "locality"]
    assert first["stats"] == [
        {"name": "cx_connect_fail"}, {"value": "2", "name": "cx_total"}, {"name": "rq_error"},
        {"name": "rq_success"}, {"name": "rq_timeout"}, {"name": "rq_total"},
        {"type": "GAUGE", "value": "1", "name": "cx_active"},
        {"type": "GAUGE", "name": "rq_active"}, {"type": "GAUGE", "name": "rq_pending_active"},
    ]
    assert second["weight"] == 3
    assert api["observability_name"] == "alt"
    assert api["host_statuses"][0]["health_status"] == {"eds_health_status": "UNHEALTHY"}
    assert api["host_statuses"][0]["hostname"] == "a.test"
    assert [limits.get("priority") for limits in api["circuit_breakers"]["thresholds"]] == [None, "HIGH"]


def test_clusters_can_be_filtered(rig: AdminRig) -> None:
    assert rig.text("/clusters?filter=nosuch") == ""
    assert rig.json("/clusters?filter=nosuch&format=json") == {}
    assert {line.partition(":")[0] for line in rig.text("/clusters?filter=e").splitlines()} == {"web"}
    answer = rig.ask("/clusters?filter=*(")
    assert (answer.status, answer.body) == (400, b"Invalid re2 regex")


def test_certs_come_from_the_server(rig: AdminRig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rig.text("/certs") == '{\n "certificates": []\n}\n'
    monkeypatch.setattr(rig.server, "certificates", lambda: [{"cert_chain": []}])
    assert rig.json("/certs") == {"certificates": [{"cert_chain": []}]}


# -- config_dump ---------------------------------------------------------------------------------------------

def _type(name: str) -> str:
    return "type.googleapis.com/envoy.admin.v3." + name


def test_the_whole_dump_has_envoys_sections(rig: AdminRig) -> None:
    configs = rig.json("/config_dump")["configs"]
    assert [one["@type"] for one in configs] == [_type(name) for name in (
        "BootstrapConfigDump", "ClustersConfigDump", "ListenersConfigDump", "SecretsConfigDump"
    )]
    boot, clusters, listeners, _ = configs
    assert boot["last_updated"] == "2027-01-15T08:00:00.250Z"
    assert boot["bootstrap"]["static_resources"]["clusters"][0]["name"] == "web"
    assert boot["bootstrap"]["node"]["id"] == "me"
    assert [one["cluster"]["name"] for one in clusters["static_clusters"]] == ["api", "web"]
    first = listeners["static_listeners"][0]
    assert list(first["listener"])[:2] == ["@type", "name"] and first["listener"]["name"] == "in"
    loaded = bootstrap()["static_resources"]["listeners"][0]
    assert first["listener"]["filter_chains"] == loaded["filter_chains"]


def test_one_list_of_the_dump(rig: AdminRig) -> None:
    configs = rig.json("/config_dump?resource=static_listeners")["configs"]
    assert [one["@type"] for one in configs] == [_type("ListenersConfigDump.StaticListener")] * 2
    assert rig.json("/config_dump?resource=dynamic_listeners") == {}
    assert rig.json("/config_dump?resource=static_secrets") == {}


def test_masks_pick_fields(rig: AdminRig) -> None:
    assert rig.json("/config_dump?resource=static_clusters&mask=cluster.name")["configs"][0] == {
        "@type": _type("ClustersConfigDump.StaticCluster"),
        "cluster": {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "api"},
    }
    assert rig.json("/config_dump?mask=bootstrap.node.id") == {
        "configs": [{"@type": _type("BootstrapConfigDump"), "bootstrap": {"node": {"id": "me"}}}]
    }


def test_names_must_match_as_a_whole(rig: AdminRig) -> None:
    _, clusters, listeners, _ = rig.json("/config_dump?name_regex=we.")["configs"]
    assert [one["cluster"]["name"] for one in clusters["static_clusters"]] == ["web"]
    assert "static_listeners" not in listeners
    assert rig.json("/config_dump?resource=static_clusters&name_regex=we") == {}


def test_endpoints_are_dumped_when_asked_for(rig: AdminRig) -> None:
    assert rig.ask("/config_dump?resource=static_endpoint_configs").status == 404
    api, web = rig.json("/config_dump?include_eds&resource=static_endpoint_configs")["configs"]
    assert api["endpoint_config"]["endpoints"][0]["lb_endpoints"] == [{
        "endpoint": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 8003}},
            "health_check_config": {}, "hostname": "a.test",
        },
        "health_status": "UNHEALTHY", "load_balancing_weight": 1,
    }]
    members = web["endpoint_config"]["endpoints"][0]["lb_endpoints"]
    assert [one["load_balancing_weight"] for one in members] == [1, 3]
    assert web["endpoint_config"]["policy"] == {"overprovisioning_factor": 140}
    assert len(rig.json("/config_dump?include_eds")["configs"]) == 5


@pytest.mark.parametrize(("query", "status", "start"), [
    ("resource=bogus", 404, "bogus not found in config dump"),
    ("resource=bootstrap", 400, "bootstrap is not a repeated field. Use ?mask=bootstrap to get only"),
    ("resource=version_info", 400, "version_info is not a repeated field."),
    ("mask=bogus", 400, "FieldMask bogus could not be successfully applied to any configs."),
    ("mask=bootstrap,static_clusters", 400, "FieldMask bootstrap,static_clusters could not be"),
    ("mask=static_listeners.listener.name", 400, "FieldMask static_listeners.listener.name could not be"),
    ("resource=static_listeners&mask=bogus", 400, 'FieldMask paths: "bogus"\n could not be successfully'),
    ("resource=static_listeners&mask=listener", 400, 'FieldMask paths: "listener"\n could not be'),
    ("name_regex=*(", 400, "INVALID_ARGUMENT: Error while parsing name_regex from *(: no argument for"),
])
def test_bad_dump_queries_say_what_is_wrong(rig: AdminRig, query: str, status: int, start: str) -> None:
    answer = rig.ask("/config_dump?" + query)
    assert (answer.status, answer.content_type) == (status, PLAIN)
    assert answer.body.decode().startswith(start)


# -- actions -------------------------------------------------------------------------------------------------

def _drained(rig: AdminRig) -> Dict[str, bool]:
    return {listener.name: listener.drain.draining for listener in rig.server.listeners.listeners}


def _stopped(rig: AdminRig, monkeypatch: pytest.MonkeyPatch) -> List[bool]:
    calls: List[bool] = []
    monkeypatch.setattr(
        rig.server.listeners, "stop_listening", lambda inbound_only, drain_time_left=None: calls.append(inbound_only)
    )
    return calls


def test_drain_stops_listening_and_asks_connections_to_leave(
    rig: AdminRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = _stopped(rig, monkeypatch)
    assert rig.text("/drain_listeners?inboundonly", "POST") == "OK\n"
    assert (stopped, _drained(rig)) == ([True], {"in": True, "out": False})
    assert rig.text("/drain_listeners", "POST") == "OK\n"
    assert (stopped, _drained(rig)) == ([True, False], {"in": True, "out": True})


def test_a_graceful_drain_listens_on_for_the_drain_time(
    rig: AdminRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = _stopped(rig, monkeypatch)
    assert rig.text("/drain_listeners?graceful", "POST") == "OK\n"
    rig.advance(19.9)
    assert (stopped, _drained(rig)) == ([], {"in": True, "out": True})
    rig.advance(0.2)
    assert stopped == [False]


def test_skip_exit_never_stops_listening(rig: AdminRig, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = _stopped(rig, monkeypatch)
    assert rig.text("/drain_listeners?graceful&skip_exit", "POST") == "OK\n"
    rig.advance(60)
    assert (stopped, _drained(rig)) == ([], {"in": True, "out": True})


def test_reopen_logs_reopens_the_access_logs(rig: AdminRig, tmp_path: Any) -> None:
    path = tmp_path / "log"
    sink = rig.server.access_logs.sinks.file(str(path))
    path.rename(tmp_path / "old")
    assert rig.text("/reopen_logs", "POST") == "OK\n"
    sink.write("line\n")
    sink.flush()
    assert path.read_text() == "line\n"


# -- connections ---------------------------------------------------------------------------------------------

def test_connections_say_where_they_are_and_who_holds_them(rig: AdminRig) -> None:
    assert rig.text("/connections") == "no connections\n"
    assert rig.json("/connections?format=json") == {"total": 0, "shown": 0, "connections": []}
    rig.client()
    rig.turn()
    connection = rig.connections[0]
    connection.pause_reading("a holder")
    rig.clock.advance(2.5)
    rig.turn(1)
    facts = json.loads(rig.text("/connections?format=json"))["connections"][0]
    assert (facts["id"], facts["peer_id"]) == (0, None)
    assert (facts["side"], facts["listener"]) == ("downstream", "admin")
    assert (facts["age_s"], facts["reading_paused_by"], facts["filters"]) == (2.5, ["a holder"], ["admin"])
    assert facts["write_buffer"] == {"bytes": 0, "limit": 1048576, "above_high": False}
    line = rig.text("/connections")
    assert line.startswith("[C0] downstream admin 127.0.0.1:9901 <-> 127.0.0.1:50000 read=open write=open ")
    assert "paused by a holder" in line and "parked" not in line and "closing" not in line
    connection.resume_reading("a holder")
