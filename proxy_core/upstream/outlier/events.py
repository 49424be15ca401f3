"""What ejections log: JSON lines in the form of Envoy's `envoy.data.cluster.v3.OutlierDetectionEvent`."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Mapping, Optional

from ...observe.access_log.sink import Sink
from ..event_log import json_line, timestamp
from .kinds import CONSECUTIVE_5XX, Kind
from .monitor import HostMonitor

CONSECUTIVE: Final = "eject_consecutive_event"
BY_SUCCESS_RATE: Final = "eject_success_rate_event"
BY_FAILURE_PERCENTAGE: Final = "eject_failure_percentage_event"


class EventLog:
    """One for all clusters. clock: the reactor's; wall_clock: seconds since the epoch. sink: None = nobody wants to know."""

    __slots__ = ("_sink", "_clock", "_wall_clock")

    def __init__(self, sink: Optional[Sink], clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self._sink = sink
        self._clock = clock
        self._wall_clock = wall_clock

    def ejected(
        self, cluster_name: str, monitor: HostMonitor, kind: Kind, enforced: bool, what: str, details: Mapping[str, Any]
    ) -> None:
        """A host was ejected, or would have been. what, details: the event of its kind."""
        if self._sink is not None:
            event = self._event(kind, monitor.unejected_at, cluster_name, monitor, "EJECT", enforced)
            event[what] = details
            self._sink.write(json_line(event))

    def unejected(self, cluster_name: str, monitor: HostMonitor) -> None:
        """A host may be picked again. Envoy names this kind, whatever the host was ejected for."""
        if self._sink is not None:
            event = self._event(CONSECUTIVE_5XX, monitor.ejected_at, cluster_name, monitor, "UNEJECT", False)
            self._sink.write(json_line(event))

    def _event(
        self, kind: Kind, since: Optional[float], cluster_name: str, monitor: HostMonitor, action: str, enforced: bool
    ) -> Dict[str, Any]:
        event: Dict[str, Any] = {"type": kind.event, "timestamp": timestamp(self._wall_clock())}
        if since is not None:
            event["secs_since_last_action"] = str(int(self._clock() - since))
        event.update(
            cluster_name=cluster_name, upstream_url=monitor.host.address.text, action=action,
            num_ejections=monitor.num_ejections, enforced=enforced,
        )
        return event
