"""The server that ext_authz asks: what it is sent, and what its answer means. Mirrors `RawHttpClientImpl`."""

from __future__ import annotations

from typing import Callable, Final, List, NamedTuple, Optional, Tuple

from ....config.model.header_value import OVERWRITE_IF_EXISTS_OR_ADD, HeaderValueOption
from ....config.model.matcher import ListStringMatcher
from ....errors import ConfigError, Problem
from ....http.events import HTTP_11, RequestHead, ResponseHead
from ....http.filter_api import HttpFactoryContext
from ....http.headers import Headers
from ....http.routing.header_mutation import prepare_headers
from ....http.routing.text import wire
from ....observe.access_log.matchers import string_matcher
from ....observe.stream_info import StreamInfo
from .config import AuthorizationResponse, HttpService

PARTIAL_BODY: Final = "x-envoy-auth-partial-body"
_TO_REMOVE: Final = "x-envoy-auth-headers-to-remove"
# What frames the client's message, which is another one than that to the server.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
_ALWAYS_TO_CLIENT: Final = frozenset({"www-authenticate", "location", "content-length"})

Pair = Tuple[str, str]
NameTest = Callable[[str], bool]


class Verdict(NamedTuple):
    """What the server says. Pairs are header lines: `set`, `append` and the names `remove` for the request, `to_client` for the
    response. metadata: values for the dynamic metadata. status, body: of the refusal."""

    allowed: bool
    set: List[Pair]
    append: List[Pair]
    remove: List[str]
    to_client: List[Pair]
    metadata: List[Pair]
    status: int
    body: bytes


class Service:
    """One server as configured. cluster, timeout: how it is asked."""

    __slots__ = ("cluster", "timeout", "_prefix", "_override", "_sends", "_add", "_set", "_append", "_on_refusal", "_on_success",
                 "_metadata")

    def __init__(
        self, config: HttpService, allowed: Optional[ListStringMatcher], disallowed: Optional[ListStringMatcher],
        context: HttpFactoryContext, path: str,
    ) -> None:
        """allowed, disallowed: of the filter. Raises `ConfigError`."""
        assert config.server_uri is not None
        self.cluster = config.server_uri.cluster or ""
        self.timeout = config.server_uri.timeout or 0.0
        self._prefix, self._override = wire(config.path_prefix), wire(config.path_override)
        request = config.authorization_request
        own = request.allowed_headers if request is not None else None
        self._sends = _sends(own if own is not None else allowed, disallowed)
        options = [
            HeaderValueOption(header=one, append_action=OVERWRITE_IF_EXISTS_OR_ADD)
            for one in (request.headers_to_add if request is not None else [])
        ]
        problems: List[Problem] = []
        self._add = prepare_headers(options, (), context.formats, f"{path}.authorization_request", "request", problems)
        if problems:
            raise ConfigError(problems)
        answer = config.authorization_response or AuthorizationResponse()
        self._set = _test(answer.allowed_upstream_headers)
        self._append = _test(answer.allowed_upstream_headers_to_append)
        self._on_success = _test(answer.allowed_client_headers_on_success)
        self._on_refusal = _refusal_test(answer.allowed_client_headers)
        self._metadata = _test(answer.dynamic_metadata_from_headers)

    def request(self, head: RequestHead, body: bytes, partial: Optional[bool], info: StreamInfo) -> RequestHead:
        """The head of the request to the server. partial: whether `body` is cut off, None where bodies are not sent."""
        headers = Headers([("content-length", str(len(body)))])
        sends = self._sends
        for name, value in head.headers.items():
            if sends(name):
                headers.add(name, value)
        if partial is not None:
            headers.set(PARTIAL_BODY, "true" if partial else "false")
        if self._add is not None:
            self._add(headers, info)
        path = self._override or self._prefix + head.path
        return RequestHead(head.method, path, HTTP_11, headers, head.authority, head.scheme)

    def verdict(self, head: Optional[ResponseHead], body: bytes) -> Optional[Verdict]:
        """What an answer means; None for a failure, which a 5xx is as well."""
        if head is None or 500 <= head.status < 600:
            return None
        lines = list(head.headers.items())
        allowed = head.status == 200
        to_client = self._on_success if allowed else self._on_refusal
        removed = head.headers.get(_TO_REMOVE) or ""
        return Verdict(
            allowed, [pair for pair in lines if self._set(pair[0])] if allowed else [],
            [pair for pair in lines if self._append(pair[0])] if allowed else [],
            [name.strip().lower() for name in removed.split(",") if name.strip()],
            [pair for pair in lines if to_client(pair[0])], [pair for pair in lines if self._metadata(pair[0])],
            head.status, body,
        )


def _sends(allowed: Optional[ListStringMatcher], disallowed: Optional[ListStringMatcher]) -> NameTest:
    """Which headers of the request the server gets: authorization, and what is allowed; nothing that is disallowed."""
    takes, refuses = _test(allowed), _test(disallowed)
    return lambda name: (name == "authorization" or takes(name)) and not refuses(name) and name not in _FRAMING


def _refusal_test(allowed: Optional[ListStringMatcher]) -> NameTest:
    if allowed is None:
        return lambda name: name != _TO_REMOVE
    takes = _test(allowed)
    return lambda name: name in _ALWAYS_TO_CLIENT or takes(name)


def _test(matcher: Optional[ListStringMatcher]) -> NameTest:
    """Whether one of the patterns matches a (lower-case) name; without a matcher none does."""
    if matcher is None:
        return lambda name: False
    tests = [string_matcher(pattern, wire) for pattern in matcher.patterns]
    return lambda name: any(test(name) for test in tests)
