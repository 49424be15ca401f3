"""A share of the requests: `RuntimeFractionalPercent` by the random number of the stream. Mirrors `featureEnabled`."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Optional

from ...config.model.core import RuntimeFractionalPercent

PARTS: Final[Dict[Any, int]] = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000, 0: 100, 1: 10_000, 2: 1_000_000}
IsOn = Callable[[int], bool]


def fraction(config: Optional[RuntimeFractionalPercent], runtime: Any) -> Optional[IsOn]:
    """Whether the request with this random number belongs to the share; None for all of them.

    runtime: asked with `get(key)` each time: a whole number is percent, an object a FractionalPercent.
    """
    if config is None or config.default_value is None:
        return None
    numerator, parts, key = config.default_value.numerator, PARTS[config.default_value.denominator], config.runtime_key
    if not key:
        return lambda random_value: random_value % parts < numerator

    def is_on(random_value: int) -> bool:
        value = runtime.get(key)
        if isinstance(value, dict):
            found = PARTS.get(value.get("denominator", "HUNDRED"), 100)
            return random_value % found < int(value.get("numerator", 0))
        percent = _percent(value)
        return random_value % parts < numerator if percent is None else random_value % 100 < percent
    return is_on


def _percent(value: Any) -> Optional[int]:
    if value is None or isinstance(value, bool):
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
