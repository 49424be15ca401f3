"""What code leaves for the garbage collector, which `server.lifecycle.settle_garbage_collector` promises to be nothing."""

from __future__ import annotations

import contextlib
import gc
import types
from collections import Counter
from typing import Any, Dict, Iterator

_OF_EXCEPTIONS = (types.FrameType, types.TracebackType)


@contextlib.contextmanager
def found_by_the_garbage_collector() -> Iterator[Dict[str, int]]:
    """How many objects of each type of the package, and frames, were made in the block, had come out of use at its end, and were
    in a cycle of references. What was there before is not looked at."""
    found: Dict[str, int] = {}
    gc.disable()
    gc.freeze()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(Counter(type(one).__name__ for one in gc.garbage if _is_ours(one)))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()


def _is_ours(one: Any) -> bool:
    return isinstance(one, _OF_EXCEPTIONS) or type(one).__module__.partition(".")[0] == "proxy_core"
