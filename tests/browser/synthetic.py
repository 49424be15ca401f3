"""Pictures as `/ui/events` sends them, made up: for what is hard to have for real, as five thousand connections."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

Json = Dict[str, Any]
LIMIT = 1 << 20
FILTERS = ["envoy.filters.network.connection_limit", "envoy.filters.network.rbac", "envoy.filters.network.tcp_proxy"]

# Instead of the stream: the page gets what `window.send` is given, and the address of each stream is kept.
FAKE_STREAM = """
window.streams = [];
window.EventSource = class {
  constructor(url) {
    this.listeners = {};
    window.streams.push(url);
    window.current = this;
    if (window.picture) setTimeout(() => window.send(window.picture));
  }
  addEventListener(name, callback) { this.listeners[name] = callback; }
  close() { this.closed = true; }
};
window.send = (picture) => { window.picture = picture; window.current.listeners.picture({data: JSON.stringify(picture)}); };
"""


def send(picture: Json) -> str:
    """The expression that gives the page a picture."""
    return f"window.send({json.dumps(picture)})"


def end(number: int, read: int = 0, write: int = 0, above: bool = False, paused: Optional[List[str]] = None) -> Json:
    return {
        "id": number, "read": [read, LIMIT], "write": [write, LIMIT, above], "paused": paused or [],
        "paused_s": 2.5 if paused else None, "reads": "open", "writes": "open", "quiet_s": 0.2,
    }


def row(number: int, state: str = "idle", **more: Any) -> Json:
    return {
        "id": number, "state": state, "states": [state], "client": f"10.1.0.7:{40000 + number}", "listener": "edge", "chain": "",
        "cluster": "web", "host": "10.9.0.1:8443", "filters": FILTERS, "parked_by": "", "parked_s": None, "age_s": 12.0,
        "closing": None, "in_rate": 0, "out_rate": 0, "near": end(number), "far": end(number + 1), "streams": [], **more,
    }


def picture(states: Dict[str, int], rows: List[Json], **more: Any) -> Json:
    """One listener, chain, cluster and host, and these counts and rows."""
    total = sum(states.values())
    rates = {"in_rate": 41_000_000, "out_rate": 390_000_000}
    return {
        "server": "LIVE", "up_s": 90_000, "total": {"connections": total, "states": states, **rates},
        "listeners": [
            {"name": "edge", "addresses": ["0.0.0.0:443"], "accepts": True, "connections": total, "accepted": 99_999},
        ],
        "more_listeners": 0,
        "chains": [
            {"listener": "edge", "name": "", "filters": FILTERS, "parked": {}, "states": states, "connections": total, **rates},
        ],
        "more_chains": 0,
        "ways": [{"state": state, "cluster": "web", "count": count, **rates} for state, count in states.items()],
        "clusters": [{"name": "web", "connections": total, "hosts": hosts(30, total), "more_hosts": 10, "unhealthy": 1}],
        "more_clusters": 2, "connections": rows, "matched": total, "ended": [], **more,
    }


def hosts(count: int, connections: int) -> List[Json]:
    """The last one is ill."""
    return [
        {
            "address": f"10.9.0.{number}:8443", "healthy": number < count - 1, "connections": connections // count,
            "health": "healthy" if number < count - 1 else "/failed_active_hc", "in_rate": 0, "out_rate": 0,
        }
        for number in range(count)
    ]


def five_thousand() -> Json:
    """Most of them fine, some not; forty shown one by one."""
    states = {"stalled": 3, "parked": 12, "above_high": 96, "paused": 120, "half_closed": 41, "moving": 3124, "idle": 1604}
    stalled = [row(number, "stalled", parked_by=FILTERS[1], parked_s=61.0, far=None) for number in range(0, 6, 2)]
    slow = [
        row(number, "above_high", near=end(number, write=LIMIT + 50_000, above=True),
            far=end(number + 1, paused=["downstream write buffer over its limit"]))
        for number in range(100, 174, 2)
    ]
    return picture(states, [*stalled, *slow])
