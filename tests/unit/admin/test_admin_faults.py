"""/faults: what it lists, what it changes, and that a listener whose service is down refuses."""

from __future__ import annotations

import json
import socket
from typing import Any, Dict, Iterator, List

import pytest

from proxy_core.admin.api import Request, Response
from proxy_core.admin.routes import dispatch
from proxy_core.config.decode import decode
from proxy_core.config.model.listener import Listener as ListenerConfig
from proxy_core.listener.manager import STATIC
from proxy_core.network import sockets
from proxy_core.server.extensions import Extensions
from tests.support.peers import connect
from tests.unit.admin.admin_kit import ECHO, AdminRig, address

FAULT = "type.googleapis.com/proxy_core.filters.network.fault.v1.Fault"
Json = Dict[str, Any]


def chain(*names: str, **fields: Any) -> Json:
    faults = [{"name": "fault", "typed_config": {"@type": FAULT, "name": name, **fields}} for name in names]
    return {"filters": [*faults, {"name": "echo", "typed_config": ECHO}]}


def listener(name: str, *chains: Json) -> Json:
    for number, one in enumerate(chains[1:]):
        one["filter_chain_match"] = {"source_ports": [number + 1]}
    return {"name": name, "address": address("127.0.0.1", 0), "filter_chains": list(chains)}


class FaultRig(AdminRig):
    """A server whose listeners are up."""

    def __init__(self, *listeners: Json, start: bool = True) -> None:
        super().__init__({
            "admin": {"address": address("127.0.0.1", 0)}, "static_resources": {"listeners": list(listeners)},
        })
        self.server.listeners.bind()
        if start:
            self.server.listeners.start()

    def update(self, config: Json) -> None:
        """As a reload of the bootstrap changes a listener."""
        decoded = decode(ListenerConfig, config, Extensions().types())
        listeners = self.server.listeners
        batch = listeners.begin([], [config["name"]])
        assert listeners.update(batch, decoded, "l", STATIC)
        batch.finish()

    def post(self, content: Any) -> Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return dispatch(self.server, Request("POST", "/faults", {}, body))

    def listed(self) -> List[Json]:
        found: List[Json] = self.json("/faults")["faults"]
        return found

    def port(self, name: str) -> int:
        return self.server.listeners.lists.active[name].listener.local_addresses()[0].port

    def is_refused(self, name: str) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port(name))) != 0

    def connect(self, name: str) -> Any:
        """A client whose connection the server has taken."""
        peer = connect(self.port(name))
        self._clients.append(peer)
        self.turn()
        return peer

    def close(self) -> None:
        self.server.listeners.stop_listening()
        super().close()


@pytest.fixture
def rig() -> Iterator[FaultRig]:
    made = FaultRig(listener("one", chain("redis")), listener("two", chain("redis"), chain()), listener("sql", chain("sql")))
    yield made
    made.close()


def test_every_fault_filter_is_listed_with_its_listener(rig: FaultRig) -> None:
    assert [(one["name"], one["listener"]) for one in rig.listed()] == [("redis", "one"), ("redis", "two"), ("sql", "sql")]
    assert rig.listed()[0] == {
        "name": "redis", "enabled": True, "seed": 0, "connections": 0, "toxics": [], "listener": "one",
    }


def test_a_change_is_for_all_filters_of_its_name_and_answers_with_what_is_in_force(rig: FaultRig) -> None:
    answer = rig.post({"name": "redis", "add": [{"type": "latency", "attributes": {"latency": 5}}]})
    assert answer.status == 200 and json.loads(answer.body) == rig.json("/faults")
    assert [[toxic["type"] for toxic in one["toxics"]] for one in rig.listed()] == [["latency"], ["latency"], []]
    assert rig.post({"add": [{"type": "slow_close"}]}).status == 200
    assert [len(one["toxics"]) for one in rig.listed()] == [2, 2, 1]
    assert rig.post({"reset": True}).status == 200
    assert [len(one["toxics"]) for one in rig.listed()] == [0, 0, 0]


@pytest.mark.parametrize(("body", "words"), [
    (b"", "the body is empty: expected a change (send it as application/json)"),
    (b"{", "the body: not JSON at line 1"),
    (b"7", "the body: expected an object with a change, found 7"),
    ([{"reset": True}, 7], "[1]: expected an object with a change"),
    ({"name": "rediss", "reset": True}, 'name: there is no fault filter "rediss" (did you mean `redis`?)'),
    ([{"name": ["redis"]}], "[0].name: there is no fault filter"),
    ({"name": "redis", "add": [{"type": "lag"}]}, "add[0].type: there is no toxic 'lag'"),
    ([{"name": "sql", "enabled": False}, {"name": "redis", "remove": ["x"]}], "[1].remove[0]: 'redis' has no toxic 'x'"),
])
def test_a_bad_change_is_a_400_that_says_where_and_changes_nothing_anywhere(rig: FaultRig, body: Any, words: str) -> None:
    before = rig.listed()
    answer = rig.post(body)
    assert answer.status == 400 and answer.body.decode().startswith(words), answer.body
    assert answer.body.count(b"\n") == 1
    assert rig.listed() == before and not rig.is_refused("sql")


def test_other_methods_are_not_taken(rig: FaultRig) -> None:
    assert rig.ask("/faults", "DELETE").status == 405


def test_a_service_that_is_down_refuses_and_comes_back_at_its_port(rig: FaultRig) -> None:
    port, client = rig.port("one"), rig.connect("one")
    client.send(b"hello")
    rig.turn()
    assert client.got == b"hello"
    assert rig.post({"name": "redis", "enabled": False}).status == 200
    rig.turn()
    assert client.was_reset
    assert rig.port("one") == port and rig.is_refused("one")
    assert not rig.is_refused("sql")
    assert rig.post({"name": "redis", "enabled": True}).status == 200
    assert rig.port("one") == port and not rig.is_refused("one")
    again = rig.connect("one")
    again.send(b"hello")
    rig.turn()
    assert again.got == b"hello"


def test_a_listener_with_another_chain_accepts_and_its_filter_resets(rig: FaultRig) -> None:
    rig.post({"name": "redis", "enabled": False})
    assert not rig.is_refused("two")
    client = rig.connect("two")
    assert client.was_reset


def test_a_service_that_is_configured_as_down_refuses_from_the_start_until_it_is_enabled() -> None:
    rig = FaultRig(listener("one", chain("redis", enabled=False)), start=False)
    try:
        rig.server.listeners.listen()
        assert rig.is_refused("one")
        rig.server.listeners.start()
        assert rig.is_refused("one")
        rig.post({"reset": True})
        assert not rig.is_refused("one")
    finally:
        rig.close()


def test_when_an_address_cannot_be_given_up_nothing_is_changed(rig: FaultRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise OSError(98, "Address already in use")
    monkeypatch.setattr("proxy_core.network.sockets.bind", fail)
    answer = rig.post({"enabled": False})
    assert answer.status == 409 and b"Address already in use" in answer.body
    assert all(one["enabled"] for one in rig.listed()) and not rig.is_refused("one")


def test_when_one_of_two_addresses_cannot_be_given_up_the_other_is_taken_back(
    rig: FaultRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind, calls = sockets.bind, []

    def fail_second(*arguments: Any) -> socket.socket:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(98, "Address already in use")
        return bind(*arguments)
    monkeypatch.setattr("proxy_core.network.sockets.bind", fail_second)
    assert rig.post({"enabled": False}).status == 409
    assert len(calls) == 2 and not rig.is_refused("one") and not rig.is_refused("sql")


@pytest.mark.parametrize("more", [{}, {"stat_prefix": "other"}], ids=["in place", "a new listener"])
def test_a_listener_obeys_the_faults_of_its_newest_configuration(rig: FaultRig, more: Json) -> None:
    port = rig.port("one")
    rig.update({**listener("one", chain("redis", enabled=False)), "address": address("127.0.0.1", 0), **more})
    assert rig.is_refused("one") and rig.port("one") == port
    rig.update({**listener("one", chain("redis", seed=5)), "address": address("127.0.0.1", 0), **more})
    assert not rig.is_refused("one") and rig.port("one") == port
    client = rig.connect("one")
    client.send(b"hello")
    rig.turn()
    assert client.got == b"hello"


def test_json_comes_in_with_a_request_whatever_content_type_curl_gives_it(rig: FaultRig) -> None:
    client = rig.client()
    for number, kind in enumerate(["application/json; charset=utf-8", "application/x-www-form-urlencoded"]):
        body = json.dumps({"name": "sql", "seed": number + 1})
        head = f"POST /faults HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        client.send(head.encode() + body.encode())
        rig.turn()
        assert rig.listed()[2]["seed"] == number + 1
