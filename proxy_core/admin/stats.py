"""/stats, /stats/prometheus and /reset_counters. The rendering is `observe`'s; here the query becomes Envoy's
answers. Mirrors `StatsHandler`.
"""

from __future__ import annotations

from typing import Final

from ..observe.prometheus import stats_prometheus
from ..observe.query import StatsQuery
from ..observe.render import stats_json, stats_text
from .api import JSON, TEXT, Request, Response, text
from .host import AdminHost
from .pages import stats_page

FORMATS: Final = ("html", "active-html", "json", "prometheus", "text")
# Envoy's own buckets for these would need its native histograms.
PROMETHEUS_BUCKETS: Final = ("", "cumulative", "summary")


def stats(host: AdminHost, request: Request) -> Response:
    """GET /stats"""
    shape = request.query.get("format") or "text"
    if shape not in FORMATS:
        return text(f"usage: /stats?format=({'|'.join(FORMATS)})\n\n", 400)
    if shape == "prometheus":
        return prometheus(host, request)
    try:
        query = StatsQuery.from_params({**request.query, "format": "json" if shape == "json" else "text"})
    except ValueError as error:
        return text(str(error), 400)
    if shape == "json":
        return text(stats_json(host.stats, query), content_type=JSON)
    body = stats_text(host.stats, query)
    return text(body) if shape == "text" else stats_page(request, body, live=shape == "active-html")


def prometheus(host: AdminHost, request: Request) -> Response:
    """GET /stats/prometheus. `type` is ignored, as in Envoy."""
    try:
        query = StatsQuery.from_params({**request.query, "format": "prometheus", "type": ""})
    except ValueError as error:
        return text(str(error), 400)
    if query.buckets not in PROMETHEUS_BUCKETS:
        return text("unsupported prometheus histogram bucket mode", 400)
    return text(stats_prometheus(host.stats, query), content_type=TEXT)


def reset_counters(host: AdminHost, request: Request) -> Response:
    """POST /reset_counters"""
    host.stats.reset_counters()
    return text("OK\n")


def recent_lookups(host: AdminHost, request: Request) -> Response:
    """GET /stats/recentlookups: names are bound once at load, so there is never a lookup to show."""
    why = "stats are bound at configuration load and never looked up by name"
    return text(f"Lookup tracking is not enabled: {why}.\n\ntotal: 0\n")
