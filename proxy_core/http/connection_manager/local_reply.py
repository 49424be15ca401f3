"""Answers that are made here instead of by an upstream, and what `local_reply_config` makes of them. Mirrors
`Http::Utility::prepareLocalReply` and `LocalReplyImpl`.

Place in the data's way: a filter or the manager asks for a status, a body and details; `make` gives the head and the body, which
then go through the encode hooks like any response.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from ...observe.access_log.logger import Filter
from ...observe.access_log.values import LogContext
from ...observe.stream_info import StreamInfo
from ..events import ResponseHead
from ..headers import Headers
from ..routing.body_format import PLAIN_TEXT, BodyFormat
from ..routing.header_mutation import Change
from ..routing.text import header_value
from .facts import StreamFacts


class LocalReply(NamedTuple):
    """What somebody wants answered. change_headers: called with the headers before anything is added to them."""

    status: int
    body: bytes
    details: str
    change_headers: Optional[Callable[[Headers], None]]


class Mapper(NamedTuple):
    """One of `mappers`, prepared: the first that `passes` decides. status: 0 to keep it. body: None to keep it."""

    passes: Filter
    status: int
    body: Optional[bytes]
    change: Optional[Change]
    format: Optional[BodyFormat]


class LocalReplies:
    """`local_reply_config`, prepared. now: the reactor's clock."""

    __slots__ = ("_mappers", "_format", "_now")

    def __init__(
        self, mappers: Sequence[Mapper], body_format: Optional[BodyFormat], now: Callable[[], float]
    ) -> None:
        self._mappers: List[Mapper] = list(mappers)
        self._format = body_format
        self._now = now

    def make(self, reply: LocalReply, info: StreamInfo, facts: StreamFacts) -> Tuple[ResponseHead, bytes]:
        """The response. Notes status and body in `facts`, where formats and filters find them."""
        headers = Headers()
        facts.response = ResponseHead(reply.status, headers=headers)  # for formats of headers that are added
        if reply.change_headers is not None:
            reply.change_headers(headers)
        status, body, content_type, typed = reply.status, reply.body, PLAIN_TEXT, False
        facts.response_code = status
        facts.local_reply_body = body.decode("utf-8", "surrogateescape")
        if self._mappers or self._format is not None:
            status, body, content_type, typed = self._rewrite(reply, headers, info, facts)
        if body:
            headers.set("content-length", str(len(body)))
            changed = content_type != PLAIN_TEXT or body != reply.body
            if "content-type" not in headers or changed and not typed:
                headers.set("content-type", header_value(content_type))
        else:
            headers.remove("content-length")
            headers.remove("content-type")
        return ResponseHead(status, headers=headers), body

    def _rewrite(
        self, reply: LocalReply, headers: Headers, info: StreamInfo, facts: StreamFacts
    ) -> Tuple[int, bytes, str, bool]:
        """Status and body, the type of what the format makes, and whether the mapper has said the type itself."""
        context = LogContext("NotSet", info.start_wall + (self._now() - info.start_mono), self._now())
        status, body, body_format = reply.status, reply.body, self._format
        mapper = next((one for one in self._mappers if one.passes(info, context)), None)
        said = headers.get("content-type")
        if mapper is not None:
            body = mapper.body if mapper.body is not None else body
            facts.local_reply_body = body.decode("utf-8", "surrogateescape")
            if mapper.change is not None:
                mapper.change(headers, info)
            status = mapper.status or status
            facts.response_code = status
            body_format = mapper.format or body_format
        typed = headers.get("content-type") != said
        if body_format is None:
            return status, body, PLAIN_TEXT, typed
        return status, body_format.render(info, context), body_format.content_type, typed
