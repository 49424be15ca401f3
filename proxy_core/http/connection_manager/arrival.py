"""A request's head is there: what is checked, changed and decided before the first filter sees it. Mirrors the body of
`ConnectionManagerImpl::ActiveStream::decodeHeaders`, in its order.

Place in the data's way: between `stream.take_head` and the decode hooks. The order decides which answer a request gets that is
wrong in two ways; all answers made here are without a body.
"""

from __future__ import annotations

from typing import Any, Final, Optional

from ..events import HTTP_10, RequestHead
from ..headers import Headers
from ..route_api import Route
from .path import REDIRECTED, REFUSED

MISSING_HOST: Final = "missing_host_header"
MISSING_PATH: Final = "missing_path_rejected"
ABSOLUTE_PATH: Final = "absolute_path_rejected"
PATH_NORMALIZATION_FAILED: Final = "path_normalization_failed"
UPGRADE_FAILED: Final = "upgrade_failed"
QUERY_WITHOUT_TYPE: Final = "query_missing_content_type"
CONNECT: Final = "connect"


def admit(stream: Any, head: RequestHead) -> None:
    """Take the head of a request into an `ActiveStream`, up to its filters, or answer it here."""
    manager, owner = stream.manager, stream.owner
    if head.expect_continue and not manager.proxy_100_continue:
        head.headers.remove("expect")
        owner.say_continue(stream)
    if head.authority is None and head.version is HTTP_10 and manager.default_host:
        head.authority = manager.default_host
    if head.authority is None:
        stream.send_local_reply(400, b"", MISSING_HOST)
        return
    if not head.path.startswith("/") and head.method != "CONNECT":
        manager.stats.downstream_rq_non_relative_path.value += 1
        stream.send_local_reply(404, b"", ABSOLUTE_PATH if head.path else MISSING_PATH)
        return
    if head.method == "QUERY" and "content-type" not in head.headers:
        stream.send_local_reply(400, b"", QUERY_WITHOUT_TYPE)
        return
    if ("#" in head.path or manager.paths.active) and head.path and not _normalise(stream, head):
        return
    if manager.hosts is not None:
        head.authority = manager.hosts.apply(head.authority, owner.peer)
    manager.rules.apply(head, stream.info, owner.peer)
    enter(stream, head)


def enter(stream: Any, head: RequestHead) -> None:
    """Route a request that is admitted, and begin with its filters."""
    route = stream.route
    if head.upgrade and route is not None and not _allow_upgrade(stream, head, route):
        return
    if not stream.filters:
        stream.chain.install(stream, route)
    stream.start_filters(head)


def obey_route(stream: Any, route: Optional[Route]) -> None:
    """Limits that a route brings along instead of the manager's."""
    if route is None:
        return
    if route.request_body_buffer_limit is not None:
        stream.decode.limit = route.request_body_buffer_limit
    action = route.action
    if action is not None and (action.idle_timeout is not None or action.max_stream_duration is not None):
        if action.idle_timeout is not None:
            stream.idle_timeout = action.idle_timeout
        if action.max_stream_duration is not None:
            stream.max_duration = action.max_stream_duration
        stream.owner.timeouts.earlier_wait()


def _normalise(stream: Any, head: RequestHead) -> bool:
    verdict = stream.manager.paths.apply(head.path)
    head.path = verdict.path
    if verdict.outcome is REFUSED:
        stream.manager.stats.downstream_rq_failed_path_normalization.value += 1
        stream.send_local_reply(400, b"", PATH_NORMALIZATION_FAILED)
        return False
    if verdict.outcome is REDIRECTED:
        stream.manager.stats.downstream_rq_redirected_with_normalized_path.value += 1

        def locate(headers: Headers) -> None:
            headers.set("location", verdict.path)

        stream.send_local_reply(307, b"", PATH_NORMALIZATION_FAILED, locate)
        return False
    return True


def _allow_upgrade(stream: Any, head: RequestHead, route: Route) -> bool:
    """Whether route and manager let this request become a tunnel; it is refused here if not."""
    manager = stream.manager
    kind = head.upgrade.lower()
    choice = manager.upgrades.get(kind)
    on_route = route.action.upgrade(kind) if route.action is not None else None
    allowed = on_route if on_route is not None else choice is not None and choice.enabled
    if not allowed:
        stream.owner.close_after_response()  # what follows may be meant for the other protocol
        manager.stats.downstream_rq_ws_on_non_ws_route.value += 1
        stream.send_local_reply(403, b"", UPGRADE_FAILED)
        return False
    if choice is not None and choice.chain is not None:
        stream.chain = choice.chain
    stream.upgraded = True
    manager.stats.downstream_cx_upgrades_total.value += 1
    manager.stats.downstream_cx_upgrades_active.inc()
    return True
