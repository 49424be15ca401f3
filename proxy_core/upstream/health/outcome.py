"""What one probe of one host found out."""

from __future__ import annotations

from typing import Final

# Envoy's HealthCheckFailureType.
ACTIVE: Final = "ACTIVE"  # the host answered, and not well
NETWORK: Final = "NETWORK"  # no connection, or it ended before the answer
NETWORK_TIMEOUT: Final = "NETWORK_TIMEOUT"
PASSIVE: Final = "PASSIVE"  # said by an answer to somebody else's request


class Outcome:
    """failure: "" for success, else what kind. retriable: an answer that counts towards the threshold as a network failure does.
    status: of the HTTP answer, 0 if there was none. degraded: well, and asks for less. excluded: asks not to be counted."""

    __slots__ = ("failure", "retriable", "status", "degraded", "excluded")

    def __init__(
        self, failure: str = "", retriable: bool = False, status: int = 0, degraded: bool = False, excluded: bool = False
    ) -> None:
        self.failure = failure
        self.retriable = retriable
        self.status = status
        self.degraded = degraded
        self.excluded = excluded

    @property
    def is_network(self) -> bool:
        """Whether the host said nothing."""
        return self.failure in (NETWORK, NETWORK_TIMEOUT)

    @property
    def waits_for_threshold(self) -> bool:
        """Whether one such failure of a healthy host is not enough."""
        return self.is_network or self.retriable

    def __repr__(self) -> str:
        return f"<Outcome {self.failure or 'passed'}>"


PASSED: Final = Outcome()
FAILED: Final = Outcome(ACTIVE)
LOST: Final = Outcome(NETWORK)
TIMED_OUT: Final = Outcome(NETWORK_TIMEOUT)
REFUSES: Final = Outcome(PASSIVE, excluded=True)  # x-envoy-immediate-health-check-fail
