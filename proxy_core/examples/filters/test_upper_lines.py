from pathlib import Path

from upper_lines import UpperLines

from proxy_core.testing import ChainHarness, Proxy, assert_split_invariant


def test_lines_come_in_upper_case_however_they_arrive() -> None:
    outcome = assert_split_invariant(lambda: UpperLines({}), b"one\ntwo\n\nthree")
    assert outcome.onward == b"ONE\nTWO\n\nTHREE"


def test_half_a_line_waits_for_its_end() -> None:
    with ChainHarness([UpperLines({})]) as harness:
        harness.feed(b"first\nsec")
        assert harness.onward == b"FIRST\n"
        harness.feed(b"ond\n")
        assert harness.onward == b"FIRST\nSECOND\n"


def test_a_line_that_is_too_long_closes_wherever_it_is_cut() -> None:
    outcome = assert_split_invariant(lambda: UpperLines({"longest_line": 4}), b"abcd\nabcde\n")
    assert outcome.onward == b"ABCD\n" and "line_too_long" in outcome.closed


def test_the_example_shouts_back() -> None:
    with Proxy(Path(__file__).with_name("upper_lines.json"), free_ports=True) as proxy:
        client = proxy.connect()
        client.sendall(b"hello\n")
        assert client.recv(100) == b"HELLO\n"
