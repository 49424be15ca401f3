"""envoy.config.cluster.v3.OutlierDetection: hosts that answer badly are left out for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..descriptor import Message, message, optional, plain
from ..kinds import Bool, Duration, String, UInt32

_POSITIVE = Duration(gt=0)
_PERCENT = UInt32(lte=100)


@message("envoy.config.cluster.v3.OutlierDetection", unsupported=("monitors", "detect_degraded_hosts"))
@dataclass(eq=False, repr=False)
class OutlierDetection(Message):
    """What makes an outlier, and what is done about it. Each number can be overridden by the runtime key
    outlier_detection.<field>."""

    consecutive_5xx: Optional[int] = optional(UInt32(), help="Default 5.")
    interval: Optional[float] = optional(_POSITIVE, help="Between two looks at rates and ejected hosts; default 10s.")
    base_ejection_time: Optional[float] = optional(_POSITIVE, help="Of the first ejection; default 30s.")
    max_ejection_percent: Optional[int] = optional(_PERCENT, help="Default 10.")
    enforcing_consecutive_5xx: Optional[int] = optional(_PERCENT, help="Default 100.")
    enforcing_success_rate: Optional[int] = optional(_PERCENT, help="Default 100.")
    success_rate_minimum_hosts: Optional[int] = optional(UInt32(), help="Default 5.")
    success_rate_request_volume: Optional[int] = optional(UInt32(), help="Default 100.")
    success_rate_stdev_factor: Optional[int] = optional(UInt32(), help="In thousandths; default 1900.")
    consecutive_gateway_failure: Optional[int] = optional(UInt32(), help="Default 5.")
    enforcing_consecutive_gateway_failure: Optional[int] = optional(_PERCENT, help="Default 0.")
    split_external_local_origin_errors: bool = plain(
        Bool(), help="Judge failures to connect apart from answers of the host."
    )
    consecutive_local_origin_failure: Optional[int] = optional(UInt32(), help="Default 5.")
    enforcing_consecutive_local_origin_failure: Optional[int] = optional(_PERCENT, help="Default 100.")
    enforcing_local_origin_success_rate: Optional[int] = optional(_PERCENT, help="Default 100.")
    failure_percentage_threshold: Optional[int] = optional(_PERCENT, help="Default 85.")
    enforcing_failure_percentage: Optional[int] = optional(_PERCENT, help="Default 0.")
    enforcing_failure_percentage_local_origin: Optional[int] = optional(_PERCENT, help="Default 0.")
    failure_percentage_minimum_hosts: Optional[int] = optional(UInt32(), help="Default 5.")
    failure_percentage_request_volume: Optional[int] = optional(UInt32(), help="Default 50.")
    max_ejection_time: Optional[float] = optional(_POSITIVE, help="Default 300s, or base_ejection_time if longer.")
    max_ejection_time_jitter: Optional[float] = optional(Duration(), help="Up to so much is added; default 0s.")
    successful_active_health_check_uneject_host: Optional[bool] = optional(Bool(), help="Default true.")
    always_eject_one_host: Optional[bool] = optional(
        Bool(), help="One may be ejected whatever max_ejection_percent says; default false."
    )


@message("envoy.config.bootstrap.v3.ClusterManager.OutlierDetection", unsupported=("event_service",))
@dataclass(eq=False, repr=False)
class ManagerOutlierDetection(Message):
    """Where ejections of all clusters are told."""

    event_log_path: str = plain(String(), help="A file that takes one JSON object per line.")
