"""The small parts of the kit: what can be imported with what, prepared configurations, splits, gates in a chain of their own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

import proxy_core
from proxy_core.errors import ConfigError
from proxy_core.testing import bytewise, random_pieces, splits, two_way
from proxy_core.testing.leaks import Descriptors
from proxy_core.testing.prepared import directory_of, prepared

LOOPBACK = {"address": "127.0.0.1", "port_value": 10000}


def bootstrap(**fields: Any) -> Dict[str, Any]:
    listeners = [
        {"name": "a", "address": {"socket_address": dict(LOOPBACK)}},
        {"name": "b", "address": {"socketAddress": {"address": "127.0.0.1", "portValue": 10001}}},
        {"name": "c", "address": {"pipe": {"path": "/run/c"}}},
    ]
    return {"static_resources": {"listeners": listeners}, **fields}


def addresses(raw: Dict[str, Any]) -> Any:
    return [one["address"] for one in raw["static_resources"]["listeners"]]


def test_the_kit_for_filters_brings_neither_pytest_nor_the_server() -> None:
    program = "import sys, proxy_core.testing; print('pytest' in sys.modules, 'proxy_core.server.server' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(proxy_core.__file__).parents[1], capture_output=True, timeout=60, check=True,
    )
    assert run.stdout.decode().split() == ["False", "False"]


def test_what_the_kit_names_is_there() -> None:
    import proxy_core.testing as kit
    assert all(getattr(kit, name) is not None for name in kit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        kit.Nothing


def test_a_prepared_configuration_is_a_copy_with_an_admin() -> None:
    given = {"$schema": "x", **bootstrap()}
    raw = prepared(given, False, None)
    assert addresses(raw) == addresses(given) and "$schema" not in raw
    assert raw["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 0}
    assert "admin" not in given
    own = {"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}}}
    assert prepared(bootstrap(**own), False, None)["admin"] == own["admin"]


def test_ports_are_freed_in_both_spellings_and_sockets_of_unix_left_alone() -> None:
    own = {"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}}}
    raw = prepared(bootstrap(**own), True, None)
    assert [list(one.values())[0].get("port_value") for one in addresses(raw)] == [0, 0, None]
    assert "portValue" not in str(raw) and raw["admin"]["address"]["socket_address"]["port_value"] == 0


def test_the_first_listener_can_be_given_a_port() -> None:
    raw = prepared(bootstrap(), True, 12345)
    assert addresses(raw)[0]["socket_address"]["port_value"] == 12345
    with pytest.raises(ValueError, match="no listener"):
        prepared({}, False, 1)


def test_a_path_is_read_and_its_directory_known(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(bootstrap()))
    assert prepared(file, False, None)["static_resources"] == bootstrap()["static_resources"]
    assert directory_of(str(file)) == [str(tmp_path)] and directory_of({}) == []
    with pytest.raises(ConfigError, match="Invalid path"):
        prepared(tmp_path / "b.json", False, None)


def test_pieces_make_the_whole_again_and_none_is_empty() -> None:
    generator = random.Random(1)
    for length in (0, 1, 2, 7, 400):
        data = bytes(generator.randrange(256) for _ in range(length))
        for pieces in [bytewise(data), *two_way(data), random_pieces(data, generator)]:
            assert b"".join(pieces) == data and all(pieces)
        assert all(b"".join(pieces) == data for pieces in splits(data, seed=3))
    assert list(two_way(b"abc")) == [[b"a", b"bc"], [b"ab", b"c"]]
    assert list(splits(bytes(400), seed=3, two_way_limit=5)) == list(splits(bytes(400), seed=3, two_way_limit=5))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells")
def test_a_descriptor_that_is_not_the_proxys_is_none_of_its_leaks() -> None:
    before = Descriptors()
    with open(__file__, "rb"):
        assert before.left() == []
