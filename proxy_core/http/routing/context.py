"""What preparing a route table needs of the server, once."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Optional

from ..filter_api import HttpFactoryContext
from ..registry import HttpFilterRegistry
from .formatting import Formats


@dataclasses.dataclass
class TableContext:
    """formats: compiles header values. runtime: the `server.runtime.Runtime`. has_cluster: whether there is a cluster of this
    name. stats: the root `observe.stats.StatsStore`. filters, filter_context: prepare `typed_per_filter_config`; filter_context
    gives the context for the configuration at a path."""

    formats: Formats
    runtime: Any
    has_cluster: Callable[[str], bool]
    stats: Any
    filters: Optional[HttpFilterRegistry] = None
    filter_context: Optional[Callable[[str], HttpFactoryContext]] = None
