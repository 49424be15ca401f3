"""The messages of local_ratelimit."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Final, List, Optional

from ....config.fields import Bool, Enum, Message, Nested, Report, String, Struct, UInt32, message, optional, plain, repeated
from ....config.model.core import RuntimeFractionalPercent
from ....config.model.header_value import HeaderValueOption
from ....config.model.http_status import HttpStatus
from ....config.model.rate_limit import RateLimit
from ....config.model.token_bucket import TokenBucket
from ...local_ratelimit import check_bucket

_COMMON: Final = "envoy.extensions.common.ratelimit.v3."

OVERRIDE: Final = "OVERRIDE"
INCLUDE: Final = "INCLUDE"
IGNORE: Final = "IGNORE"
DRAFT_VERSION_03: Final = "DRAFT_VERSION_03"


@message(_COMMON + "RateLimitDescriptor.Entry")
@dataclasses.dataclass(eq=False, repr=False)
class DescriptorEntry(Message):
    """One pair of a descriptor."""

    key: str = plain(String(min_len=1))
    value: str = plain(String(), help="Unset: a bucket for each value that comes.")


@message(_COMMON + "LocalRateLimitDescriptor")
@dataclasses.dataclass(eq=False, repr=False)
class LocalRateLimitDescriptor(Message):
    """A bucket for the requests that have this descriptor."""

    entries: List[DescriptorEntry] = repeated(Nested(DescriptorEntry), min_items=1)
    token_bucket: Optional[TokenBucket] = optional(Nested(TokenBucket), required=True)
    shadow_mode: bool = plain(Bool(), help="Only count what would be limited.")


@message(
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    unsupported=("rate_limited_as_resource_exhausted",),
)
@dataclasses.dataclass(eq=False, repr=False)
class LocalRateLimit(Message):
    """Limits how many requests come in a time."""

    stat_prefix: str = plain(String(min_len=1), help="Stats are named <stat_prefix>.http_local_rate_limit.")
    status: Optional[HttpStatus] = optional(Nested(HttpStatus), help="Of limited requests: 400 or more. Default 429.")
    token_bucket: Optional[TokenBucket] = optional(Nested(TokenBucket), help="Required where the filter is enabled by a route.")
    filter_enabled: Optional[RuntimeFractionalPercent] = optional(
        Nested(RuntimeFractionalPercent), help="Of the requests, those that count. Default: none."
    )
    filter_enforced: Optional[RuntimeFractionalPercent] = optional(
        Nested(RuntimeFractionalPercent), help="Of those, whom the limit is enforced on. Default: none."
    )
    response_headers_to_add: List[HeaderValueOption] = repeated(
        Nested(HeaderValueOption), max_items=10, help="To the answers of limited requests."
    )
    descriptors: List[LocalRateLimitDescriptor] = repeated(Nested(LocalRateLimitDescriptor))
    stage: int = plain(UInt32(lte=10), help="Only rate_limits of this stage of routes count.")
    request_headers_to_add_when_not_enforced: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=10)
    local_rate_limit_per_downstream_connection: bool = plain(Bool(), help="Each connection has buckets of its own.")
    enable_x_ratelimit_headers: str = plain(Enum(OFF=0, DRAFT_VERSION_03=1), help="Add x-ratelimit-* to responses.")
    vh_rate_limits: str = plain(
        Enum(OVERRIDE=0, INCLUDE=1, IGNORE=2), help="Of rate_limits of the virtual host. Default: where the route has none."
    )
    always_consume_default_token_bucket: Optional[bool] = optional(
        Bool(), help="Default true: what a descriptor's bucket lets pass takes from the common one as well."
    )
    local_cluster_rate_limit: Optional[Dict[str, Any]] = optional(Struct(), help="Not supported.")
    rate_limits: List[RateLimit] = repeated(Nested(RateLimit), help="Instead of those of routes.")
    max_dynamic_descriptors: Optional[int] = optional(
        UInt32(gte=1), help="Buckets for values that came, for each descriptor with an unset value. Default 20."
    )
    enable_retry_after_header: bool = plain(Bool(), help="Answers of limited requests say when to come again.")

    def check(self, report: Report) -> None:
        """The bucket's own rule, and what is not supported: declared, since an empty one is a request for it."""
        check_bucket(self.token_bucket, report)
        if self.local_cluster_rate_limit is not None:
            text = "`local_cluster_rate_limit` is a field of Envoy's LocalRateLimit that proxy_core does not support yet"
            report("local_cluster_rate_limit", text)
