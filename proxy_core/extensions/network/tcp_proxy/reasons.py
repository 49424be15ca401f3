"""What a session says of itself when somebody asks: its timers, why it has its cluster, and what its pool waits for."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Tuple

from ....event.timers import Timer
from ....observe.filter_state import TCP_PROXY_CLUSTER
from ....observe.reasons import PendingTimer, Reasons
from ....observe.stream_info import StreamInfo
from ....upstream.cluster import Cluster
from .config import Prepared
from .timing import SessionTimers, TimedSession, idle_timer


def timers_of(
    prepared: Prepared, session: TimedSession, timers: Optional[SessionTimers], retry: Optional[Timer]
) -> Tuple[PendingTimer, ...]:
    """The timers of a session that is not over. timers: None as long as they are not set. retry: of the next attempt."""
    found: List[PendingTimer] = []
    if timers is not None:
        found = timers.pending()
    elif prepared.idle_timeout:
        found.append(idle_timer(prepared, session, None))
    if retry is not None:
        found.append(PendingTimer("next connect attempt", retry.when, "backoff_options", retry))
    return tuple(found)


def facts_of(prepared: Prepared, cluster: Optional[Cluster], info: StreamInfo, attempts: int) -> Mapping[str, str]:
    """Why this cluster, and by what it was asked for a host. cluster: None as long as none was."""
    facts: Dict[str, str] = {}
    if cluster is not None:
        facts["why_cluster"] = prepared.why_cluster(cluster.name, info.filter_state.get(TCP_PROXY_CLUSTER))
        facts["attempts"] = f"{attempts} of {prepared.most_attempts}"
        context = prepared.picking.context(cluster, None, info)
        if context is not None and context.hash is not None:
            facts["hash"] = f"{context.hash:#018x}"
    return facts


def together(session: Reasons, pending: Optional[Reasons]) -> Reasons:
    """With what the pool says about the connection that the session waits for; None if there is none."""
    if pending is None:
        return session
    return Reasons(pending.state or session.state, session.timers, {**session.facts, **pending.facts})
