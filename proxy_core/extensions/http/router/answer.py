"""How the client is answered: a response of the upstream with the headers that are added to it, or a reply that is made here."""

from __future__ import annotations

from typing import Any, Final, List, Optional, Sequence

from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import DecoderFilterCallbacks
from ....http.headers import Headers
from ....http.route_api import Route
from ....upstream.host import Host
from ....upstream.http_pool.pools import ClusterPools
from . import replies
from .charging import Charges
from .config import GroupStats, Prepared
from .heads import ATTEMPT_COUNT

SERVICE_TIME: Final = "x-envoy-upstream-service-time"
UNAVAILABLE: Final = 503


class Answer:
    """Of one request. attempts: so far. cookies: `set-cookie` values for the response. has_begun: its head is on its way."""

    __slots__ = ("attempts", "cookies", "has_begun", "_prepared", "_decoder", "_route", "_charges")

    def __init__(
        self, prepared: Prepared, decoder: DecoderFilterCallbacks, head: RequestHead, route: Route, pools: ClusterPools,
        groups: Sequence[GroupStats],
    ) -> None:
        self.attempts = 1
        self.cookies: List[str] = []
        self.has_begun = False
        self._prepared = prepared
        self._decoder = decoder
        self._route = route
        self._charges: Optional[Charges] = None
        facts: Any = decoder.info.http
        if prepared.charges and not facts.health_check:
            self._charges = Charges(pools.responses, groups, head, prepared.zone)

    def respond(self, head: ResponseHead, end_stream: bool, host: Optional[Host], milliseconds: Optional[int]) -> None:
        """Pass the upstream's head on. milliseconds: since the end of the request, None if that is still to come."""
        headers = head.headers
        head.reason = ""  # Envoy's own words for a status, whatever the upstream's are
        if milliseconds is not None and self._prepared.adds_headers:
            headers.set(SERVICE_TIME, str(milliseconds))
        if self._charges is not None:
            self._charges.charge(head.status, host, head)
        if host is not None and not 500 <= head.status < 600:
            host.counters.rq_success += 1
        for cookie in self.cookies:
            headers.add("set-cookie", cookie)
        if self._route.changes_response:
            info = self._decoder.info
            info.response_code_details = replies.VIA_UPSTREAM
            facts: Any = info.http
            facts.response_code = head.status
            self._route.finalize_response(head, info)
        self._tell_attempts(head.headers)
        self.has_begun = True
        self._decoder.encode_headers(head, end_stream, replies.VIA_UPSTREAM)

    def respond_interim(self, status: int, headers: Headers, host: Optional[Host]) -> None:
        """Pass the first 1xx response on. Envoy drops those behind it."""
        if self.has_begun:
            return
        if self._charges is not None:
            self._charges.charge(status, host)
        self.has_begun = True
        self._decoder.encode_1xx(status, headers)

    def reply(self, status: int, body: bytes, details: str, mark: str = "") -> None:
        """Answer here, or cut off the response that has begun. mark: an x-envoy-* header that says why."""
        def change(headers: Headers) -> None:
            if self._route.changes_response:
                self._route.finalize_response(ResponseHead(status, headers=headers), self._decoder.info)
            if mark and self._prepared.adds_headers:
                headers.add(mark, "true")  # behind what the route says, which can neither see nor remove it
            self._tell_attempts(headers)

        self._decoder.send_local_reply(status, body, details, change)

    def no_host(self) -> None:
        """There is nobody to ask."""
        self._decoder.info.add_flag("UH")
        if self._charges is not None:
            self._charges.charge(UNAVAILABLE, None)
        self.reply(UNAVAILABLE, b"no healthy upstream", replies.NO_HEALTHY_UPSTREAM)

    def charge_abort(self, status: int, host: Optional[Host]) -> None:
        """Count a reply that is made here because an attempt failed, unless the response has begun and was counted."""
        if self.has_begun:
            return
        if self._charges is not None:
            self._charges.charge(status, host)
        if host is not None and not 500 <= status < 600:
            host.counters.rq_error += 1

    def refuse_switch(self, head: ResponseHead) -> None:
        """An answer to a WebSocket handshake that neither agrees nor fails: the client gets its head."""
        head.headers.remove("content-length")
        self._decoder.encode_headers(head, True, replies.WEBSOCKET_REFUSED)

    def charge_attempt(self) -> None:
        """Count that a host was sent the request."""
        if self._charges is not None:
            self._charges.charge_attempt()

    def charge_retried(self, status: int) -> None:
        """Count a response that the client won't see."""
        if self._charges is not None:
            self._charges.charge_retried(status)

    def charge_time(self, milliseconds: int, host: Optional[Host]) -> None:
        """Count how long the response took, from the end of the request."""
        if self._charges is not None:
            self._charges.charge_time(milliseconds, host, self._decoder.response)

    def _tell_attempts(self, headers: Headers) -> None:
        if self._route.virtual_host.include_attempt_count_in_response and self.attempts:
            headers.set(ATTEMPT_COUNT, str(self.attempts))
