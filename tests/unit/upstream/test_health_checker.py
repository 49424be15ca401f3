"""A cluster's health checks against hosts that the test plays: rounds, flags, stats, events, connections, and their end."""

from __future__ import annotations

import errno
import json
from typing import Any, Callable, Iterator, List, Optional

import pytest

from proxy_core.errors import ConfigError
from proxy_core.upstream.health.tcp import TcpDialogue
from proxy_core.upstream.host import PENDING_DYNAMIC_REMOVAL, Host
from tests.support.engine import Json
from tests.support.peers import RefusedPort
from tests.support.watched import REDIS, Backend, Watched, check

Make = Callable[..., Watched]
PING = {"tcp_health_check": {"send": {"text": "50"}, "receive": [{"text": "4f4b"}]}}


@pytest.fixture
def watch() -> Iterator[Make]:
    """Makes watched clusters and closes them, which checks that nothing of them is left."""
    made: List[Watched] = []

    def make(*backends: Backend, **fields: Any) -> Watched:
        made.append(Watched(*backends, **fields))
        return made[-1]
    yield make
    for one in made:
        one.close()


def replying(answer: Optional[bytes]) -> Backend:
    return Backend(lambda got: answer)


def http_server(status: int = 200, *headers: str) -> Backend:
    return replying("".join([f"HTTP/1.1 {status} X\r\n", *(f"{one}\r\n" for one in headers), "content-length: 0\r\n\r\n"]).encode())


# -- the first round ---------------------------------------------------------------------------------------------------

def test_hosts_have_failed_until_their_first_success_and_readiness_waits_for_each_ones_result(watch: Make) -> None:
    refused = RefusedPort()
    good, silent = Backend(), replying(None)
    watched = watch(good, silent, ports=[refused.port], health_checks=[check(**PING, healthy_threshold=5)])
    good.answer = lambda got: b"OK"
    assert watched.flags == ["/failed_active_hc"] * 3 and watched.ready == []
    assert watched.value("membership_healthy") == 0 and watched.value("membership_total") == 3
    watched.attempts(2)
    assert watched.flags == ["healthy", "/failed_active_hc", "/failed_active_hc"] and watched.ready == []
    watched.advance(0.5)
    assert watched.flags == ["healthy", "/failed_active_hc/active_hc_timeout", "/failed_active_hc"]
    assert watched.ready == [1000.5]
    assert watched.value("membership_healthy") == watched.value("health_check.healthy") == 1
    assert watched.cluster.hosts[0].last_hc_pass_time == 1000.0
    refused.close()


def test_a_cluster_without_hosts_or_with_unchecked_ones_is_ready_at_once(watch: Make) -> None:
    assert watch(health_checks=[check(tcp_health_check={})]).ready == [1000.0]

    def unchecked(config: Json) -> None:
        config["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["health_check_config"] = {
            "disable_active_health_check": True
        }
    backend = Backend()
    watched = watch(backend, health_checks=[check(tcp_health_check={})], edit=unchecked)
    assert watched.ready == [1000.0] and watched.flags == ["healthy"]
    watched.advance(5)
    assert watched.value("health_check.attempt") == 0 and backend.peers == []


def test_initial_jitter_puts_the_first_probe_off(watch: Make) -> None:
    watched = watch(Backend(), health_checks=[check(tcp_health_check={}, initial_jitter="10s")])
    watched.turn()
    assert watched.value("health_check.attempt") == 0
    watched.advance(10)
    assert watched.value("health_check.attempt") == 1


def test_hosts_that_nobody_has_asked_yet_do_not_count_where_the_cluster_says_so(watch: Make) -> None:
    watched = watch(
        Backend(), health_checks=[check(tcp_health_check={})], common_lb_config={"ignore_new_hosts_until_first_hc": True}
    )
    assert watched.flags == ["/failed_active_hc/pending_active_hc"] and watched.value("membership_excluded") == 1
    watched.attempts(1)
    watched.turn()
    assert watched.flags == ["healthy"] and watched.value("membership_excluded") == 0


# -- changes -----------------------------------------------------------------------------------------------------------

def test_a_host_that_flaps_is_followed_and_every_change_is_told_once(watch: Make) -> None:
    backend = Backend()
    watched = watch(backend, health_checks=[check(tcp_health_check={}, healthy_threshold=2)])
    watched.attempts(1)
    for _ in range(3):
        backend.down()
        seen = []
        for _ in range(3):
            watched.advance(1)
            seen.append(watched.flags[0])
        assert seen == ["healthy", "/failed_active_hc", "/failed_active_hc"]
        backend.up()
        seen = []
        for _ in range(3):
            watched.advance(1)
            seen.append(watched.flags[0])
        assert seen == ["/failed_active_hc", "healthy", "healthy"]
    assert watched.names() == ["add_healthy_event"] + ["eject_unhealthy_event", "add_healthy_event"] * 3
    assert watched.value("health_check.attempt") == 19
    assert watched.value("health_check.failure") == watched.value("health_check.network_failure") == 9
    assert watched.value("health_check.success") == 10


def test_a_host_without_health_is_not_picked(watch: Make) -> None:
    one, two = Backend(), Backend()
    watched = watch(one, two, health_checks=[check(tcp_health_check={})])
    watched.attempts(2)
    watched.turn()
    assert {watched.cluster.pick_host() for _ in range(4)} == set(watched.hosts)
    one.down()
    watched.advance(1)
    watched.advance(1)
    assert {watched.cluster.pick_host() for _ in range(4)} == {watched.hosts[1]}


def test_a_bad_answer_acts_at_once_and_an_event_says_which_it_was(watch: Make) -> None:
    backend = http_server()
    watched = watch(backend, health_checks=[check(http_health_check={"path": "/"}, unhealthy_threshold=9)])
    watched.attempts(1)
    backend.answer = lambda got: b"HTTP/1.1 503 X\r\nx-envoy-immediate-health-check-fail: 1\r\ncontent-length: 0\r\n\r\n"
    watched.advance(1)
    assert watched.flags == ["/failed_active_hc/excluded_via_immediate_hc_fail"]
    assert watched.value("membership_excluded") == 1
    assert watched.events[-1] == {
        "health_checker_type": "HTTP",
        "host": {"socket_address": {
            "protocol": "TCP", "address": "127.0.0.1", "port_value": backend.port, "resolver_name": "", "ipv4_compat": False,
            "network_namespace_filepath": "",
        }},
        "cluster_name": "c", "eject_unhealthy_event": {"failure_type": "ACTIVE", "http_status_code": 503},
        "timestamp": "2023-11-14T22:30:01Z", "locality": {"region": "", "zone": "", "sub_zone": ""},
    }
    assert watched.value("health_check.network_failure") == 0 and watched.value("health_check.failure") == 1


def test_a_degraded_host_is_kept_for_what_the_others_cannot_take(watch: Make) -> None:
    backend = http_server(200, "x-envoy-degraded: 1")
    watched = watch(backend, health_checks=[check(http_health_check={"path": "/"})])
    watched.attempts(1)
    watched.turn()
    assert watched.flags == ["/degraded_active_hc"]
    assert watched.value("membership_degraded") == watched.value("health_check.degraded") == 1
    backend.answer = lambda got: b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n"
    watched.advance(1)
    assert watched.flags == ["healthy"] and watched.value("health_check.degraded") == 0
    assert watched.names() == ["add_healthy_event", "degraded_healthy_host", "no_longer_degraded_host"]


def test_events_have_envoys_order_of_keys(watch: Make) -> None:
    backend = http_server(200, "x-envoy-degraded: 1")
    watched = watch(backend, health_checks=[check(http_health_check={"path": "/"}, always_log_health_check_success=True)])
    watched.attempts(1)
    watched.advance(1)
    watched.hosts[0].metadata = {"envoy.lb": {"a": 1}}
    watched.advance(1)
    start, end = ["health_checker_type", "host", "cluster_name"], ["timestamp", "locality"]
    assert [list(json.loads(line)) for line in watched.sinks.lines] == [
        [*start, "add_healthy_event", *end], [*start, "timestamp", "degraded_healthy_host", "locality"],
        [*start, *end, "successful_health_check_event"],
        [*start, "timestamp", "metadata", "locality", "successful_health_check_event"],
    ]


# -- timing ------------------------------------------------------------------------------------------------------------

def test_a_timeout_closes_the_connection_and_the_next_probe_comes_an_interval_later(watch: Make) -> None:
    backend = replying(None)
    watched = watch(backend, health_checks=[check(**PING)])
    watched.until(lambda: backend.peers)
    watched.advance(0.5)
    assert backend.peers[0].over and watched.value("health_check.failure") == 1
    watched.advance(0.9)
    assert watched.value("health_check.attempt") == 1
    watched.advance(0.1)
    assert watched.value("health_check.attempt") == 2


def test_an_idle_cluster_is_asked_at_the_no_traffic_interval_until_it_has_had_a_connection(watch: Make) -> None:
    fields = {"no_traffic_interval": "60s", "interval": "1s"}
    watched = watch(Backend(), health_checks=[check(tcp_health_check={}, **fields)])
    watched.attempts(1)
    for _ in range(59):
        watched.advance(1)
    assert watched.value("health_check.attempt") == 1
    watched.cluster.stats.upstream_cx_total.inc()  # the pending probe is not brought forward, as in Envoy
    watched.advance(1)
    watched.advance(1)
    watched.advance(1)
    assert watched.value("health_check.attempt") == 4


def test_edge_intervals_are_those_of_results_that_are_not_yet_enough(watch: Make) -> None:
    backend = replying(b"OK")
    watched = watch(backend, health_checks=[check(
        **PING, healthy_threshold=2, unhealthy_interval="2s", healthy_edge_interval="3s", unhealthy_edge_interval="4s",
    )])
    watched.cluster.stats.upstream_cx_total.inc()
    at = []
    watched.attempts(1)
    for second in range(1, 16):
        before = watched.value("health_check.attempt")
        if second == 1:
            backend.down()
        if second == 6:
            backend.up()
        watched.advance(1)
        if watched.value("health_check.attempt") > before:
            at.append(second)
    # fails at 1 when the idle connection is lost: pending; 5 fails; 7, 10 are well; then every second
    assert at == [5, 7, 10, 11, 12, 13, 14, 15]
    assert watched.flags == ["healthy"]


def test_there_is_never_more_than_one_probe_of_a_host_under_way(watch: Make) -> None:
    backends = [replying(None) for _ in range(3)]
    watched = watch(*backends, health_checks=[check(**PING, timeout="10s", interval="0.1s")])
    for _ in range(20):
        watched.advance(0.5)
        assert all(len(backend.open_peers) <= 1 for backend in backends)
        assert len(watched.reactor.timers) <= 3
    assert watched.value("health_check.attempt") <= 6


# -- connections -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("fields", "answer"), [
    (PING, b"OK"), ({"http_health_check": {"path": "/"}}, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ({"custom_health_check": REDIS}, b"+PONG\r\n"),
])
def test_a_connection_is_used_again_unless_it_must_not_be(watch: Make, fields: Any, answer: bytes) -> None:
    for reuse, connections in ((True, 1), (False, 3)):
        backend = replying(answer)
        watched = watch(backend, health_checks=[check(**fields, reuse_connection=reuse)])
        watched.attempts(1)
        watched.advance(1)
        watched.advance(1)
        assert watched.value("health_check.success") == 3
        assert len(backend.peers) == connections and len(backend.open_peers) == int(reuse)


def test_a_check_that_only_connects_leaves_no_connection_open_and_sends_nothing(watch: Make) -> None:
    backend = Backend()
    watched = watch(backend, health_checks=[check(tcp_health_check={"send": {"text": "50"}})])
    watched.attempts(1)
    watched.turn()
    assert watched.flags == ["healthy"] and backend.open_peers == [] and backend.peers[0].got == b""


@pytest.mark.parametrize(("fields", "answer", "fails"), [
    (PING, b"OK", True), ({"http_health_check": {"path": "/"}}, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", False),
    ({"custom_health_check": REDIS}, b"+PONG\r\n", False),
])
def test_a_host_that_closes_between_two_probes_has_failed_a_tcp_check_only(
    watch: Make, fields: Any, answer: bytes, fails: bool
) -> None:
    backend = replying(answer)
    watched = watch(backend, health_checks=[check(**fields)])
    watched.attempts(1)
    backend.open_peers[0].finish()
    watched.turn()
    assert watched.value("health_check.failure") == int(fails)
    watched.advance(1)
    assert watched.value("health_check.success") == 2 and watched.flags == ["healthy"] and len(backend.peers) == 2


def test_noise_between_two_probes_is_overlooked_by_tcp_checks_and_spoils_the_connection_of_others(watch: Make) -> None:
    for fields, answer, connections in ((PING, b"OK", 1), ({"custom_health_check": REDIS}, b"+PONG\r\n", 2)):
        backend = replying(answer)
        watched = watch(backend, health_checks=[check(**fields)])
        watched.attempts(1)
        backend.open_peers[0].send(b"+noise\r\n")
        watched.turn()
        watched.advance(1)
        assert watched.value("health_check.failure") == 0 and len(backend.peers) == connections


@pytest.mark.parametrize("how", ["finish", "reset"])
@pytest.mark.parametrize("prefix", [b"", b"O"])
def test_an_end_instead_of_an_answer_is_a_network_failure(watch: Make, how: str, prefix: bytes) -> None:
    backend = replying(None)
    watched = watch(backend, health_checks=[check(**PING)])
    watched.until(lambda: backend.open_peers and backend.open_peers[0].got)
    peer = backend.open_peers[0]
    if prefix:
        peer.send(prefix)
        watched.turn()
    getattr(peer, how)()
    watched.attempts(1)
    assert watched.events[-1]["health_check_failure_event"] == {
        "failure_type": "NETWORK", "first_check": True, "http_status_code": 0
    }


def test_an_endpoint_may_be_asked_elsewhere_and_by_another_name(watch: Make) -> None:
    elsewhere, by_address, own = http_server(), http_server(), Backend()

    def edit(config: Json) -> None:
        members = config["load_assignment"]["endpoints"][0]["lb_endpoints"]
        members[0]["endpoint"]["health_check_config"] = {"port_value": elsewhere.port, "hostname": "h.test"}
        members[1]["endpoint"]["health_check_config"] = {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": by_address.port}}, "port_value": 1,
        }
    heard: List[bytes] = []

    def answer(got: bytes) -> bytes:
        heard.append(got)
        return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    elsewhere.answer = by_address.answer = answer
    watched = watch(own, Backend(), health_checks=[check(http_health_check={"path": "/"})], edit=edit)
    watched.backends += [elsewhere, by_address]
    watched.attempts(2)
    assert sorted(one.split(b"\r\n")[1] for one in heard) == [b"host: c", b"host: h.test"]
    assert own.peers == [] and watched.flags == ["healthy", "healthy"]


def test_without_a_descriptor_a_probe_has_failed_and_the_next_one_is_made(
    watch: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_socket(*args: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")
    backend = Backend()
    with monkeypatch.context() as patch:
        patch.setattr("proxy_core.upstream.health.probe.new_socket", no_socket)
        watched = watch(backend, health_checks=[check(tcp_health_check={})])
        watched.turn()
        assert watched.value("health_check.failure") == 1 and watched.ready == [1000.0]
    watched.advance(1)
    assert watched.flags == ["healthy"]


def test_probes_are_nobodys_traffic(watch: Make) -> None:
    watched = watch(replying(b"OK"), health_checks=[check(**PING)])
    watched.attempts(1)
    for name in ("upstream_cx_total", "upstream_cx_active", "upstream_cx_rx_bytes_total", "upstream_cx_tx_bytes_total"):
        assert watched.value(name) == 0
    assert watched.hosts[0].counters.cx_total == 0 and len(watched.table) == 0


# -- several checks ----------------------------------------------------------------------------------------------------

def test_a_host_is_healthy_while_all_checks_pass_and_each_has_stats_and_events_of_its_own(watch: Make) -> None:
    backend = http_server()
    watched = watch(backend, health_checks=[
        check(name="a", http_health_check={"path": "/"}), check(name="b", tcp_health_check={}, interval="5s"),
    ])
    watched.until(lambda: watched.ready)
    assert watched.flags == ["healthy"]
    backend.answer = lambda got: b"HTTP/1.1 500 X\r\nx-envoy-immediate-health-check-fail: 1\r\ncontent-length: 0\r\n\r\n"
    watched.advance(1)
    assert watched.flags == ["/failed_active_hc"]  # one of several does not speak for all
    values = [watched.value(f"health_check.name.{name}.{stat}") for name in "ab" for stat in ("healthy", "success", "failure")]
    assert values == [0, 1, 1, 1, 2, 0]
    assert watched.value("health_check.healthy") == 0
    assert watched.names() == ["add_healthy_event", "add_healthy_event", "eject_unhealthy_event"]
    assert watched.stats.find("cluster.c.health_check.attempt") is None


def test_a_single_check_with_a_name_counts_below_it(watch: Make) -> None:
    watched = watch(Backend(), health_checks=[check(name="solo", tcp_health_check={})])
    watched.until(lambda: watched.ready)
    assert watched.value("health_check.name.solo.success") == watched.value("health_check.name.solo.healthy") == 1
    assert watched.stats.find("cluster.c.health_check.healthy") is None


# -- coming and going --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("turns", range(8))
def test_a_cluster_that_is_removed_while_probes_are_under_way_leaves_nothing_behind(watch: Make, turns: int) -> None:
    backends = [replying(None), replying(b"OK"), Backend()]
    refused = RefusedPort()
    watched = watch(*backends, ports=[refused.port], health_checks=[check(**PING)])
    watched.turn(turns)
    watched.manager.remove("c")
    watched.turn()
    assert watched.reactor.watched == 0 and len(watched.reactor.timers) == 0
    assert all(not backend.open_peers for backend in backends)
    refused.close()


def test_hosts_that_come_are_asked_at_once_and_hosts_that_go_no_more(watch: Make) -> None:
    one, two = Backend(), Backend()
    watched = watch(one, health_checks=[check(tcp_health_check={})])
    watched.attempts(1)
    old = watched.hosts[0]
    watched.backends.append(two)
    from proxy_core.network.address import Address
    from proxy_core.upstream.discovery.members import Change
    new = Host(Address.from_ip("127.0.0.1", two.port))
    watched.cluster.apply(Change([new], [new], [old], {0}, []))
    assert watched.flags == ["/failed_active_hc"]
    watched.turn()
    assert watched.flags == ["healthy"] and watched.value("health_check.healthy") == 1
    count = len(one.peers)
    watched.advance(3)
    assert len(one.peers) == count and len(watched.reactor.timers) == 1


def test_a_host_that_was_kept_because_it_was_well_is_let_go_at_its_first_failure(
    watch: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = http_server()
    watched = watch(backend, health_checks=[check(http_health_check={"path": "/"})])
    watched.attempts(1)
    host = watched.hosts[0]
    assert watched.cluster.keeps(host) and host.flags & PENDING_DYNAMIC_REMOVAL
    released: List[Host] = []
    monkeypatch.setattr(watched.cluster.discovery, "release", released.append)
    watched.advance(1)
    assert released == [] and watched.flags == ["/pending_dynamic_removal"]
    backend.answer = lambda got: b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"
    watched.advance(1)
    assert released == [host]


def test_a_bug_in_a_kind_costs_one_probe(watch: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = watch(replying(b"OK"), health_checks=[check(**PING)])
    watched.attempts(1)
    with monkeypatch.context() as patch:
        patch.setattr(TcpDialogue, "receive", None)
        watched.advance(1)
    assert [type(error) for error in watched.errors] == [TypeError]
    watched.errors.clear()
    assert watched.value("health_check.failure") == 1
    watched.advance(1)
    assert watched.value("health_check.success") == 2


# -- configuration -----------------------------------------------------------------------------------------------------

def test_event_loggers_are_files_each_of_which_gets_every_line(watch: Make) -> None:
    sink = {"@type": "type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink"}
    loggers = [{"name": "x", "typed_config": {**sink, "event_log_path": path}} for path in ("/a", "/b")]
    watched = watch(Backend(), health_checks=[check(tcp_health_check={}, event_logger=loggers)])
    watched.attempts(1)
    assert len(watched.sinks.lines) == 3 and len(set(watched.sinks.lines)) == 1


def test_extensions_that_are_no_checks_or_no_sinks_are_refused_with_their_place() -> None:
    wrong = {"name": "x", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink",
        "event_log_path": "/x",
    }}
    with pytest.raises(ConfigError) as caught:
        Watched(health_checks=[
            check(name="a", custom_health_check=wrong), check(name="b", tcp_health_check={}, event_logger=[REDIS]),
        ])
    assert [problem.path for problem in caught.value.problems] == [
        "clusters[0].health_checks[0].custom_health_check.typed_config",
        "clusters[0].health_checks[1].event_logger[0].typed_config",
    ]


def test_a_log_that_cannot_be_opened_is_refused_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, path: str) -> Any:
        raise OSError(errno.ENOENT, "No such file or directory")
    monkeypatch.setattr("tests.support.engine.KeptLines.file", fail)
    with pytest.raises(ConfigError) as caught:
        Watched(health_checks=[check(tcp_health_check={})])
    assert str(caught.value.problems[0].path) == "clusters[0].health_checks[0].event_log_path"
    assert caught.value.problems[0].message == "unable to open file '/events': No such file or directory"
