"""`tcp LISTEN UPSTREAM...`: addresses as people write them, and the configuration that comes of them."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest

from proxy_core.cli import main
from proxy_core.server.forward import parse_endpoint


def ip(address: str, port: int) -> Dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


@pytest.mark.parametrize("text, address, shown", [
    ("10.0.0.1:80", ip("10.0.0.1", 80), "10.0.0.1:80"),
    ("0.0.0.0:0", ip("0.0.0.0", 0), "0.0.0.0:0"),
    (":8080", ip("127.0.0.1", 8080), "127.0.0.1:8080"),
    ("8080", ip("127.0.0.1", 8080), "127.0.0.1:8080"),
    ("[::1]:80", ip("::1", 80), "[::1]:80"),
    ("[2001:DB8::1]:80", ip("2001:db8::1", 80), "[2001:db8::1]:80"),
    ("unix:/run/app.sock", {"pipe": {"path": "/run/app.sock"}}, "unix:/run/app.sock"),
    ("unix:@name", {"pipe": {"path": "@name"}}, "unix:@name"),
])
def test_addresses(text: str, address: Dict[str, Any], shown: str) -> None:
    end = parse_endpoint(text)
    assert (end.address, end.text, end.note) == (address, shown, "")


def test_a_host_name_is_looked_up_once_and_that_is_said() -> None:
    end = parse_endpoint("localhost:80")
    assert end.address["socket_address"]["address"] in ("127.0.0.1", "::1")
    assert "localhost" in end.note and "looked up once" in end.note


@pytest.mark.parametrize("text", [
    "", ":", "host", "host:", "host:http", "1.2.3.4:65536", "1.2.3.4:-1", "::1:80", "fe80::1:80", "unix:",
    "a:1:2",
    "1.2.3.4:123456", "bad..name:1", "[nonsense]x:1",
])
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="expected|brackets|looked up"):
        parse_endpoint(text)


def test_the_configuration_can_be_printed_and_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["tcp", ":0", "10.0.0.1:80", "unix:/x", "--connect-timeout", "0.25", "--print-config"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    cluster = json.loads(text)["static_resources"]["clusters"][0]
    assert cluster["connect_timeout"] == "0.25s"
    hosts = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [host["endpoint"]["address"] for host in hosts] == [ip("10.0.0.1", 80), {"pipe": {"path": "/x"}}]
    assert main(["--mode", "validate", "--strict", "--config-yaml", text]) == 0


def test_quiet_leaves_the_access_log_out(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tcp", ":0", ":1", "--print-config"])
    assert "access_log" in capsys.readouterr().out
    main(["tcp", ":0", ":1", "--print-config", "-q"])
    assert "access_log" not in capsys.readouterr().out


@pytest.mark.parametrize("ends, words", [
    ([":0", ":0"], "port 0"), ([":0", "nonsense"], "'nonsense'"), (["::1:80", ":1"], "brackets"),
    ([":0", ":1", "x:99999"], "x:99999"),
])
def test_a_wrong_address_is_wrong_usage(
    ends: List[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tcp", *ends]) == 2
    assert words in capsys.readouterr().err


def test_a_path_too_long_for_a_socket_is_a_configuration_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tcp", ":0", "unix:/" + "x" * 200]) == 1
    assert "path" in capsys.readouterr().err
