"""What is sent to the client: the last changes of a response, the codec, the counting. Mirrors `ActiveStream::encodeHeaders` and
`ConnectionManagerUtility::mutateResponseHeaders`.

Place in the data's way: `Encode` calls it with what is past the last filter; the bytes go to the connection's write buffer.

Order of what is added, as in Envoy: date, server, x-request-id, via; the codec adds `connection` and how the body is framed.
"""

from __future__ import annotations

from typing import Any, Final

from ...buffer import Buffer
from ..events import ResponseHead
from ..framing import is_upgrade
from ..headers import Headers
from ..states import TUNNEL
from .settings import APPEND_IF_ABSENT, OVERWRITE
from .states import COMPLETE

# RFC 9110 section 7.6.1: of the connection that the response came over, not of the response.
_HOP_BY_HOP: Final = frozenset(("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"))
TUNNEL_LINE: Final = "DownstreamTunnelSuccessfullyEstablished"


def send_head(stream: Any, end_stream: bool) -> None:
    """The head of the response of an `ActiveStream`."""
    head: ResponseHead = stream.response
    manager, owner = stream.manager, stream.owner
    _finish_headers(stream, manager, head)
    codec = owner.codec
    if stream.request_state is not COMPLETE:
        codec.stop_keep_alive()  # what is left of the request is not wanted
        manager.stats.downstream_rq_response_before_rq_complete.value += 1
    elif owner.is_last_response():
        codec.stop_keep_alive()
    facts = stream.facts
    facts.response_code = head.status
    out = codec.send_response(head, end_stream)
    facts.header_bytes_sent = len(out) - out.find(b"\r\n") - 4  # the header lines, as Envoy counts them
    manager.count_response(head.status, facts.health_check)
    stream.response_started()
    stream.connection.write_bytes(out)
    if codec.cycle.server is TUNNEL:
        stream.tunnel = True
        if manager.log_on_tunnel:
            stream.write_log(TUNNEL_LINE)
    if end_stream:
        stream.response_ended()


def send_data(stream: Any, data: Buffer, end_stream: bool) -> None:
    """Some of its body, or of a tunnel."""
    owner = stream.owner
    size = data.size
    if size:
        stream.info.bytes_sent += size
        out = owner.codec.send_data(data.take(), end_stream)
        if out:
            stream.connection.write_bytes(out)
    elif end_stream:
        out = owner.codec.send_end()
        if out:
            stream.connection.write_bytes(out)
    if end_stream:
        stream.response_ended()


def send_trailers(stream: Any, trailers: Headers) -> None:
    """Its end, with trailers."""
    out = stream.owner.codec.send_end(trailers)
    if out:
        stream.connection.write_bytes(out)
    stream.response_ended()


def send_interim(stream: Any, status: int, headers: Headers) -> None:
    """A 1xx response: none of the changes of a final one but the removal of what is of the other connection only."""
    for name in _HOP_BY_HOP:
        headers.remove(name)
    out = stream.owner.codec.send_informational(status, headers)
    if out:
        stream.manager.count_response(status, stream.facts.health_check)
        stream.connection.write_bytes(out)


def _finish_headers(stream: Any, manager: Any, head: ResponseHead) -> None:
    headers = head.headers
    if headers.has_any(_HOP_BY_HOP):
        _remove_hop_by_hop(stream, headers)
    if "date" not in headers:
        headers.add("date", manager.date.now())
    transformation = manager.server_transformation
    if transformation is OVERWRITE or (transformation is APPEND_IF_ABSENT and "server" not in headers):
        headers.set("server", manager.server_name)
    if manager.always_set_request_id and stream.head is not None:
        request_id = stream.head.headers.get("x-request-id")
        if request_id is not None:
            headers.set("x-request-id", request_id)
    if manager.via:
        headers.append("via", manager.via, ", ")


def _remove_hop_by_hop(stream: Any, headers: Headers) -> None:
    grants = stream.head is not None and bool(stream.head.upgrade) and is_upgrade(headers)
    for name in _HOP_BY_HOP:
        if not (grants and (name == "upgrade" or name == "connection")):
            headers.remove(name)
