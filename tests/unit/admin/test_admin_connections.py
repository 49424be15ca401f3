"""/connections and /connections/ID: what is listed, what is said of one, how one is ended."""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, List

import pytest

from proxy_core.admin.connection_rows import STATES
from proxy_core.buffer import Buffer
from tests.unit.admin.proxied_kit import Parking, ProxiedRig, Watching


NewProxy = Callable[..., ProxiedRig]


def ids(rows: List[Any]) -> List[Any]:
    return [one["id"] for one in rows]


# -- the list ------------------------------------------------------------------------------------------------

def test_both_halves_of_a_pair_say_where_they_come_from_and_go(proxy: ProxiedRig) -> None:
    client, _ = proxy.pair()
    down, up = proxy.rows()
    assert (down["side"], up["side"]) == ("downstream", "upstream")
    assert (down["peer_id"], up["peer_id"]) == (up["id"], down["id"])
    for one in (down, up):
        assert (one["listener"], one["cluster"], one["host"]) == ("main", "c", f"127.0.0.1:{proxy.backend.port}")
        assert (one["state"], one["states"]) == ("open", ["open"])
    assert down["remote_address"] == "127.0.0.1:%d" % client.sock.getsockname()[1]


@pytest.mark.parametrize("query, sides", [
    ("", ["downstream", "upstream"]),
    ("&side=upstream", ["upstream"]),
    ("&listener=main", ["downstream", "upstream"]),
    ("&listener=other", []),
    ("&cluster=c&side=downstream", ["downstream"]),
    ("&cluster=d", []),
    ("&source=127.0.0.0/8", ["downstream", "upstream"]),
    ("&source=127.0.0.1", ["downstream", "upstream"]),
    ("&source=10.0.0.0/8", []),
    ("&source=::/0", []),
    ("&state=open", ["downstream", "upstream"]),
    ("&state=paused", []),
    ("&limit=1", ["downstream"]),
    ("&limit=0", ["downstream", "upstream"]),
    ("&sort=age", ["downstream", "upstream"]),
])
def test_the_list_shows_what_is_asked_for(proxy: ProxiedRig, query: str, sides: List[str]) -> None:
    proxy.pair()
    assert [one["side"] for one in proxy.rows(query)] == sides


@pytest.mark.parametrize("query, text", [
    ("state=half", "state: expected connecting or flushing or "),
    ("side=left", "side: expected downstream or upstream, found 'left'"),
    ("sort=size", "sort: expected id or age or buffered or activity, found 'size'"),
    ("limit=-1", "limit: expected a whole number, found '-1'"),
    ("limit=9999999999", "limit: expected a whole number"),
    ("source=here", "source: expected an IP address or a network such as 10.0.0.0/8, found 'here'"),
    ("listner=a", "unknown parameter 'listner'; there are: format, listener, "),
    ("source=%1b[2J", "source: expected an IP address or a network such as 10.0.0.0/8, found '\\x1b[2J'"),
])
def test_a_bad_question_is_answered_with_a_sentence(proxy: ProxiedRig, query: str, text: str) -> None:
    answer = proxy.ask(f"/connections?{query}")
    assert answer.status == 400 and answer.body.decode().startswith(text)


def test_the_text_says_how_many_more_there_are(proxy: ProxiedRig) -> None:
    proxy.pair()
    lines = proxy.text("/connections?limit=1").splitlines()
    assert len(lines) == 2 and lines[1] == "and 1 more; limit=0 shows all"
    assert proxy.json("/connections?format=json&limit=1")["total"] == 2


def test_orders_put_the_greatest_first_and_those_alike_in_the_order_they_came(proxy: ProxiedRig) -> None:
    proxy.pair()
    proxy.advance(1)
    proxy.pair()
    proxy.advance(1)
    first_down, first_up, second_down, second_up = proxy.connections
    first_up.last_read = proxy.server.reactor.now
    second_down.write_buffer.append(b"12345")
    assert ids(proxy.rows("&sort=activity"))[0] == first_up.id
    assert ids(proxy.rows("&sort=buffered"))[0] == second_down.id
    assert ids(proxy.rows("&sort=age")) == [first_down.id, first_up.id, second_down.id, second_up.id]
    second_down.write_buffer.clear()


# -- states --------------------------------------------------------------------------------------------------

def test_a_half_closed_pair_is_found_by_its_state(proxy: ProxiedRig) -> None:
    client, server = proxy.pair()
    client.finish()
    proxy.until(lambda: server.ended)
    down, up = proxy.rows("&state=half_closed")
    assert (down["read_state"], up["write_state"]) == ("ended", "ended")


def test_a_slow_reader_is_above_high_and_the_other_half_is_paused(new_proxy: NewProxy) -> None:
    rig = new_proxy(per_connection_buffer_limit_bytes=65536)
    rig.put_in_front("watching", Watching)
    client, server = rig.pair()
    client.reading = False
    server.send(b"x" * 8_000_000)
    rig.until(lambda: rig.rows("&state=above_high"))
    down, up = rig.rows("&state=above_high")[0], rig.rows("&state=paused")[0]
    assert (down["side"], up["side"]) == ("downstream", "upstream")
    rig.clock.advance(3)
    rig.server.reactor.turn(0)
    answer = rig.json(f"/connections/{down['id']}?format=json")
    assert answer["sending"]["above_high_s"] >= 3 and answer["sending"]["buffered"] > 65536
    assert answer["summary"].startswith("The peer reads too slowly: ")
    other = rig.json(f"/connections/{up['id']}?format=json")
    assert other["summary"].startswith("Reading has been paused for 3.0s by: downstream write buffer over its limit; in ")
    assert other["receiving"]["paused_by"] == ["downstream write buffer over its limit"]


def test_every_state_of_a_parked_chain_is_listed_the_most_telling_first(new_proxy: NewProxy) -> None:
    rig = new_proxy()
    rig.put_in_front("forgetful", Parking)
    client, _ = rig.pair()
    client.send(b"PING")
    rig.until(lambda: rig.rows("&state=parked"))
    assert rig.rows("&state=stalled") == []
    rig.advance(1.5)
    one = rig.rows("&state=stalled")[0]
    assert (one["state"], one["states"]) == ("stalled", ["stalled", "parked"])
    assert (one["parked_by"], one["stalled"]) == ("forgetful", True)
    assert "STALLED: parked by forgetful for 1.5s" in rig.text("/connections")


# -- one in full ---------------------------------------------------------------------------------------------

def full(proxy: ProxiedRig, side: str = "downstream") -> Any:
    return proxy.json(f"/connections/{proxy.rows('&side=' + side)[0]['id']}?format=json")


def test_the_full_answer_says_why_this_chain_cluster_and_host(proxy: ProxiedRig) -> None:
    proxy.pair()
    for side in ("downstream", "upstream"):
        upstream = full(proxy, side)["upstream"]
        assert upstream["why_cluster"] == "the filter's only cluster"
        assert upstream["why_host"] == "ROUND_ROBIN: it was its turn, among 1 healthy of 1 hosts"
        assert (upstream["state"], upstream["attempts"], upstream["failure"]) == ("connected", 1, "")
    assert full(proxy)["chain"] == {"name": "", "why": ["the listener's only filter chain, for every connection"]}
    assert full(proxy, "upstream")["chain"] is None


def test_a_chain_that_was_chosen_is_explained_with_what_ruled_out_the_others(new_proxy: NewProxy) -> None:
    echo = {"name": "echo", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}}
    here = {"source_prefix_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}
    there = {"source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    rig = new_proxy(filter_chains=[
        {"name": "there", "filter_chain_match": there, "filters": [echo]},
        {"name": "here", "filter_chain_match": here, "filters": [echo]},
    ])
    rig.connect()
    rig.until(rig.rows)
    chain = full(rig)["chain"]
    assert chain["name"] == "here" and chain["why"][0].startswith("filter_chains[1] 'here' for 127.0.0.1:")
    assert chain["why"][1] == "not filter_chains[0] 'there': source_prefix_ranges: wants 10.0.0.0/8, found 127.0.0.1"


def test_timers_have_the_time_left_and_the_setting_behind_them(new_proxy: NewProxy) -> None:
    rig = new_proxy({"proxy_core.half_closed_timeout_ms": 40000}, proxy={
        "idle_timeout": "90s", "max_downstream_connection_duration": "1000s",
    })
    client, server = rig.pair()
    rig.advance(10)
    path = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config"
    assert full(rig)["timers"] == [
        {"name": "idle_timeout", "left_s": 80.0, "source": f"idle_timeout 90s, configured at {path}.idle_timeout"},
        {"name": "max_downstream_connection_duration", "left_s": 990.0,
         "source": f"max_downstream_connection_duration 1000s, configured at {path}.max_downstream_connection_duration"},
    ]
    client.finish()
    rig.until(lambda: server.ended)
    first = full(rig)["timers"][0]
    assert first["source"] == "half_closed_timeout 40s, runtime key proxy_core.half_closed_timeout_ms"


def test_a_default_is_called_one_also_before_its_timer_is_set(proxy: ProxiedRig) -> None:
    proxy.pair()
    assert full(proxy)["timers"] == [{"name": "idle_timeout", "left_s": 3600.0, "source": "idle_timeout 1h, default"}]


def test_a_timer_that_nobody_explains_is_named_after_what_it_calls(proxy: ProxiedRig) -> None:
    proxy.pair()
    connection = proxy.connections[0]
    proxy.server.reactor.after(5, connection.settle, connection)
    assert full(proxy)["timers"][0] == {"name": "Connection.settle", "left_s": 5.0, "source": "set in code"}


def test_a_connection_that_is_being_made_has_its_timeout_and_its_client_waits_for_it(new_proxy: NewProxy) -> None:
    rig = new_proxy(backend={"connect_timeout": "7s", "load_assignment": {"cluster_name": "c", "endpoints": [
        {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "192.0.2.1", "port_value": 9}}}}]},
    ]}})
    rig.connect()
    rig.until(rig.rows)
    up = rig.rows("&state=connecting")
    if not up:  # this machine has no route there and knows at once
        pytest.skip("192.0.2.1 does not let a connection hang here")
    answer = full(rig, "upstream")
    assert answer["timers"][0]["source"] == "connect_timeout 7s, configured at cluster c.connect_timeout"
    down = full(rig)
    assert down["receiving"]["paused_by"] == ["waiting for the upstream connection"]
    assert down["upstream"]["state"] == "not connected" and down["peer"]["id"] == up[0]["id"]


def test_a_connection_of_a_pool_has_no_other_half(new_proxy: NewProxy) -> None:
    rig = new_proxy(backend={"preconnect_policy": {"per_upstream_preconnect_ratio": 2.0}})
    rig.pair()
    rig.until(lambda: len(rig.rows("&side=upstream")) == 2)
    spare = [one for one in rig.rows("&side=upstream") if one["peer_id"] is None]
    assert len(spare) == 1 and spare[0]["cluster"] == "c" and spare[0]["host"].endswith(f":{rig.backend.port}")
    answer = rig.json(f"/connections/{spare[0]['id']}?format=json")
    assert answer["peer"] is None and answer["upstream"]["why_host"].startswith("ROUND_ROBIN")
    page = rig.text(f"/connections/{spare[0]['id']}")
    assert "connected, by a pool" in page or "not connected, by a pool" in page


def test_a_parked_chain_says_what_would_wake_it(new_proxy: NewProxy) -> None:
    rig = new_proxy()
    rig.put_in_front("waiting", lambda: Parking("the answer of a friend", 20.0))
    client, _ = rig.pair()
    client.send(b"PING")
    rig.until(lambda: rig.rows("&state=parked"))
    rig.advance(5)
    answer = full(rig)
    assert answer["parked"]["by"] == "waiting" and not answer["parked"]["stalled"]
    assert answer["parked"]["holds"] == [{"reason": "the answer of a friend", "left_s": 15.0}]
    assert answer["parked"]["wakes_by"] == [
        "the answer of a friend", "more bytes from the peer, of which none came for 5.0s",
    ]
    assert {"name": "the answer of a friend", "left_s": 15.0, "source": "set by a filter"} in answer["timers"]
    stages = [(one["name"], one["parked"]) for one in answer["pipeline"]]
    assert stages == [("waiting", True), ("envoy.filters.network.tcp_proxy", False)]
    page = rig.text(f"/connections/{answer['id']}")
    assert "-> waiting   PARKED the chain" in page and "would be woken by the answer of a friend" in page


def test_bytes_in_the_kernel_are_counted_where_the_system_tells(proxy: ProxiedRig) -> None:
    client, _ = proxy.pair()
    proxy.connections[0].pause_reading("a test")
    client.send(b"12345")
    found = full(proxy)["receiving"]["kernel_bytes"]
    assert found == (5 if sys.platform == "linux" else None)
    proxy.connections[0].resume_reading("a test")


def test_the_page_is_the_same_answer_for_people(proxy: ProxiedRig) -> None:
    client, server = proxy.pair()
    server.send(b"hello")
    proxy.until(lambda: client.got)
    down, up = proxy.rows()
    lines = proxy.text(f"/connections/C{down['id']}").splitlines()
    assert lines[0] == f"C{down['id']}: downstream, open, 0.0s old"
    assert lines[2] == f"  listener main -> cluster c, host {down['host']}; the other half is C{up['id']}"
    assert lines[4] == "Open; the last byte moved 0.0s ago; in 1h at the latest: idle_timeout."
    assert any(line.startswith("sending    open; 5 bytes, the last 0.0s ago; buffered 0 B of 1 MiB") for line in lines)
    assert "  -> envoy.filters.network.tcp_proxy: connected, attempts 1 of 1" in lines
    assert "  in       1h  idle_timeout 1h, default" in lines


@pytest.mark.parametrize("path, status, text", [
    ("/connections/x", 400, "'x' is not the id of a connection: expected a number"),
    ("/connections/", 400, "'' is not the id of a connection: expected a number"),
    ("/connections/1234", 404, "There is no connection 1234: it is neither open nor among the last 0 that ended."),
    ("/connections/1/2", 404, "invalid path. "),
])
def test_a_connection_that_is_not_there_is_a_404_with_a_sentence(
    proxy: ProxiedRig, path: str, status: int, text: str
) -> None:
    answer = proxy.ask(path)
    assert answer.status == status and answer.body.decode().startswith(text)


# -- those that ended ----------------------------------------------------------------------------------------

def test_of_an_ended_connection_it_is_known_who_ended_it_and_why(proxy: ProxiedRig) -> None:
    client, server = proxy.pair()
    server.send(b"hello")
    proxy.until(lambda: client.got)
    down, up = proxy.rows()
    proxy.advance(2)
    server.reset()
    proxy.until(lambda: not proxy.rows())
    proxy.advance(3)
    closed = {one["id"]: one for one in proxy.rows("&state=closed")}
    assert list(closed) in ([down["id"], up["id"]], [up["id"], down["id"]])
    theirs, ours = closed[up["id"]], closed[down["id"]]
    assert (theirs["closed_by"], theirs["closed_how"], theirs["bytes_in"]) == ("peer", "RST", 5)
    assert ours["reason"] == "we reset it (RST) (the upstream reset its connection)"
    assert (ours["duration_s"], ours["closed_s"], ours["response_flags"]) == (2.0, 3.0, ["UR"])
    page = proxy.text(f"/connections/{up['id']}")
    assert "It ended 3.0s ago, after 2.0s: the peer reset it (RST)" in page
    assert proxy.rows("&state=closed&side=upstream&cluster=c&limit=5")[0]["id"] == up["id"]
    assert proxy.rows("&state=closed&listener=other") == []


def test_a_timeout_names_the_setting_that_ended_the_connection(new_proxy: NewProxy) -> None:
    rig = new_proxy(proxy={"idle_timeout": "30s"})
    rig.pair()
    rig.advance(31)
    rig.until(lambda: not rig.rows())
    one = rig.rows("&state=closed&side=downstream")[0]
    assert (one["closed_by"], one["closed_how"], one["detail"]) == ("local", "timeout", "tcp_session_idle_timeout")
    assert one["config"].startswith("idle_timeout 30s, configured at static_resources.listeners[0]")


def test_a_socket_that_no_chain_is_for_is_among_those_that_ended(new_proxy: NewProxy) -> None:
    there = {"source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    echo = {"name": "echo", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}}
    rig = new_proxy(filter_chains=[{"filter_chain_match": there, "filters": [echo]}])
    client = rig.connect()
    rig.until(lambda: client.over)
    one = rig.rows("&state=closed")[0]
    assert (one["id"], one["detail"], one["response_flags"]) == (None, "filter_chain_not_found", ["NR"])
    assert rig.text("/connections?state=closed").startswith("[-] downstream main 127.0.0.1:")


def test_the_admins_own_connections_are_not_remembered(proxy: ProxiedRig) -> None:
    peer = proxy.client()
    proxy.turn()
    peer.close()
    proxy.until(lambda: not proxy.connections)
    assert proxy.rows("&state=closed") == []


def test_every_state_can_be_asked_for(proxy: ProxiedRig) -> None:
    proxy.pair()
    for state in STATES:
        assert proxy.ask(f"/connections?state={state}").status == 200


# -- ending one ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("side", ["downstream", "upstream"])
def test_delete_resets_both_halves(proxy: ProxiedRig, side: str) -> None:
    client, server = proxy.pair()
    chosen = proxy.rows(f"&side={side}")[0]["id"]
    answer = proxy.delete(f"/connections/{chosen}")
    assert answer.status == 200 and json.loads(answer.body) == {"closed": chosen, "how": "reset"}
    proxy.until(lambda: client.was_reset and server.was_reset and not proxy.rows())
    one = proxy.json(f"/connections/{chosen}?format=json")
    assert (one["detail"], one["config"]) == ("admin_delete_connection", f"DELETE /connections/{chosen}")


def test_delete_with_graceful_sends_what_is_queued_and_ends_in_order(proxy: ProxiedRig) -> None:
    client, server = proxy.pair()
    chosen = proxy.connections[0]
    chosen.write(Buffer(b"last words"), False)
    answer = proxy.delete(f"/connections/{chosen.id}?graceful")
    assert json.loads(answer.body) == {"closed": chosen.id, "how": "graceful"}
    proxy.until(lambda: client.ended and server.ended)
    assert client.got == b"last words" and not client.was_reset and not server.was_reset


def test_what_can_not_be_deleted_is_said(proxy: ProxiedRig) -> None:
    assert proxy.delete("/connections/99").status == 404
    proxy.client()
    proxy.turn()
    own = proxy.rows()[0]
    answer = proxy.delete(f"/connections/{own['id']}")
    assert (answer.status, answer.body) == (409, b"Connection %d is one of this admin's own.\n" % own["id"])
    assert proxy.ask("/connections/1", "POST").status == 405


# -- read-only -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("setting", [True, "true", "yes", 1])
def test_a_read_only_admin_shows_everything_and_changes_nothing(new_proxy: NewProxy, setting: Any) -> None:
    rig = new_proxy({"proxy_core.admin_read_only": setting})
    rig.pair()
    chosen = rig.rows()[0]["id"]
    for target, method in ((f"/connections/{chosen}", "DELETE"), ("/quitquitquit", "POST"), ("/runtime_modify", "POST")):
        answer = rig.ask(target, method)
        assert answer.status == 403 and answer.after is None
        assert answer.body.decode() == f"This admin is read-only (runtime key proxy_core.admin_read_only): {method} is refused.\n"
    assert len(rig.rows()) == 2 and rig.ask("/stats").status == 200


@pytest.mark.parametrize("setting", [False, "false", 0, "off", ""])
def test_an_admin_that_is_not_read_only_says_so_in_any_spelling(new_proxy: NewProxy, setting: Any) -> None:
    rig = new_proxy({"proxy_core.admin_read_only": setting})
    assert rig.ask("/healthcheck/ok", "POST").status == 200
