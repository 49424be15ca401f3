"""Why a host may be ejected, and what each reason is called in settings, stats and events."""

from __future__ import annotations

from typing import Final, NamedTuple, Tuple


class Kind(NamedTuple):
    """event: the type in the log, Envoy's `OutlierEjectionType`. stat: what `ejections_detected_` and `_enforced_` end with.
    enforcing: the setting with the percentage that is acted upon."""

    event: str
    stat: str
    enforcing: str


CONSECUTIVE_5XX: Final = Kind("CONSECUTIVE_5XX", "consecutive_5xx", "enforcing_consecutive_5xx")
CONSECUTIVE_GATEWAY_FAILURE: Final = Kind(
    "CONSECUTIVE_GATEWAY_FAILURE", "consecutive_gateway_failure", "enforcing_consecutive_gateway_failure"
)
CONSECUTIVE_LOCAL_ORIGIN_FAILURE: Final = Kind(
    "CONSECUTIVE_LOCAL_ORIGIN_FAILURE", "consecutive_local_origin_failure", "enforcing_consecutive_local_origin_failure"
)
SUCCESS_RATE: Final = Kind("SUCCESS_RATE", "success_rate", "enforcing_success_rate")
SUCCESS_RATE_LOCAL_ORIGIN: Final = Kind(
    "SUCCESS_RATE_LOCAL_ORIGIN", "local_origin_success_rate", "enforcing_local_origin_success_rate"
)
FAILURE_PERCENTAGE: Final = Kind("FAILURE_PERCENTAGE", "failure_percentage", "enforcing_failure_percentage")
FAILURE_PERCENTAGE_LOCAL_ORIGIN: Final = Kind(
    "FAILURE_PERCENTAGE_LOCAL_ORIGIN", "local_origin_failure_percentage", "enforcing_failure_percentage_local_origin"
)

ALL: Final[Tuple[Kind, ...]] = (
    CONSECUTIVE_5XX, CONSECUTIVE_GATEWAY_FAILURE, CONSECUTIVE_LOCAL_ORIGIN_FAILURE, SUCCESS_RATE,
    SUCCESS_RATE_LOCAL_ORIGIN, FAILURE_PERCENTAGE, FAILURE_PERCENTAGE_LOCAL_ORIGIN,
)
