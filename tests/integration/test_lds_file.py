"""The whole program with listeners from a file, and with a bootstrap that is loaded again at SIGHUP."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any, Dict

import pytest

from proxy_core.testing.child import ChildProcess
from tests.support.running import ask, bootstrap, echo_listener

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


def move_in(path: Path, content: Any) -> None:
    """Replace a file in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    os.replace(fresh, path)


def lds(*listeners: Dict[str, Any], version: str) -> Dict[str, Any]:
    return {"version_info": version, "resources": [{"@type": LISTENER, **one} for one in listeners]}


def dynamic(path: Path, *flags: str, **fields: Any) -> ChildProcess:
    source = {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}
    config = {"node": {"id": "n", "cluster": "x"}, "dynamic_resources": {"lds_config": source}, **fields}
    return ChildProcess(["--config-yaml", json.dumps(config), *flags])


def test_listeners_come_change_and_go_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lds.json"
    move_in(path, lds(echo_listener("one"), version="1"))
    with dynamic(path, "--drain-time-s", "1") as running:
        port = running.port("one")
        with running.connect("one") as client:
            assert ask(client, b"hello") == b"hello"
            move_in(path, "{")
            running.expect("config update failure")
            move_in(path, lds(echo_listener("one", tcp_backlog_size=9), {**echo_listener("bad"), "drain_type": 9}, version="2"))
            running.expect("lds: listener 'bad' config rejected: resources\\[1\\].drain_type")
            with socket.create_connection(("127.0.0.1", port), 10) as other:
                assert ask(other, b"new one") == b"new one"
                assert ask(client, b"old one") == b"old one"
                assert client.recv(1) == b""
                move_in(path, lds(version="3"))
                running.expect("lds: remove listener 'one'")
                assert other.recv(1) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 10)
        assert running.stop() == 0


def test_a_listener_of_the_file_that_can_not_be_bound_does_not_keep_the_others_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "lds.json"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        move_in(path, lds(echo_listener("busy", taken.getsockname()[1]), echo_listener("free"), version="1"))
        with dynamic(path) as running:
            with running.connect("free") as client:
                assert ask(client, b"hello") == b"hello"
            running.expect("lds: listener 'busy' config rejected: cannot bind")
            assert running.stop() == 0


def test_sighup_loads_the_file_again_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    move_in(path, bootstrap([echo_listener("kept"), echo_listener("gone")]))
    with ChildProcess(["-c", str(path), "--drain-time-s", "1"]) as running:
        with running.connect("kept") as kept, running.connect("gone") as gone:
            assert ask(kept, b"one") + ask(gone, b"two") == b"onetwo"
            move_in(path, bootstrap([echo_listener("kept"), echo_listener("wrong", nosuch=1)]))
            running.send(signal.SIGHUP)
            running.expect("configuration not reloaded: static_resources.listeners\\[1\\].nosuch: unknown field `nosuch`")
            running.expect("the configuration that was loaded before stays in force")
            assert ask(gone, b"still here") == b"still here"
            move_in(path, bootstrap([echo_listener("kept")]))
            running.send(signal.SIGHUP)
            running.expect("configuration reloaded: 0 listener\\(s\\) added or changed, 1 removed")
            assert gone.recv(1) == b""
            assert ask(kept, b"still here") == b"still here"
        assert running.stop() == 0
