"""The messages of fault, and the runtime keys that its settings go by when they name none."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Final, List, Optional

from ....config.fields import (
    Bool, Duration, Message, Nested, String, Struct, UInt32, UInt64, message, optional, plain, repeated,
)
from ....config.model.core import FractionalPercent
from ....config.model.matcher import HeaderMatcher

_COMMON: Final = "envoy.extensions.filters.common.fault.v3."
_PACKAGE: Final = "envoy.extensions.filters.http.fault.v3."


@message(_COMMON + "FaultDelay.HeaderDelay")
@dataclasses.dataclass(eq=False, repr=False)
class HeaderDelay(Message):
    """The request says it: x-envoy-fault-delay-request, in milliseconds."""


@message(_COMMON + "FaultDelay", required_oneofs=("fault_delay_secifier",))
@dataclasses.dataclass(eq=False, repr=False)
class FaultDelay(Message):
    """How long requests wait."""

    fixed_delay: Optional[float] = optional(Duration(gt=0), oneof="fault_delay_secifier")
    percentage: Optional[FractionalPercent] = optional(Nested(FractionalPercent), help="Of the requests. Default 0 %.")
    header_delay: Optional[HeaderDelay] = optional(Nested(HeaderDelay), oneof="fault_delay_secifier")


@message(_COMMON + "FaultRateLimit.FixedLimit")
@dataclasses.dataclass(eq=False, repr=False)
class FixedLimit(Message):
    """One rate for all."""

    limit_kbps: int = plain(UInt64(gte=1), help="KiB a second.")


@message(_COMMON + "FaultRateLimit.HeaderLimit")
@dataclasses.dataclass(eq=False, repr=False)
class HeaderLimit(Message):
    """The request says it: x-envoy-fault-throughput-response, in KiB a second."""


@message(_COMMON + "FaultRateLimit", required_oneofs=("limit_type",))
@dataclasses.dataclass(eq=False, repr=False)
class FaultRateLimit(Message):
    """How fast the body of a response goes out."""

    fixed_limit: Optional[FixedLimit] = optional(Nested(FixedLimit), oneof="limit_type")
    percentage: Optional[FractionalPercent] = optional(Nested(FractionalPercent), help="Of the requests. Default 0 %.")
    header_limit: Optional[HeaderLimit] = optional(Nested(HeaderLimit), oneof="limit_type")


@message(_PACKAGE + "FaultAbort.HeaderAbort")
@dataclasses.dataclass(eq=False, repr=False)
class HeaderAbort(Message):
    """The request says it: x-envoy-fault-abort-request."""


@message(_PACKAGE + "FaultAbort", unsupported=("grpc_status",), required_oneofs=("error_type",))
@dataclasses.dataclass(eq=False, repr=False)
class FaultAbort(Message):
    """With what status requests are answered."""

    http_status: Optional[int] = optional(UInt32(gte=200, lte=599), oneof="error_type")
    percentage: Optional[FractionalPercent] = optional(Nested(FractionalPercent), help="Of the requests. Default 0 %.")
    header_abort: Optional[HeaderAbort] = optional(Nested(HeaderAbort), oneof="error_type")
    response_body: str = plain(String(), help='Default "fault filter abort".')


@message(_PACKAGE + "HTTPFault")
@dataclasses.dataclass(eq=False, repr=False)
class HttpFault(Message):
    """Faults, and whom they concern."""

    delay: Optional[FaultDelay] = optional(Nested(FaultDelay))
    abort: Optional[FaultAbort] = optional(Nested(FaultAbort))
    upstream_cluster: str = plain(String(), help="Only requests whose route leads to it.")
    headers: List[HeaderMatcher] = repeated(Nested(HeaderMatcher), help="Only requests that match all of these.")
    downstream_nodes: List[str] = repeated(String(), help="Only requests with one of these in x-envoy-downstream-service-node.")
    max_active_faults: Optional[int] = optional(UInt32(), help="So many at a time. Default: any number.")
    response_rate_limit: Optional[FaultRateLimit] = optional(Nested(FaultRateLimit))
    delay_percent_runtime: str = plain(String(), help="Default fault.http.delay.fixed_delay_percent.")
    abort_percent_runtime: str = plain(String(), help="Default fault.http.abort.abort_percent.")
    delay_duration_runtime: str = plain(String(), help="Default fault.http.delay.fixed_duration_ms.")
    abort_http_status_runtime: str = plain(String(), help="Default fault.http.abort.http_status.")
    max_active_faults_runtime: str = plain(String(), help="Default fault.http.max_active_faults.")
    response_rate_limit_percent_runtime: str = plain(String(), help="Default fault.http.rate_limit.response_percent.")
    abort_grpc_status_runtime: str = plain(String(), help="Of no effect.")
    disable_downstream_cluster_stats: bool = plain(Bool(), help="Count nothing by x-envoy-downstream-service-cluster.")
    filter_metadata: Optional[Dict[str, Any]] = optional(
        Struct(), help="Dynamic metadata of requests that are delayed or answered, below the filter's name."
    )
