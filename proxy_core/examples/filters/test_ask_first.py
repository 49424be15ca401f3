import socket
from pathlib import Path
from typing import Any, Callable, List

import pytest
from ask_first import AskFirst

from proxy_core.testing import ChainHarness, Proxy, assert_split_invariant

CONFIG = {"service": "192.0.2.1:53", "wait_seconds": 2}


class Asked:
    """Stands for the question: the test answers."""

    def __init__(self, connection: Any, service: str, text: str, answered: Callable[[bytes], None]) -> None:
        self.text, self.answer = text, answered
        self.closed = False

    def close(self) -> None:
        self.closed = True


def chain() -> ChainHarness:
    return ChainHarness([AskFirst(CONFIG, ask=Asked)], remote="10.0.0.1:1000")


def question(harness: ChainHarness) -> Asked:
    asked: Asked = harness.filters[-1].question
    return asked


def test_bytes_wait_for_the_answer_and_none_is_lost() -> None:
    def say_yes(harness: ChainHarness) -> None:
        asker, = [one for one in harness.filters if isinstance(one, AskFirst)]
        harness.act(lambda: asker.question.answer(b"yes\n"))
    outcome = assert_split_invariant(lambda: AskFirst(CONFIG, ask=Asked), b"hello", after=say_yes)
    assert outcome.onward == b"hello"


@pytest.mark.parametrize("answer", [b"no", b"", b"yes!"])
def test_any_other_answer_refuses(answer: bytes) -> None:
    with chain() as harness:
        harness.feed(b"hello")
        assert question(harness).text == "10.0.0.1" and harness.waits == ["an answer about 10.0.0.1"]
        harness.act(lambda: question(harness).answer(answer))
        harness.assert_closed(reason="client_not_allowed")
        assert harness.onward == b""


def test_no_answer_refuses_in_time_and_a_client_that_leaves_takes_its_question_along() -> None:
    with chain() as harness:
        harness.advance(2)
        harness.assert_closed(reason="client_not_allowed")
    with chain() as harness:
        harness.reset()
        assert question(harness).closed


def test_the_example_asks_a_service(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.settimeout(10)
        service.bind(("127.0.0.1", 0))
        config = Path(__file__).with_name("ask_first.json").read_text().replace(":10053", f":{service.getsockname()[1]}")
        (tmp_path / "config.json").write_text(config)
        with Proxy(tmp_path / "config.json", free_ports=True, filter_path=[str(Path(__file__).parent)]) as proxy:
            client = proxy.connect()
            client.sendall(b"hello")
            text, asker = service.recvfrom(100)
            service.sendto(b"yes", asker)
            assert client.recv(100) == b"hello" and text == b"127.0.0.1"
            refused = proxy.connect()
            service.sendto(b"no", service.recvfrom(100)[1])
            assert refused.recv(100) == b""
            proxy.assert_closed(reason="client_not_allowed")
