"""How many downstream connections the whole process takes. Mirrors Envoy's global downstream limit.

Envoy has none unless configured and says so at every start. Here the default follows from the open-file limit: each proxied
connection needs two descriptors, and running into EMFILE is the worse way to find out. Configured, in order of preference, by
the overload manager's monitor `envoy.resource_monitors.global_downstream_max_connections` or the runtime key
`overload.global_downstream_max_connections`. The admin's connections are neither counted nor refused.
"""

from __future__ import annotations

import os
from typing import Optional, Tuple

# Descriptors that are not connections: listeners, logs, the selector, the standard streams, the admin's clients.
OTHER_DESCRIPTORS = 64
DESCRIPTORS_PER_CONNECTION = 2


class ProcessLimit:
    """Counts connections of all listeners that are not exempt. `source` says where the limit comes from."""

    __slots__ = ("limit", "source", "active")

    def __init__(self, limit: int, source: str) -> None:
        self.limit = limit
        self.source = source
        self.active = 0

    @property
    def reached(self) -> bool:
        """Whether the next connection must be refused."""
        return self.active >= self.limit


def limit_from_open_files() -> Tuple[int, str]:
    """The default limit, and a text that says how it was found."""
    try:
        import resource
    except ImportError:  # not on this system: select() is the bound there
        return 200, "no configured limit"
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    limit = max(1, (soft - OTHER_DESCRIPTORS) // DESCRIPTORS_PER_CONNECTION)
    return limit, f"open-file limit {soft}"


def open_descriptors() -> Optional[Tuple[int, int]]:
    """How many descriptors the process has open, and how many it may have. None where the system does not say (not Linux)."""
    try:
        import resource
        return len(os.listdir("/proc/self/fd")), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, OSError):
        return None
