"""tap.json beside this file, with its ports and its file replaced."""

import json
from pathlib import Path

from proxy_core.testing import Proxy
from proxy_core.testing.replay import recording

HERE = Path(__file__).parent
ECHO = {"name": "echo", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}}


def test_a_password_is_not_recorded_and_what_follows_is(tmp_path: Path) -> None:
    config = json.loads((HERE / "tap.json").read_text())
    filters = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    filters[0]["typed_config"]["path"] = str(tmp_path / "tap.jsonl")
    filters[1] = ECHO
    with Proxy(config, free_ports=True, filter_path=[str(HERE)]) as proxy:
        client = proxy.connect()
        for said in (b"AUTH secret\r\n", b"GET a\r\n"):
            client.sendall(said)
            assert client.recv(100) == said
        client.close()
        proxy.assert_closed()
    chunks = recording(tmp_path / "tap.jsonl").chunks
    came = [chunk.data for chunk in chunks if chunk.direction == "in" and chunk.data]
    assert came == [bytes(len(b"AUTH secret\r\n")), b"GET a\r\n"]
