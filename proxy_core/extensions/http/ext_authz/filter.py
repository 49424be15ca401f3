"""One request, which waits for the server's verdict. Mirrors `ExtAuthz::Filter`.

    NOT_STARTED -> BUFFERING   the server gets (some of) the body: keep it until there is enough
    any -> ASKING              the question is under way; head and body wait, the sender is paused over the limit
    ASKING -> DONE             the verdict is there, or nobody waits for it any more
"""

from __future__ import annotations

import enum
from typing import Any, Dict, Final, List, Optional

from ....buffer import Buffer
from ....filters.api import Hold
from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import (
    CONTINUE, STOP_ALL_AND_WATERMARK, STOP_AND_BUFFER, STOP_AND_WATERMARK, STOP_ITERATION, FilterStatus, HttpFilter,
)
from ....http.headers import Headers
from ....http.routing.header_mutation import is_pseudo
from ..async_client import Call
from .config import BufferSettings
from .service import Pair, Service, Verdict
from .settings import RouteSettings, Settings

_DENIED: Final = "ext_authz_denied"
_ERROR: Final = "ext_authz_error"
_FLAG: Final = "UAEX"
_FAILURE_ALLOWED: Final = "x-envoy-auth-failure-mode-allowed"
_DURATION: Final = "ext_authz_duration"


class State(enum.Enum):
    """See the module docstring."""

    NOT_STARTED = "not started"
    BUFFERING = "buffering"
    ASKING = "asking"
    DONE = "done"


NOT_STARTED: Final = State.NOT_STARTED
BUFFERING: Final = State.BUFFERING
ASKING: Final = State.ASKING
DONE: Final = State.DONE


class ExtAuthzFilter(HttpFilter):
    """See the module docstring."""

    __slots__ = ("_settings", "_state", "_service", "_buffering", "_call", "_hold", "_parked", "_since", "_to_client")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = NOT_STARTED
        self._service: Service = settings.service
        self._buffering: Optional[BufferSettings] = None
        self._call: Optional[Call] = None
        self._hold: Optional[Hold] = None
        self._parked = False  # the chain has stopped for the verdict
        self._since = 0.0
        self._to_client: List[Pair] = []

    # -- the request -----------------------------------------------------------------------------------------------

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Ask, or wait for the body first. A request without a route will not get anywhere anyway."""
        settings = self._settings
        if self.decoder.route is None:
            return CONTINUE
        route: Optional[RouteSettings] = self.decoder.route_config()
        if route is not None and route.disabled:
            return CONTINUE
        if not settings.applies(self.decoder.info):
            return self._pass_unasked()
        self._buffering = settings.buffering
        if route is not None:
            self._service = route.service or settings.service
            self._buffering = route.buffering_for(settings.buffering)
        if self._buffering is None or end_stream or head.upgrade:
            return self._ask(head, b"", None, STOP_ALL_AND_WATERMARK)
        self._state = BUFFERING
        if not self._buffering.allow_partial_message:
            self.decoder.set_decoder_buffer_limit(self._buffering.max_request_bytes)
        return STOP_ITERATION

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Keep it; ask when there is enough."""
        buffering = self._buffering
        if self._state is ASKING:
            return STOP_AND_WATERMARK
        if self._state is not BUFFERING or buffering is None:
            return CONTINUE
        kept, most = self.decoder.decoding_buffer, buffering.max_request_bytes
        size = kept.size + data.size
        if size > most and not buffering.allow_partial_message:
            return STOP_AND_BUFFER  # which is over the limit
        if not end_stream and size < most:
            return STOP_AND_BUFFER
        body = kept.peek(most)
        if len(body) < most:
            body += data.peek(most - len(body))
        return self._ask(self.decoder.request, body, size > most, STOP_AND_WATERMARK)

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        """The end of the body."""
        if self._state is BUFFERING and self._buffering is not None:
            body = self.decoder.decoding_buffer.peek(self._buffering.max_request_bytes)
            return self._ask(self.decoder.request, body, False, STOP_ITERATION)
        return STOP_ITERATION if self._state is ASKING else CONTINUE

    def on_destroy(self) -> None:
        """Nobody waits for the verdict any more."""
        self._state = DONE
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _pass_unasked(self) -> FilterStatus:
        settings = self._settings
        settings.count_disabled()
        if settings.denies_others:
            self.decoder.info.add_flag(_FLAG)
            self.decoder.send_local_reply(settings.status_on_error, b"", _ERROR)
            return STOP_ITERATION
        return CONTINUE

    def _ask(self, head: RequestHead, body: bytes, partial: Optional[bool], stop: FilterStatus) -> FilterStatus:
        """stop: how to stop until the verdict is there. It may be there at once, where there is nobody to ask."""
        self._state = ASKING
        self._since = self.decoder.reactor.now
        service = self._service
        question = service.request(head, body, partial, self.decoder.info)
        call = self._settings.client.send(service.cluster, question, body, service.timeout, self._on_answer)
        if self._state is not ASKING:
            return CONTINUE
        self._call = call
        self._hold = self.decoder.hold(f"the verdict of cluster {service.cluster}")
        self._parked = True
        return stop

    # -- the verdict -----------------------------------------------------------------------------------------------

    def _on_answer(self, head: Optional[ResponseHead], body: bytes) -> None:
        self._call = None
        self._state = DONE
        if self._hold is not None:
            self._hold.release()
        verdict = self._service.verdict(head, body)
        if verdict is None:
            self._fail()
            return
        if verdict.metadata:
            values: Dict[str, Any] = dict(verdict.metadata)
            values[_DURATION] = int((self.decoder.reactor.now - self._since) * 1000)
            self.decoder.info.set_dynamic_metadata(self.decoder.name, values)
        if verdict.allowed:
            self._allow(verdict)
        else:
            self._refuse(verdict)

    def _allow(self, verdict: Verdict) -> None:
        headers, changed = self.decoder.request.headers, False
        for name, value in verdict.set:
            headers.remove(name)
            headers.add(name, value)
            changed = True
        for name, value in verdict.append:
            if name in headers:
                headers.add(name, value)
                changed = True
        for name in verdict.remove:
            if not is_pseudo(name):
                changed = headers.remove(name) or changed
        if changed and self._settings.clears_route:
            self.decoder.clear_route_cache()
        self._to_client = verdict.to_client
        self._count("ok")
        self._go_on()

    def _refuse(self, verdict: Verdict) -> None:
        settings = self._settings
        self._count("denied")
        if settings.charges:
            settings.charge_route(self.decoder.route, self.decoder.request, verdict.status)
        self.decoder.info.add_flag(_FLAG)
        body = verdict.body[:settings.most_of_refusal] if settings.most_of_refusal else verdict.body

        def write(headers: Headers) -> None:
            for name, value in verdict.to_client:
                headers.add(name, value)

        self.decoder.send_local_reply(verdict.status, body, _DENIED, write)

    def _fail(self) -> None:
        settings = self._settings
        self._count("error")
        if settings.allows_on_failure:
            self._count("failure_mode_allowed")
            if settings.tells_failure:
                self.decoder.request.headers.set(_FAILURE_ALLOWED, "true")
            self._go_on()
            return
        self.decoder.info.add_flag(_FLAG)
        self.decoder.send_local_reply(settings.status_on_error, b"", _ERROR)

    def _go_on(self) -> None:
        if self._parked:
            self._parked = False
            self.decoder.continue_decoding()

    def _count(self, name: str) -> None:
        self._settings.count(name, self.decoder.route, self.decoder.request)

    # -- the response ----------------------------------------------------------------------------------------------

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """What the server wants the client to know."""
        for name, value in self._to_client:
            head.headers.add(name, value)
        return CONTINUE
