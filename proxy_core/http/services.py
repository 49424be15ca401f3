"""What of the server only HTTP uses, in one object: it travels through `filters.registry.FactoryContext.http` to the connection
managers, which hand it on to their filters.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

from .registry import HttpFilterRegistry


@dataclasses.dataclass
class HttpServices:
    """filters: which HTTP filters there are. wall_clock: seconds since the epoch. pools: the `upstream.http_pool.HttpPools` of
    the process. route_configs: the route configurations that are discovered (RDS), None where there are none.
    node_cluster, node_id: who this proxy is, "" if nobody said so. health_failed: whether it is to look ill
    (`/healthcheck/fail`).
    """

    filters: HttpFilterRegistry
    wall_clock: Callable[[], float]
    pools: Any = None
    route_configs: Any = None
    node_cluster: str = ""
    node_id: str = ""
    health_failed: Callable[[], bool] = lambda: False
