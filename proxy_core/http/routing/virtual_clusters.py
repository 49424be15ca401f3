"""Virtual clusters: requests of a virtual host that are counted together. Mirrors `virtualClusterFromEntries`."""

from __future__ import annotations

from typing import Final, Sequence

from ...config.model.route import VirtualCluster
from ..events import RequestHead
from .conditions import request_matcher

OTHER: Final = "other"  # of those of the configuration none matches


class VirtualClusters:
    """The virtual clusters of one virtual host."""

    __slots__ = ("names", "_tests")

    def __init__(self, configs: Sequence[VirtualCluster]) -> None:
        self.names = [*(one.name for one in configs), OTHER] if configs else []
        self._tests = [(request_matcher(one.headers), one.name) for one in configs]

    def of(self, head: RequestHead) -> str:
        """The name of the first that matches; "" where none is configured."""
        for matches, name in self._tests:
            if matches(head):
                return name
        return OTHER if self._tests else ""
