"""The HTTP/1.1 check: a request whose answer has an expected status and, if asked for, body and server name. Mirrors
`HttpHealthCheckerImpl`.

    request     GET <path>, host, `user-agent: Envoy/HC`, then what is configured
    answer      status not expected: failed (x-envoy-immediate-health-check-fail: and not to be counted); body or name not as
                wanted: failed; x-envoy-degraded: passed, but degraded

The connection is used again unless one side says that it is the last time.
"""

from __future__ import annotations

import time
from typing import Callable, Final, List, Optional, Sequence, Tuple

from ...config.model.core import Int64Range
from ...config.model.header_value import (
    ADD_IF_ABSENT, OVERWRITE_IF_EXISTS, OVERWRITE_IF_EXISTS_OR_ADD, HeaderValueOption,
)
from ...config.model.health_check import HttpHealthCheck
from ...errors import ConfigError, Problem
from ...http.codec import ClientCodec
from ...http.events import NEED_DATA, PAUSED, ConnectionClosed, Data, EndOfMessage, RequestHead, ResponseHead
from ...http.headers import Headers
from ...http.settings import Http1Settings, ProtocolError
from ...observe.access_log.format import FormatCompiler, TextFormatter
from ...observe.access_log.matchers import string_matcher
from ...observe.access_log.values import LogContext
from ...observe.stats import Counter
from ...observe.stream_info import StreamInfo
from .dialogue import Ends, InOrder
from .outcome import ACTIVE, LOST, Outcome

USER_AGENT: Final = "Envoy/HC"
DEFAULT_BODY_BYTES: Final = 1024
IMMEDIATE_FAIL: Final = "x-envoy-immediate-health-check-fail"
DEGRADED: Final = "x-envoy-degraded"
SERVED_CLUSTER: Final = "x-envoy-upstream-healthchecked-cluster"
MOST_RESPONSE_HEAD_KB: Final = 80
_DEFAULT_STATUSES: Final = (range(200, 201),)


class HttpKind:
    """See the module docstring."""

    name = "HTTP"
    idle_close_fails = False
    ignores_noise = False

    def __init__(self, config: HttpHealthCheck, cluster_name: str, verified: Counter, path: str) -> None:
        """verified: how often the server's name was looked at. path: of the message. Raises ConfigError."""
        self.settings = Http1Settings(max_headers_kb=MOST_RESPONSE_HEAD_KB)
        self._host = config.host or cluster_name
        self._path = config.path
        self._method = "GET" if config.method == "METHOD_UNSPECIFIED" else config.method
        self._added = _compiled(config.request_headers_to_add, f"{path}.request_headers_to_add")
        self._removed = [name.lower() for name in config.request_headers_to_remove]
        self._expected = _ranges(config.expected_statuses) or _DEFAULT_STATUSES
        self._retriable = _ranges(config.retriable_statuses)
        self.body = [payload.data for payload in config.receive]
        most = config.response_buffer_size
        self.most_body = DEFAULT_BODY_BYTES if most is None else most
        matcher = config.service_name_matcher
        self._server_matches: Optional[Callable[[str], bool]] = string_matcher(matcher) if matcher is not None else None
        self._verified = verified

    def new_dialogue(self, host_name: str, info: StreamInfo, ends: Ends) -> HttpDialogue:
        """For a new connection."""
        return HttpDialogue(self, host_name or self._host, info)

    def request(self, authority: str, info: StreamInfo) -> RequestHead:
        """The request to `authority`."""
        headers = Headers([("user-agent", USER_AGENT)])
        for name in self._removed:
            headers.remove(name)
        if self._added:
            context = LogContext("NotSet", time.time(), info.start_mono)
            for option, value in self._added:
                _add(headers, option, value.format(info, context))
        return RequestHead(self._method, self._path, headers=headers, authority=authority)

    def judge(self, head: ResponseHead, body_matches: bool) -> Outcome:
        """What an answer means."""
        status, headers = head.status, head.headers
        if not any(status in one for one in self._expected):
            retriable = any(status in one for one in self._retriable)
            return Outcome(ACTIVE, retriable, status, excluded=IMMEDIATE_FAIL in headers)
        if not body_matches:
            return Outcome(ACTIVE, status=status, excluded=IMMEDIATE_FAIL in headers)
        if self._server_matches is not None:
            self._verified.inc()
            if not self._server_matches(headers.get(SERVED_CLUSTER) or ""):
                return Outcome(ACTIVE, status=status)
        return Outcome(status=status, degraded=DEGRADED in headers)


class HttpDialogue:
    """One connection."""

    __slots__ = ("reusable", "_kind", "_authority", "_info", "_codec", "_head", "_body", "_body_bytes", "_body_matches")

    def __init__(self, kind: HttpKind, authority: str, info: StreamInfo) -> None:
        self.reusable = True
        self._kind = kind
        self._authority = authority
        self._info = info
        self._codec = ClientCodec(kind.settings)
        self._head: Optional[ResponseHead] = None
        self._body = InOrder(kind.body)
        self._body_bytes = 0
        self._body_matches = not kind.body

    def begin(self) -> bytes:
        """The request."""
        self._head = None
        self._body = InOrder(self._kind.body)
        self._body_bytes = 0
        self._body_matches = not self._kind.body
        return self._codec.send_request(self._kind.request(self._authority, self._info), end_stream=True)

    def connected(self) -> Optional[Outcome]:
        """The answer counts."""
        return None

    def receive(self, data: bytes) -> Optional[Outcome]:
        """The whole answer decides. What is no HTTP is as good as no answer."""
        self._codec.receive(data)
        return self._read()

    def receive_eof(self) -> Outcome:
        """The end of an answer whose end nothing else tells, or of one that is cut short."""
        self._codec.receive_eof()
        return self._read() or self._over(LOST)

    def _read(self) -> Optional[Outcome]:
        try:
            event = self._codec.next_event()
            while event is not NEED_DATA and event is not PAUSED:
                if isinstance(event, ResponseHead):
                    self._head = event
                elif isinstance(event, Data):
                    self._look_at(event.data)
                elif isinstance(event, EndOfMessage):
                    return self._finished()
                elif isinstance(event, ConnectionClosed):  # before the first byte; it would be said again for ever
                    return None
                event = self._codec.next_event()
        except ProtocolError:
            return self._over(LOST)
        return None

    def _look_at(self, data: bytes) -> None:
        most = self._kind.most_body
        if most:
            data = data[:most - self._body_bytes]
        self._body_bytes += len(data)
        if data and not self._body_matches:
            self._body_matches = self._body.feed(data)

    def _finished(self) -> Outcome:
        head = self._head
        assert head is not None
        if not head.keep_alive or self._codec.trailing_data or not self._codec.cycle.keep_alive:
            self.reusable = False
        return self._kind.judge(head, self._body_matches)

    def _over(self, outcome: Outcome) -> Outcome:
        self.reusable = False
        return outcome


def _ranges(configured: Sequence[Int64Range]) -> Tuple[range, ...]:
    return tuple(range(one.start, one.end) for one in configured)


def _compiled(options: Sequence[HeaderValueOption], path: str) -> List[Tuple[HeaderValueOption, TextFormatter]]:
    compiler, found, problems = FormatCompiler(), [], []
    for index, option in enumerate(options):
        assert option.header is not None  # required
        try:
            found.append((option, compiler.text(option.header.value)))
        except ValueError as error:
            problems.append(Problem(f"{path}[{index}].header.value", str(error)))
    if problems:
        raise ConfigError(problems)
    return found


def _add(headers: Headers, option: HeaderValueOption, value: str) -> None:
    assert option.header is not None
    if not value and not option.keep_empty_value:
        return
    name = option.header.key.lower()
    value = value.encode("utf-8").decode("latin-1")
    is_there = headers.get(name) is not None
    if option.action == ADD_IF_ABSENT and is_there or option.action == OVERWRITE_IF_EXISTS and not is_there:
        return
    if option.action in (OVERWRITE_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS):
        headers.set(name, value)
    else:
        headers.add(name, value)
