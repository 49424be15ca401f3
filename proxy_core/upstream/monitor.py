"""Who watches the hosts of a cluster, as the cluster sees it: `Monitor`. `monitoring` has the one there is."""

from __future__ import annotations

from typing import Any, Callable, Optional, Protocol, Sequence, Tuple

from .host import Host


class Monitor(Protocol):
    """Health checks and outlier detection of one cluster. It changes the hosts' flags and has the cluster `refresh`."""

    def attach(self, cluster: Any) -> None:
        """Once, with the `Cluster`, before there are members."""

    def on_members(self, added: Sequence[Host], removed: Sequence[Host]) -> None:
        """The members are others now. Flags of new hosts are set before this returns."""

    def start(self, on_ready: Callable[[], None]) -> None:
        """Begin. on_ready: called once, when the hosts that are there have been asked for the first time."""

    def fail(self, host: Host) -> None:
        """The host has asked, in an answer to somebody, to be left alone at once. It counts where hosts are health-checked."""

    def close(self) -> None:
        """The cluster is gone."""

    def outlier_rates(self) -> Optional[Sequence[Tuple[float, float]]]:
        """(average, ejection threshold) of the success rates at the last tick: of answers, of local origin; None without outlier
        detection. -1 stands for none."""
