"""`async_client.AsyncClient` in a test's hand: the questions that filters send, answered by the test."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.headers import Headers


class Question:
    """One question to the server."""

    def __init__(self, cluster: str, head: RequestHead, body: bytes, timeout: float, on_answer: Any) -> None:
        self.cluster, self.head, self.body, self.timeout = cluster, head, body, timeout
        self.cancelled = False
        self._on_answer = on_answer

    def answer(self, status: int = 200, lines: Sequence[Tuple[str, str]] = (), body: bytes = b"") -> None:
        self._on_answer(ResponseHead(status, headers=Headers(lines)), body)

    def fail(self) -> None:
        self._on_answer(None, b"")

    def cancel(self) -> None:
        self.cancelled = True


class AskedServer:
    """Stands for `AsyncClient`; `last` is the newest one. fails: there is no such cluster."""

    last: AskedServer

    def __init__(self, context: Any) -> None:
        self.questions: List[Question] = []
        self.fails = False
        AskedServer.last = self

    def send(self, *arguments: Any) -> Optional[Question]:
        question = Question(*arguments)
        if self.fails:
            question.fail()
            return None
        self.questions.append(question)
        return question
