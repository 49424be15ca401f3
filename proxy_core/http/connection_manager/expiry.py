"""What happens when a wait is over: one function for each, given the `connection.HttpConnection`. See `timeouts`."""

from __future__ import annotations

from typing import Any, Final

from .states import COMPLETE

HEADER_TIMEOUT: Final = "request_header_timeout"
REQUEST_TIMEOUT: Final = "request_overall_timeout"
STREAM_IDLE: Final = "stream_idle_timeout"
MAX_DURATION: Final = "max_duration_timeout"


def idle(owner: Any) -> None:
    """No request for too long: drain, or close at once if there never was one."""
    owner.manager.stats.downstream_cx_idle_timeout.inc()
    owner.idle_timeout_reached()


def max_duration(owner: Any) -> None:
    """The connection is old enough."""
    owner.manager.stats.downstream_cx_max_duration_reached.inc()
    owner.max_duration_reached()


def drain_over(owner: Any) -> None:
    """Time to finish has passed."""
    owner.drain_over()


def request_headers(owner: Any) -> None:
    """The head did not come."""
    owner.manager.stats.downstream_rq_header_timeout.inc()
    owner.close_after_response()
    owner.stream.send_local_reply(408, b"request header timeout", HEADER_TIMEOUT)


def request(owner: Any) -> None:
    """The request as a whole did not come."""
    owner.manager.stats.downstream_rq_timeout.inc()
    owner.stream.send_local_reply(408, b"request timeout", REQUEST_TIMEOUT)


def stream_idle(owner: Any) -> None:
    """No byte moved for the stream."""
    stream = owner.stream
    owner.manager.stats.downstream_rq_idle_timeout.inc()
    stream.info.add_flag("SI")
    stream.send_local_reply(_late(stream), b"stream timeout", STREAM_IDLE)


def max_stream_duration(owner: Any) -> None:
    """The stream took too long."""
    stream = owner.stream
    owner.manager.stats.downstream_rq_max_duration_reached.inc()
    stream.send_local_reply(_late(stream), b"downstream duration timeout", MAX_DURATION)


def log_interval(owner: Any) -> None:
    """A periodic access-log line is due."""
    owner.log_periodically()


def _late(stream: Any) -> int:
    """Whose fault it is: the client's as long as its request is not complete."""
    return 504 if stream.request_state is COMPLETE else 408
