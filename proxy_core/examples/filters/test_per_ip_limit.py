from typing import List

import pytest
from per_ip_limit import PerIpLimit

from proxy_core.testing import ChainHarness, assert_split_invariant

CONFIG = {"connections": 2, "wait_seconds": 1.5}


@pytest.fixture(autouse=True)
def nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PerIpLimit, "active", type(PerIpLimit.active)())


def clients(count: int, ip: str = "10.0.0.1") -> List[ChainHarness]:
    return [ChainHarness([PerIpLimit(CONFIG)], remote=f"{ip}:{1000 + number}") for number in range(count)]


def test_one_too_many_waits_and_is_refused() -> None:
    _, _, third = clients(3)
    third.feed(b"hello")
    third.advance(1.4)
    assert third.onward == b"" and third.waits == ["one of this client's connections to end"] and not third.closed
    third.advance(0.1)
    third.assert_closed(reason="too_many_connections")


def test_one_that_waits_gets_the_place_of_one_that_ends() -> None:
    first, _, third = clients(3)
    third.feed(b"hello", end_stream=True)
    first.reset()
    third.advance(1.5)
    assert third.onward == b"hello" and third.onward_ends == 1
    third.check()


def test_addresses_do_not_count_for_each_other_and_are_forgotten() -> None:
    for harness in clients(2) + clients(2, "10.0.0.2"):
        assert not harness.waits
        harness.close()
    assert not PerIpLimit.active


def test_while_it_waits_nothing_is_lost() -> None:
    first, _ = clients(2)
    assert_split_invariant(
        lambda: PerIpLimit(dict(CONFIG, connections=3)), b"hello", remote="10.0.0.1:2000",
        after=lambda harness: harness.close(),
    )
