"""How much memory the process has: the numbers behind `server.memory_*` and the admin's /memory.

Envoy asks tcmalloc. Here the kernel answers: /proc/self/statm on Linux, the peak of getrusage elsewhere.
"""

from __future__ import annotations

import resource
import sys
from typing import NamedTuple

_PAGE = resource.getpagesize()


class MemoryUsage(NamedTuple):
    """In bytes: private resident memory (allocated), the data segment, all resident memory (physical)."""

    allocated: int
    heap_size: int
    physical: int


def memory_usage() -> MemoryUsage:
    """The memory of this process now."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            pages = [int(field) for field in statm.read().split()]
        return MemoryUsage((pages[1] - pages[2]) * _PAGE, pages[5] * _PAGE, pages[1] * _PAGE)
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return MemoryUsage(peak, peak, peak)
