"""Everything about one live connection: what it waits for, who parked it, what would wake it, why it went where it went.

`full_answer` collects; `connection_page` prints. All of it is read off the connection, its filters and its timers now; two
questions go to the kernel, about the bytes that it holds. The keys are those of `connection_rows.row`, and more.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from ..listener.chosen import chosen_chain
from ..network import sockets
from ..network.connection import Connection
from ..network.states import ENDED
from ..observe.reasons import PendingTimer, Reasons, ago_text, ending_text, listed, reasons_of, size_text
from .connection_rows import ABOVE_HIGH, HALF_CLOSED, STALLED, place_of, row, seconds
from .connection_streams import WHY_CLUSTER, WHY_HOST, active_stream, parked_stream, stream_answers, what_parked_it
from .connection_timers import pending_timers
from .host import AdminHost


def full_answer(host: AdminHost, connection: Connection) -> Dict[str, Any]:
    """The facts, JSON-ready."""
    now = host.reactor.now
    facts = row(connection, now)
    said = [one for one in map(reasons_of, _parts(connection)) if one is not None]
    timers = pending_timers(host, connection, said)
    peer = _peer(host, connection)
    received, unsent = sockets.kernel_queues(connection.sock) if connection.fd >= 0 else (None, None)
    facts.update(
        receiving=_receiving(connection, facts, received),
        sending=_sending(connection, facts, unsent, now),
        pipeline=_pipeline(connection),
        parked=_parked(connection, now),
        timers=[{"name": one.name, "left_s": seconds(one.due - now), "source": one.source} for one in timers],
        chain=_chain(host, connection),
        upstream=_upstream(connection, said, peer),
        tls=_tls(connection),
        close=_close(connection),
        peer=row(peer, now) if peer is not None else None,
        streams=stream_answers(connection, now),
    )
    facts["summary"] = _summary(facts, timers, now)
    return facts


def _parts(connection: Connection) -> List[Any]:
    """All that may have something to say, each once: filters of both directions, then callbacks."""
    parts: List[Any] = [slot.filter for slot in connection.read_chain.slots]
    if connection.write_chain is not None:
        parts += [slot.filter for slot in connection.write_chain.filters()]
    found: Dict[int, Any] = {id(part): part for part in (*parts, *connection.callbacks)}
    return list(found.values())


def _peer(host: AdminHost, connection: Connection) -> Optional[Connection]:
    """The other half of the pair. While it is connecting only the common facts lead to it."""
    for other in host.table.live():
        if other.info is connection.info and other is not connection:
            return other
    return None


def _receiving(connection: Connection, facts: Dict[str, Any], kernel: Optional[int]) -> Dict[str, Any]:
    return {
        "state": facts["read_state"],
        "ended": connection.read_state is ENDED,
        "bytes": facts["bytes_in"],
        "last_s": facts["last_read_s"],
        "buffered": facts["read_buffer"]["bytes"],
        "limit": facts["read_buffer"]["limit"],
        "kernel_bytes": kernel,
        "paused_by": facts["reading_paused_by"],
        "paused_s": facts["paused_s"],
    }


def _sending(connection: Connection, facts: Dict[str, Any], kernel: Optional[int], now: float) -> Dict[str, Any]:
    return {
        "state": facts["write_state"],
        "ended": connection.write_state is ENDED,
        "bytes": facts["bytes_out"],
        "last_s": facts["last_write_s"],
        "buffered": facts["write_buffer"]["bytes"],
        "limit": facts["write_buffer"]["limit"],
        "above_high": connection.above_high,
        "above_high_s": seconds(now - connection.above_high_at) if connection.above_high else None,
        "kernel_bytes": kernel,
    }


def _pipeline(connection: Connection) -> List[Dict[str, Any]]:
    """The filters in the order in which they see bytes, with what they say of themselves."""
    chain = connection.read_chain
    stages = [_stage(slot, "read", chain.parked_by == slot.name) for slot in chain.slots]
    if connection.write_chain is not None:
        stages += [_stage(slot, "write", False) for slot in connection.write_chain.filters()]
    return stages


def _stage(slot: Any, direction: str, is_parked: bool) -> Dict[str, Any]:
    said = reasons_of(slot.filter) or Reasons()
    facts = {name: value for name, value in said.facts.items() if name not in (WHY_CLUSTER, WHY_HOST)}
    return {"name": slot.name, "direction": direction, "parked": is_parked, "state": said.state, "facts": facts}


def _parked(connection: Connection, now: float) -> Optional[Dict[str, Any]]:
    """Which filter stopped the chain, and what could wake it."""
    chain = connection.read_chain
    if not chain.parked_by:
        stream, held = active_stream(connection), parked_stream(connection)
        return what_parked_it(stream, held, now) if stream is not None and held is not None else None
    holds = [
        {"reason": hold.reason, "left_s": seconds(hold.timer.when - now) if hold.timer is not None else None}
        for hold in chain.holds
    ]
    wakes_by = [hold.reason for hold in chain.holds]
    if connection.may_read_more:
        wakes_by.append(f"more bytes from the peer, of which none came for {ago_text(max(0.0, now - connection.last_read))}")
    return {
        "by": chain.parked_by, "seconds": seconds(now - chain.parked_since), "stalled": chain.stalled, "holds": holds,
        "wakes_by": wakes_by,
    }


def _chain(host: AdminHost, connection: Connection) -> Optional[Dict[str, Any]]:
    chosen = chosen_chain(host.listeners.lists, connection)
    return {"name": chosen.name, "why": chosen.why} if chosen is not None else None


def _upstream(connection: Connection, said: Sequence[Reasons], peer: Optional[Connection]) -> Optional[Dict[str, Any]]:
    """Where the bytes go, of the pair as a whole: both halves give the same answer."""
    upstream = connection.info.upstream
    if upstream is None or not upstream.cluster_raw:
        return None
    everything = [*said, *(one for one in map(reasons_of, _parts(peer) if peer is not None else []) if one is not None)]
    why = {name: value for one in everything for name, value in one.facts.items()}
    _, _, cluster, host = place_of(connection)
    return {
        "cluster": cluster,
        "host": host,
        "state": "connected" if upstream.remote_address else "not connected",
        "why_cluster": why.get(WHY_CLUSTER, ""),
        "why_host": why.get(WHY_HOST, ""),
        "attempts": upstream.attempt_count,
        "hosts_attempted": list(upstream.hosts_attempted),
        "connect_ms": upstream.pool_ready_ms,
        "failure": upstream.transport_failure_reason,
    }


def _tls(connection: Connection) -> Optional[Dict[str, Any]]:
    """What is known of the session, less the peer's whole certificate and what is empty."""
    facts = connection.transport.facts()
    if facts is None:
        return None
    return {name: value for name, value in facts.items() if name != "peer_cert" and value not in (None, "", [])}


def _close(connection: Connection) -> Optional[Dict[str, Any]]:
    """The reason of a close that is under way."""
    reason = connection.close_reason
    if reason is None:
        return None
    words = reason.by, reason.how, reason.detail, reason.config
    return {**dict(zip(("by", "how", "detail", "config"), words)), "text": ending_text(*words)}


# -- in one sentence -----------------------------------------------------------------------------------------

def _summary(facts: Dict[str, Any], timers: Sequence[PendingTimer], now: float) -> str:
    """What it does or waits for, the most telling first, with the bound on the wait."""
    return f"{_doing(facts)}; {_next(timers, now)}."


def _doing(facts: Dict[str, Any]) -> str:
    states, parked, close = facts["states"], facts["parked"], facts["close"]
    what = f"the {facts['streams'][0]['parked_direction'] or 'request'}" if facts["streams"] else "the chain"
    if close is not None:
        waiting = size_text(facts["write_buffer"]["bytes"])
        return f"Closing ({close['text']}), {facts['state']} with {waiting} to send"
    if STALLED in states:
        return (f"STALLED: filter '{parked['by']}' stopped {what} {ago_text(parked['seconds'])} ago and nothing is left "
                "that could wake it")
    if parked is not None:
        wakes = ", or ".join(parked["wakes_by"]) or "nothing"
        return f"Filter '{parked['by']}' stopped {what} {ago_text(parked['seconds'])} ago and waits for {wakes}"
    if ABOVE_HIGH in states:
        waiting = size_text(facts["write_buffer"]["bytes"])
        return f"The peer reads too slowly: {waiting} wait for it, for {ago_text(facts['sending']['above_high_s'])}"
    if facts["streams"]:
        return _request(facts)
    if facts["reading_paused_by"]:
        return f"Reading has been paused for {ago_text(facts['paused_s'])} by: {listed(facts['reading_paused_by'])}"
    if HALF_CLOSED in states:
        ended = "The peer has ended its direction" if facts["receiving"]["ended"] else "We have ended our direction"
        return f"{ended}, the other one is open"
    if facts["state"] == "connecting":
        return f"Connecting for {ago_text(facts['age_s'])}"
    return f"Open; the last byte moved {ago_text(min(facts['last_read_s'], facts['last_write_s']))} ago"


def _request(facts: Dict[str, Any]) -> str:
    stream = facts["streams"][0]
    line = f"{stream['method']} {stream['path']}" if stream["method"] else "A request"
    whose = f" of C{stream['connection_id']}" if facts["side"] == "upstream" else ""
    return f"{line}{whose}, {ago_text(stream['age_s'])} old: {stream['state']}"


def _next(timers: Sequence[PendingTimer], now: float) -> str:
    if not timers:
        return "no timer is set"
    return f"in {ago_text(max(0.0, timers[0].due - now))} at the latest: {timers[0].name}"
