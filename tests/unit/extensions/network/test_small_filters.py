"""echo and direct_response, from their configuration to the bytes on a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.errors import ConfigError
from tests.support.engine import Engine, access_log, bootstrap, listener, network_filter

Serve = Callable[..., Engine]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: List[Engine] = []

    def make(one: Any, **settings: Any) -> Engine:
        log = access_log("%RESPONSE_CODE_DETAILS% rx=%BYTES_RECEIVED% tx=%BYTES_SENT%")
        made.append(Engine(bootstrap([listener(one, access_log=[log])], **settings)).start())
        return made[-1]
    yield make
    for engine in made:
        engine.close()


def test_echo_returns_everything_and_its_end(serve: Serve) -> None:
    engine = serve(network_filter("echo"))
    client = engine.client()
    for piece in (b"a", b"bc" * 1000, b"\0"):
        client.send(piece)
        engine.turn(2)
    client.finish()
    engine.until(lambda: client.ended)
    assert bytes(client.got) == b"a" + b"bc" * 1000 + b"\0"


def test_echo_loses_nothing_of_data_and_end_sent_in_one_go(serve: Serve) -> None:
    """Envoy's echo loses all of it."""
    for blob in (b"abc", bytes(range(256)) * 3600):
        engine = serve(network_filter("echo"))
        client = engine.client()
        client.send(blob)
        client.finish()
        engine.until(lambda: client.over)
        assert bytes(client.got) == blob and not client.was_reset


def test_echo_of_an_empty_stream_is_an_empty_stream(serve: Serve) -> None:
    engine = serve(network_filter("echo"))
    client = engine.client()
    client.finish()
    engine.until(lambda: client.ended)
    engine.until(lambda: not engine.live)
    assert engine.lines == ["NotSet - rx=0 tx=0"]


@pytest.mark.parametrize("body", ["", "hello", "x" * 300_000], ids=["empty", "short", "long"])
def test_direct_response_says_its_text_and_closes(serve: Serve, body: str) -> None:
    engine = serve(network_filter("direct_response", response={"inline_string": body}))
    client = engine.client()
    engine.until(lambda: client.ended)
    assert client.got.decode() == body and not client.was_reset
    client.finish()
    engine.until(lambda: not engine.live)
    assert engine.lines == [f"NotSet direct_response rx=0 tx={len(body)}"]


def test_direct_response_without_a_response_just_closes(serve: Serve) -> None:
    engine = serve(network_filter("direct_response"))
    client = engine.client()
    engine.until(lambda: client.ended)
    assert not client.got


def test_direct_response_to_a_client_that_is_still_sending_arrives_whole(serve: Serve) -> None:
    """Envoy delivers the first kilobytes and then a reset."""
    engine = serve(network_filter("direct_response", response={"inline_string": "r" * 500_000}))
    client = engine.client()
    client.send(bytes(2_000_000))
    engine.until(lambda: client.over)
    assert len(client.got) == 500_000 and not client.was_reset


def test_direct_response_to_a_client_that_never_reads_is_bounded(serve: Serve) -> None:
    engine = serve(
        network_filter("direct_response", response={"inline_string": "r" * 8_000_000}),
        runtime={"proxy_core.flush_timeout_ms": 9000, "proxy_core.linger_timeout_ms": 1000},
    )
    client = engine.client()
    client.reading = False
    engine.turn(20)
    assert len(engine.live) == 1
    for _ in range(4):
        engine.advance(9.0)
    engine.until(lambda: not engine.live)


def test_direct_response_reads_its_file_once_when_it_is_configured(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"\xff\0from a file")
    engine = serve(network_filter("direct_response", response={"filename": str(file)}))
    file.unlink()
    client = engine.client()
    engine.until(lambda: client.ended)
    assert bytes(client.got) == b"\xff\0from a file"


def test_a_response_file_that_is_not_there_is_a_problem_with_its_path(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        serve(network_filter("direct_response", response={"filename": str(tmp_path / "missing")}))
    path = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.response"
    assert caught.value.problems[0].path.startswith(path)


@pytest.mark.parametrize("fields", [{"response": "hello"}, {"respons": {"inline_string": "x"}}, {"response": {}}])
def test_a_wrong_direct_response_is_refused(serve: Serve, fields: Any) -> None:
    with pytest.raises(ConfigError):
        serve(network_filter("direct_response", **fields))
