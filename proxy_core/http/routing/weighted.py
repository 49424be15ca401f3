"""`weighted_clusters`: which of several routes a request gets, by chance, by a header or by its hash.

Mirrors `WeightedClusterConfig` and `pickWeightedCluster`.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any, Generic, List, Optional, Sequence, TypeVar

from ...config.model.route_action import WeightedCluster
from ...observe.stream_info import StreamInfo
from ..events import RequestHead
from .request_hash import RequestHash
from .text import wire

T = TypeVar("T")
_MOST_DIGITS = 20  # of 64 bits
_MOST_WEIGHT = 2**32 - 1


class WeightedChoice(Generic[T]):
    """Picks one of several values."""

    __slots__ = ("_values", "_ends", "_total", "_weights", "_header", "_hash", "_keys", "_runtime")

    def __init__(self, config: WeightedCluster, values: Sequence[T], hash_: Optional[RequestHash], runtime: Any) -> None:
        """values: one for each cluster of `config`. hash_: of the route. runtime: has the weights, if it has any.

        Raises ValueError if the weights make no sense together."""
        self._values = list(values)
        self._weights = [one.weight or 0 for one in config.clusters]
        self._ends = list(accumulate(self._weights))
        self._total = self._ends[-1]
        if self._total > _MOST_WEIGHT:
            raise ValueError(f"The sum of weights of all weighted clusters of route exceeds {_MOST_WEIGHT}")
        if not self._total:
            raise ValueError("Sum of weights in the weighted_cluster must be greater than 0.")
        self._header = wire((config.header_name or "").lower())
        self._hash = hash_ if config.use_hash_policy else None
        prefix = config.runtime_key_prefix
        self._keys = [f"{prefix}.{one.name}" for one in config.clusters] if prefix else []
        self._runtime = runtime

    def pick(self, head: RequestHead, info: StreamInfo, random_value: int) -> T:
        """The value of this request."""
        number = self._number(head, info, random_value)
        ends, total = self._ends, self._total
        if self._keys:
            ends = list(accumulate(self._present_weights()))
            total = ends[-1]
            if not total:
                return self._values[0]
        return self._values[bisect_right(ends, number % total)]

    def _number(self, head: RequestHead, info: StreamInfo, random_value: int) -> int:
        """The number that decides."""
        if self._header:
            value = head.headers.get(self._header) or ""
            if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS and int(value) < 1 << 64:
                return int(value)
        elif self._hash is not None:
            found = self._hash.of(head, info)
            if found is not None:
                return found
        return random_value

    def _present_weights(self) -> List[int]:
        found = [self._runtime.integer(key) for key in self._keys]
        return [weight if now is None or now < 0 else now for weight, now in zip(self._weights, found)]
