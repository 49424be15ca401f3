from ip_allow_list import IpAllowList

from proxy_core.testing import ChainHarness


def chain(client: str) -> ChainHarness:
    return ChainHarness([IpAllowList({"allow": ["10.0.0.0/8", "::1"]})], remote=client)


def test_who_is_on_the_list_comes_in() -> None:
    for client in ("10.1.2.3:1000", "[::1]:1000"):
        with chain(client) as harness:
            harness.feed(b"hello", end_stream=True)
            assert harness.onward == b"hello" and harness.onward_ends == 1


def test_nobody_else_does() -> None:
    for client in ("11.0.0.1:1000", "[::2]:1000", "/run/a.sock"):
        with chain(client) as harness:
            harness.assert_closed(reason="ip_not_on_allow_list")
            assert harness.onward == b""
