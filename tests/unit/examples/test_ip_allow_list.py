"""The example of a filter of one's own, with the configuration beside it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

import proxy_core
from tests.support.engine import Engine, access_log, pipe
from tests.support.peers import Peer

EXAMPLES = Path(proxy_core.__file__).parent / "examples" / "filters"
Serve = Callable[..., Engine]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """The example's own listener, with another list and on a free port."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    made: List[Engine] = []

    def make(allow: Any, address: Any = None) -> Engine:
        config = json.loads((EXAMPLES / "ip_allow_list.json").read_text())
        listener, = config["static_resources"]["listeners"]
        listener["address"]["socket_address"]["port_value"] = 0
        listener["address"] = address or listener["address"]
        listener["access_log"] = [access_log("%DOWNSTREAM_LOCAL_CLOSE_REASON%")]
        if allow is not None:
            listener["filter_chains"][0]["filters"][0]["typed_config"]["allow"] = allow
        made.append(Engine(config).start())
        return made[-1]
    yield make
    for engine in made:
        engine.close()


def served(engine: Engine, client: Peer) -> bool:
    client.send(b"hi")
    engine.until(lambda: client.over or bytes(client.got) == b"hi")
    return bool(client.got)


def test_the_example_lets_in_whom_its_list_names_and_nobody_else(serve: Serve) -> None:
    engine = serve(None)
    assert served(engine, engine.client("guarded"))
    engine = serve(["127.0.0.1/32", "10.0.0.0/8", "::1"])
    assert served(engine, engine.client("guarded"))
    assert not served(engine, engine.client("guarded", source="127.0.0.2"))
    assert engine.lines == ["NotSet ip_not_on_allow_list"] and engine.errors == []


def test_a_client_without_an_address_is_not_on_the_list(serve: Serve, tmp_path: Path) -> None:
    engine = serve(["0.0.0.0/0", "::/0"], address=pipe(str(tmp_path / "s")))
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(tmp_path / "s"))
    assert not served(engine, engine.own(Peer(sock)))
    assert engine.lines == ["NotSet ip_not_on_allow_list"] and engine.errors == []


def test_a_list_with_a_mistake_costs_its_connections_and_says_so(serve: Serve) -> None:
    engine = serve(["not a network"])
    assert not served(engine, engine.client("guarded"))
    error, = engine.errors
    assert "not a network" in str(error)
