"""/connections and /connections/ID: every open connection, the last thousand that ended, one of them in full. Ours; Envoy has
no such thing.

    GET /connections                     one line each; JSON with format=json
        listener, cluster, side, state   only those; `source` an address or a network; state=closed lists those that ended
        sort, limit                      which come first (SORTS), how many (default 1000, 0 = all)
    GET /connections/17                  everything about one, also after its end
    DELETE /connections/17               reset it and the other half of its pair; with `graceful`, close it after what is
                                         queued for it

A downstream connection and its upstream one name each other as `peer_id`.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Callable, Dict, Final, List, Mapping, NamedTuple, Optional, Tuple

from ..network.cidr import CidrSet, endpoint_number
from ..network.close import ABORT_RESET, FLUSH_WRITE
from ..network.connection import Connection
from ..observe.escape import one_line
from .api import JSON, Request, Response, choice_of, json_reply, text
from .connection_detail import full_answer
from .connection_page import closed_line, closed_page, line, page
from .connection_rows import CLOSED, STATES, closed_row, peer_id_of, place_of, row, side_of, states_of
from .host import AdminHost

PREFIX: Final = "/connections/"
MOST: Final = 1000
SIDES: Final = ("downstream", "upstream")
PARAMETERS: Final = ("format", "listener", "cluster", "source", "side", "state", "sort", "limit")
# What local_close_details of a deleted connection say, as the access log prints them.
DELETED: Final = "admin_delete_connection"

# The greatest first, but the oldest first by default.
SORTS: Final[Mapping[str, Callable[[Connection], float]]] = {
    "id": lambda one: -one.id,
    "age": lambda one: -one.opened_at,
    "buffered": lambda one: one.read_buffer.size + one.write_buffer.size,
    "activity": lambda one: max(one.last_read, one.last_write),
}


class Wanted(NamedTuple):
    """What the query asks for; "" = any. source: None = any."""

    listener: str
    cluster: str
    side: str
    state: str
    source: Optional[CidrSet]
    sort: str
    limit: int

    def takes(self, side: str, listener: str, cluster: str, remote: str) -> bool:
        """Whether a connection of this description is meant."""
        return (
            (not self.side or side == self.side)
            and (not self.listener or listener == self.listener)
            and (not self.cluster or cluster == self.cluster)
            and (self.source is None or self.source.contains(endpoint_number(remote)))
        )


def connections(host: AdminHost, request: Request) -> Response:
    """GET /connections. 400 with a sentence for a bad question."""
    try:
        wanted = read_query(request.query)
    except ValueError as error:
        return text(f"{error}\n", 400)
    as_json = choice_of(request.query, "format", "json") is not None
    total, rows = (_closed if wanted.state == CLOSED else _live)(host, wanted)
    if as_json:
        return _json_list(total, rows)
    if not rows:
        return text("no connections\n")
    show = closed_line if wanted.state == CLOSED else line
    lines = [show(one) + "\n" for one in rows]
    if total > len(rows):
        lines.append(f"and {total - len(rows)} more; limit=0 shows all\n")
    return text("".join(lines))


def read_query(query: Mapping[str, str]) -> Wanted:
    """Raises ValueError with a sentence."""
    for name in query:
        if name not in PARAMETERS:
            raise ValueError(f"unknown parameter '{one_line(name)}'; there are: {', '.join(PARAMETERS)}")
    for name, known in (("side", SIDES), ("state", STATES), ("sort", tuple(SORTS))):
        if query.get(name) and query[name] not in known:
            raise ValueError(f"{name}: expected {' or '.join(known)}, found '{one_line(query[name])}'")
    limit = query.get("limit") or str(MOST)
    if not limit.isascii() or not limit.isdigit() or len(limit) > 9:
        raise ValueError(f"limit: expected a whole number, found '{one_line(limit)}'")
    return Wanted(
        query.get("listener", ""), query.get("cluster", ""), query.get("side", ""), query.get("state", ""),
        _network(query.get("source", "")), query.get("sort") or "id", int(limit),
    )


def _network(source: str) -> Optional[CidrSet]:
    if not source:
        return None
    try:
        return CidrSet([ipaddress.ip_network(source, strict=False)])
    except ValueError:
        expected = "an IP address or a network such as 10.0.0.0/8"
        raise ValueError(f"source: expected {expected}, found '{one_line(source)}'") from None


def _live(host: AdminHost, wanted: Wanted) -> Tuple[int, List[Dict[str, Any]]]:
    """How many there are, and the rows that are shown."""
    found = [one for one in host.table.live() if _is_wanted(one, wanted)]
    found.sort(key=SORTS[wanted.sort], reverse=True)
    now = host.reactor.now
    return len(found), [row(one, now) for one in found[:wanted.limit or None]]


def _is_wanted(one: Connection, wanted: Wanted) -> bool:
    listener, _, cluster, _ = place_of(one)
    remote = one.remote_address.text if one.remote_address is not None else ""
    return wanted.takes(side_of(one), listener, cluster, remote) and (
        not wanted.state or wanted.state in states_of(one)
    )


def _closed(host: AdminHost, wanted: Wanted) -> Tuple[int, List[Dict[str, Any]]]:
    """The same of those that ended; always the last first."""
    now = host.reactor.now
    found = [
        one for one in host.table.closed.newest_first()
        if wanted.takes(one.side, one.listener, one.cluster, str(one.remote_address or ""))
    ]
    return len(found), [closed_row(one, now) for one in found[:wanted.limit or None]]


def _json_list(total: int, rows: List[Dict[str, Any]]) -> Response:
    """A row per line: with indentation, Python's encoder takes ten times as long, and the loop waits for it."""
    listed = ",\n  ".join(json.dumps(one, ensure_ascii=False) for one in rows)
    body = f'{{"total": {total}, "shown": {len(rows)}, "connections": [{listed}]}}\n'
    return Response(200, body.encode("utf-8", "backslashreplace"), JSON)


# -- one of them ---------------------------------------------------------------------------------------------

def one_connection(host: AdminHost, request: Request) -> Response:
    """GET and DELETE /connections/ID."""
    number = request.path[len(PREFIX):].lstrip("Cc")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        return text(f"'{one_line(request.path[len(PREFIX):])}' is not the id of a connection: expected a number\n", 400)
    if request.method == "DELETE":
        return _delete(host, int(number), "graceful" in request.query)
    if request.method not in ("GET", "HEAD"):
        return text(f"Method {request.method} not allowed: GET shows the connection, DELETE closes it.\n", 405)
    return _show(host, int(number), choice_of(request.query, "format", "json") is not None)


def _show(host: AdminHost, connection_id: int, as_json: bool) -> Response:
    connection = host.table.get(connection_id)
    if connection is not None:
        answer = full_answer(host, connection)
        return json_reply(answer) if as_json else text(page(answer))
    closed = host.table.closed.find(connection_id)
    if closed is None:
        return text(_unknown(host, connection_id), 404)
    facts = closed_row(closed, host.reactor.now)
    return json_reply(facts) if as_json else text(closed_page(facts))


def _unknown(host: AdminHost, connection_id: int) -> str:
    kept = len(host.table.closed)
    return f"There is no connection {connection_id}: it is neither open nor among the last {kept} that ended.\n"


def _delete(host: AdminHost, connection_id: int, gracefully: bool) -> Response:
    """A reset by default, on both sides: what was cut off in the middle must not look whole to anybody."""
    connection = host.table.get(connection_id)
    if connection is None:
        return text(_unknown(host, connection_id), 404)
    if host.admin is not None and connection.info.listener_name == host.admin.name:
        return text(f"Connection {connection_id} is one of this admin's own.\n", 409)
    request = f"DELETE {PREFIX}{connection_id}"
    if gracefully:
        connection.close(FLUSH_WRITE, DELETED, config=f"{request}?graceful")
        return json_reply({"closed": connection_id, "how": "graceful"})
    peer_id = peer_id_of(connection)
    peer = host.table.get(peer_id) if peer_id is not None else None
    if peer is not None:
        peer.reset_on_close = True  # whatever closes it in consequence
    connection.close(ABORT_RESET, DELETED, config=request)
    return json_reply({"closed": connection_id, "how": "reset"})
