"""What is unusual about connections: those that can't go on, or have waited for long. For `why`."""

from __future__ import annotations

from typing import Callable, Final, Iterator, List, Tuple

from ..network.connection import Connection
from ..network.states import ENDED
from ..observe.reasons import Finding, ago_text, listed, size_text
from .connection_rows import peer_id_of, place_of, side_of
from .host import AdminHost

# Seconds from which each is worth a line.
ABOVE_HIGH_FOR: Final = 1.0
PARKED_FOR: Final = 30.0
PAUSED_FOR: Final = 5.0
HALF_CLOSED_FOR: Final = 30.0
BEFORE_CHAIN_FOR: Final = 5.0

Since = Callable[[Connection], float]


def stalls(host: AdminHost) -> Iterator[Finding]:
    """Chains that are parked with nothing left to wake them: a filter forgot to continue, or to say what it waits for."""
    for connection, waited in _longest(host, lambda one: one.read_chain.stalled, lambda one: one.read_chain.parked_since, 0.0):
        name = connection.read_chain.parked_by
        if name:
            kept = size_text(connection.read_buffer.size)
            last = "no more bytes come" if connection.may_read_more else "no more bytes can come"
            yield _about(
                "stall", connection, waited,
                f"filter '{name}' of {_who(connection)} stopped the chain {ago_text(waited)} ago, keeps {kept} back, and nothing "
                f"is left that could wake it: no timer, no hold, {last}", name,
            )


def long_parked(host: AdminHost) -> Iterator[Finding]:
    """Chains that have long been parked for a reason."""
    def is_meant(one: Connection) -> bool:
        return bool(one.read_chain.parked_by) and not one.read_chain.stalled

    for connection, waited in _longest(host, is_meant, lambda one: one.read_chain.parked_since, PARKED_FOR):
        name, holds = connection.read_chain.parked_by, connection.read_chain.holds
        waits_for = ", ".join(hold.reason for hold in holds) or "more bytes"
        text = f"filter '{name}' of {_who(connection)} has stopped the chain for {ago_text(waited)}: waits for {waits_for}"
        yield _about("parked", connection, waited, text, name)


def slow_readers(host: AdminHost) -> Iterator[Finding]:
    """Who does not read what is written to him."""
    for connection, waited in _longest(host, lambda one: one.above_high, lambda one: one.above_high_at, ABOVE_HIGH_FOR):
        waiting, limit = size_text(connection.write_buffer.size), size_text(connection.settings.buffer_limit)
        text = (f"{_who(connection)} has not read for {ago_text(connection.reactor.now - connection.last_write)}: {waiting} wait "
                f"for it, above the high watermark ({limit}) for {ago_text(waited)}")
        yield _about("above_high", connection, waited, text)


def long_paused(host: AdminHost) -> Iterator[Finding]:
    """Reading is paused and nothing moves, for another reason than a slow reader of whom `slow_readers` tells."""
    def is_told(one: Connection) -> bool:
        peer_id = peer_id_of(one)
        peer = host.table.get(peer_id) if peer_id is not None else None
        return peer is not None and peer.above_high

    def since(one: Connection) -> float:
        return max(one.paused_at, one.last_read, one.last_write)

    for connection, waited in _longest(host, lambda one: bool(one.pauses) and not is_told(one), since, PAUSED_FOR):
        text = f"{_who(connection)}: no byte has moved for {ago_text(waited)}, reading is paused by: {listed(connection.pauses)}"
        yield _about("paused", connection, waited, text)


def half_closed(host: AdminHost) -> Iterator[Finding]:
    """One direction has ended, the other one is silent."""
    for connection, waited in _longest(host, is_half_closed, half_closed_since, HALF_CLOSED_FOR):
        who = "its peer" if connection.read_state is ENDED else "we"
        verb = "has" if connection.read_state is ENDED else "have"
        text = f"{_who(connection)}: {who} {verb} ended one direction {ago_text(waited)} ago, the other one is open"
        yield _about("half_closed", connection, waited, text)


def is_half_closed(one: Connection) -> bool:
    """Whether exactly one direction has ended."""
    return (one.read_state is ENDED) is not (one.write_state is ENDED)


def half_closed_since(one: Connection) -> float:
    """Nothing is read after the peer's FIN or sent after ours, so the last time is the FIN's."""
    return one.last_read if one.read_state is ENDED else one.last_write


def slow_listener_filters(host: AdminHost) -> Iterator[Finding]:
    """Sockets that have not become connections: their clients have not said what a listener filter wants to see."""
    now = host.reactor.now
    for listener in host.listeners.listeners:
        oldest = listener.waiting_longest()
        if oldest is None or now - oldest.info.start_mono < BEFORE_CHAIN_FOR:
            continue
        waited = now - oldest.info.start_mono
        bound = ago_text(listener.filters_timeout) if listener.filters_timeout else "never"
        text = (f"listener {listener.name}: a client ({oldest.remote_address}) has kept the listener filters waiting for "
                f"{ago_text(waited)}; listener_filters_timeout is {bound}")
        yield Finding("slow_listener_filters", text, listener=listener.name, seconds=round(waited, 3))


def _longest(
    host: AdminHost, is_so: Callable[[Connection], bool], since: Since, at_least: float
) -> List[Tuple[Connection, float]]:
    """The connections of which something is so for `at_least` seconds, with how long; the longest first."""
    now = host.reactor.now
    found = [(one, now - since(one)) for one in host.table.live() if is_so(one)]
    return sorted((pair for pair in found if pair[1] >= at_least), key=lambda pair: -pair[1])


def _who(connection: Connection) -> str:
    """"C17 (downstream, listener in, 10.0.0.1:5000)"."""
    listener, _, cluster, _ = place_of(connection)
    side = side_of(connection)
    where = f"listener {listener}" if side == "downstream" else f"cluster {cluster}"
    return f"C{connection.id} ({side}, {where}, {connection.remote_address or '-'})"


def _about(kind: str, connection: Connection, waited: float, text: str, filter_name: str = "") -> Finding:
    listener, _, cluster, host = place_of(connection)
    return Finding(kind, text, connection.id, filter_name, listener, cluster, host, round(waited, 3))
