"""Calling back somebody who may be gone: a watcher must not keep alive what nobody uses any more."""

from __future__ import annotations

import weakref
from typing import Callable, TypeVar

Owner = TypeVar("Owner")
Argument = TypeVar("Argument")


def weakly(owner: Owner, method: Callable[[Owner, Argument], None]) -> Callable[[Argument], None]:
    """Calls `method` of an object, unless that is gone by then. method: the plain function, `Class.method`."""
    weak = weakref.ref(owner)

    def call(argument: Argument) -> None:
        alive = weak()
        if alive is not None:
            method(alive, argument)
    return call
