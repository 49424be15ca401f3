"""/explain: the answer about the listeners that run, and 400 with a sentence for a bad question."""

from __future__ import annotations

from typing import Iterator

import pytest

from proxy_core.admin.api import JSON, TEXT
from tests.unit.admin.admin_kit import AdminRig, bootstrap, listener


@pytest.fixture
def one() -> Iterator[AdminRig]:
    made = AdminRig(bootstrap(static_resources={"listeners": [listener("in", 7001)]}))
    yield made
    made.close()


def test_one_listener_needs_no_destination(one: AdminRig) -> None:
    answer = one.ask("/explain?src=10.0.0.9:5")
    assert (answer.status, answer.content_type) == (200, TEXT)
    assert answer.body.decode().splitlines() == [
        "listener 'in' on 127.0.0.1:7001",
        "connection 10.0.0.9:5 -> 127.0.0.1:7001, raw_buffer",
        "filter chain: filter_chains[0]: echo (envoy.filters.network.echo)",
    ]


def test_the_destination_or_the_name_tells_the_listener(rig: AdminRig) -> None:
    assert rig.text("/explain?dst=127.0.0.1:7001").startswith("listener 'in' on 127.0.0.1:7001\n")
    assert rig.text("/explain?dst=%5B::1%5D:7002").startswith("listener 'out' on 127.0.0.1:7002, [::1]:7002\n")
    assert rig.text("/explain?listener=out&src=").startswith("listener 'out' on ")


def test_json_for_programs(rig: AdminRig) -> None:
    answer = rig.ask("/explain?listener=in&sni=a.test&format=json")
    assert (answer.status, answer.content_type) == (200, JSON)
    tree = rig.json("/explain?listener=in&sni=a.test&format=json")
    assert tree["listener"] == {"name": "in", "addresses": ["127.0.0.1:7001"]}
    assert tree["filter_chain"]["filters"] == ["echo"]
    assert len(tree["notes"]) == 2


@pytest.mark.parametrize("query, sentence", [
    ("", "which listener? Give dst or listener; the listeners: 'in' on 127.0.0.1:7001; 'out' on "),
    ("?dst=nowhere", "dst: expected IP:PORT, [IPV6]:PORT or unix:/path, found 'nowhere'"),
    ("?dst=127.0.0.1:7003", "no listener is on 127.0.0.1:7003; "),
    ("?listener=up%0Ax", "there is no listener 'up\\nx'; the listeners: 'in' on "),
    ("?src=10.0.0.1:1&listener=in&transport=quic", "transport: expected tls or raw_buffer, found 'quic'"),
    ("?name=in", "unknown parameter 'name'; there are: dst, src, direct_src, sni, alpn, transport, listener, format"),
    ("?a%1b=1", "unknown parameter 'a\\x1b'; there are: "),
])
def test_a_bad_question_is_400_with_a_sentence(rig: AdminRig, query: str, sentence: str) -> None:
    answer = rig.ask(f"/explain{query}")
    assert answer.status == 400
    assert answer.body.decode().startswith(sentence)
    assert answer.body.endswith(b"\n")


def test_it_is_in_the_help(rig: AdminRig) -> None:
    assert "  /explain: which filter chain a connection would get (not in Envoy)" in rig.text("/help").splitlines()
