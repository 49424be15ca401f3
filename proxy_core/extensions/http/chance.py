"""`filter_enabled` and its kind: whether this request belongs to the share that a filter is meant for."""

from __future__ import annotations

from typing import Callable, Optional

from ...config.model.core import RuntimeFractionalPercent
from ...http.filter_api import HttpFactoryContext
from ...http.routing.fraction import fraction


def chance(config: Optional[RuntimeFractionalPercent], context: HttpFactoryContext, unset: bool) -> Callable[[], bool]:
    """Asked once for each request. unset: the answer where nothing is configured."""
    if config is None:
        return _always if unset else _never
    is_on = fraction(config, context.runtime)
    if is_on is None:
        return _always
    if not config.runtime_key and config.default_value is not None and config.default_value.fraction in (0.0, 1.0):
        return _always if config.default_value.fraction else _never
    ask, draw = is_on, context.random.getrandbits
    return lambda: ask(draw(64))


def _always() -> bool:
    return True


def _never() -> bool:
    return False
