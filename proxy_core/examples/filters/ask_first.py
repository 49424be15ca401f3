"""A filter of one's own: asks a UDP service about each client, and lets it in for a "yes". Used by ask_first.json."""

from typing import Any, Callable, Dict

from udp_question import Question

from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONNECTED, CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, NetworkFilter
from proxy_core.network.close import NO_FLUSH


class AskFirst(NetworkFilter):
    def __init__(self, config: Dict[str, Any], ask: Callable[..., Any] = Question) -> None:
        self.config, self.ask = config, ask
        self.allowed = False

    def on_new_connection(self) -> FilterStatus:
        client = self.connection.remote_address.ip
        self.wait = self.callbacks.schedule(self.config["wait_seconds"], self.refuse, f"an answer about {client}")
        self.question = self.ask(self.connection, self.config["service"], client, self.answered)
        return STOP_ITERATION  # the chain is parked from here on

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE if self.allowed else STOP_ITERATION  # what has come stays in the connection's buffer

    def answered(self, answer: bytes) -> None:
        if answer.strip() != b"yes":
            return self.refuse()
        self.allowed = True
        self.wait.cancel()
        self.callbacks.continue_reading()

    def refuse(self) -> None:
        self.connection.close(NO_FLUSH, "client_not_allowed")

    def on_event(self, event: ConnectionEvent) -> None:
        if event is not CONNECTED:
            self.question.close()
