"""The HTTP requests of a connection as rows: what each asks for, where it is, and which filter holds it up.

A client's connection has the requests under way, one in HTTP/1; a connection of an HTTP pool shows the one that it serves, which
is the same request seen from the other side. Each row is made when it is asked for. JSON-ready; times in seconds, sizes in bytes.
"""

from __future__ import annotations

import itertools
from typing import Any, Dict, Final, List, Optional

from ..http.connection_manager.connection import HttpConnection
from ..http.connection_manager.explained import waits_for
from ..http.connection_manager.stall import Parked, parked
from ..http.connection_manager.stream import ActiveStream
from ..network.connection import Connection
from ..observe.reasons import Reasons, reasons_of
from ..observe.stream_info import StreamInfo
from ..upstream.http_pool.exchange import Exchange

MOST_STREAMS: Final = 10  # of one connection
MOST_OF_A_PATH: Final = 200  # characters
# Facts of a filter or callback that have a place of their own in an answer.
WHY_CLUSTER: Final = "why_cluster"
WHY_HOST: Final = "why_host"

Json = Dict[str, Any]


def manager_of(connection: Connection) -> Optional[HttpConnection]:
    """Who speaks HTTP with this client, None if nobody does."""
    for slot in connection.read_chain.slots:
        if isinstance(slot.filter, HttpConnection):
            return slot.filter
    return None


def active_stream(connection: Connection) -> Optional[ActiveStream]:
    """The request of a client's connection that is under way."""
    manager = manager_of(connection)
    return manager.stream if manager is not None else None


def served_by(connection: Connection) -> Optional[StreamInfo]:
    """Of the request that this connection of an HTTP pool serves now, None if there is none, or not a client's."""
    for slot in connection.read_chain.slots:
        if isinstance(slot.filter, Exchange) and slot.filter.stream is not None:
            return slot.filter.stream.info
    return None


def parked_stream(connection: Connection) -> Optional[Parked]:
    """What holds the request under way up, None if nothing does."""
    stream = active_stream(connection)
    return parked(stream) if stream is not None else None


def is_stalled(stream: ActiveStream) -> bool:
    """Whether it was found that nothing is left to wake it."""
    return stream.stall_watch is not None and stream.stall_watch.stalled


def stream_rows(connection: Connection, now: float) -> List[Json]:
    """All of a connection, `MOST_STREAMS` at most."""
    manager = manager_of(connection)
    if manager is not None:
        return [stream_row(one, now) for one in itertools.islice(manager.streams(), MOST_STREAMS)]
    info = served_by(connection)
    return [_row(info, now)] if info is not None else []


def stream_row(stream: ActiveStream, now: float) -> Json:
    """One request of a client."""
    row = _row(stream.info, now)
    names = [one.decoder.name for one in stream.filters]
    row.update(state=waits_for(stream), filters=names or [entry.name for entry in stream.chain.entries])
    found = parked(stream)
    if found is not None:
        row.update(
            parked_by=found.name, parked_direction=found.direction, parked_s=round(now - found.since, 3), kept=found.kept,
            stalled=is_stalled(stream),
        )
    return row


def _row(info: StreamInfo, now: float) -> Json:
    """What is known of a request on either side."""
    facts: Any = info.http
    head, route, upstream = facts.request, facts.route, info.upstream
    return {
        "method": head.method if head is not None else "",
        "path": head.path[:MOST_OF_A_PATH] if head is not None else "",
        "authority": (head.authority or "")[:MOST_OF_A_PATH] if head is not None else "",
        "state": "served here",
        "age_s": round(max(0.0, now - info.start_mono), 3),
        "bytes_in": info.bytes_received,
        "bytes_out": info.bytes_sent,
        "response_code": facts.response_code or None,
        "route": route.name if route is not None else "",
        "virtual_host": route.virtual_host.name if route is not None else "",
        "cluster": upstream.cluster_raw if upstream is not None else "",
        "host": upstream.connecting_to if upstream is not None else "",
        "attempts": upstream.attempt_count if upstream is not None else 0,
        "flags": list(info.response_flags),
        "connection_id": info.connection_id,
        # Until the response is whole; then the connection is another request's.
        "upstream_id": upstream.connection_id or None if upstream is not None and facts.us_rx_end is None else None,
        "filters": [],
        "parked_by": "",
        "parked_direction": "",
        "parked_s": None,
        "kept": 0,
        "stalled": False,
    }


# -- in full -------------------------------------------------------------------------------------------------

def stream_answers(connection: Connection, now: float) -> List[Json]:
    """`stream_rows` with what the filters of each request say of themselves."""
    rows = stream_rows(connection, now)
    manager = manager_of(connection)
    if manager is not None:
        for row, stream in zip(rows, manager.streams()):
            _explain(stream, row)
    return rows


def _explain(stream: ActiveStream, row: Json) -> None:
    """Add its filters in the order in which they see the request, and why it goes to its host. parked: the direction that a
    filter has stopped, "" for none."""
    row.update(pipeline=[], why_host="")
    for one in stream.filters:
        said, name = reasons_of(one) or Reasons(), one.decoder.name
        row["why_host"] = said.facts.get(WHY_HOST, row["why_host"])
        row["pipeline"].append({
            "name": name, "parked": row["parked_direction"] if name == row["parked_by"] else "", "state": said.state,
            "facts": {fact: value for fact, value in said.facts.items() if fact not in (WHY_CLUSTER, WHY_HOST)},
        })


def what_parked_it(stream: ActiveStream, found: Parked, now: float) -> Json:
    """The answer's "parked": by whom, since when, what it waits for."""
    holds = [
        {"reason": hold.reason, "left_s": round(max(0.0, hold.timer.when - now), 3) if hold.timer is not None else None}
        for hold in stream.holds
    ]
    wakes_by = [hold.reason for hold in stream.holds]
    if found.iteration.offers_more_to(found.slot):
        wakes_by.append(f"more of the {found.direction}")
    return {
        "by": found.name, "seconds": round(now - found.since, 3), "stalled": is_stalled(stream), "holds": holds,
        "wakes_by": wakes_by,
    }
