"""A filter of one's own: so many connections from one address; one more waits a while for a place. Used by per_ip_limit.json."""

from typing import Any, ClassVar, Counter, Dict

from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONNECTED, CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, NetworkFilter
from proxy_core.network.close import NO_FLUSH


class PerIpLimit(NetworkFilter):
    active: ClassVar[Counter[str]] = Counter()  # by address; a filter is made for each connection, the class is there once

    def __init__(self, config: Dict[str, Any]) -> None:
        self.most, self.wait_seconds, self.admitted = config["connections"], config["wait_seconds"], False

    def on_new_connection(self) -> FilterStatus:
        self.client = self.connection.remote_address.ip
        if not self.admit():
            self.callbacks.schedule(self.wait_seconds, self.look_again, "one of this client's connections to end")
        return CONTINUE if self.admitted else STOP_ITERATION

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE if self.admitted else STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        if event is not CONNECTED and self.admitted:
            self.active[self.client] -= 1
            if not self.active[self.client]:
                del self.active[self.client]

    def admit(self) -> bool:
        self.admitted = self.active[self.client] < self.most
        self.active[self.client] += self.admitted
        return self.admitted

    def look_again(self) -> None:
        if self.admit():
            self.callbacks.continue_reading()
        else:
            self.connection.close(NO_FLUSH, "too_many_connections")
