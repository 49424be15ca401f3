"""envoy.config.route.v3: asking an upstream again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..descriptor import Message, Report, message, optional, plain, repeated
from ..kinds import Bool, Duration, Enum, Int64, String, UInt32
from ..nested import AnyOf, AnyValue, Nested
from .core import Metadata
from .header_value import HeaderText
from .matcher import HeaderMatcher

_NAME = "envoy.config.route.v3.RetryPolicy"


@message("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
@dataclass(eq=False, repr=False)
class PreviousHostsPredicate(Message):
    """Not a host that was asked already."""


@message("envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate")
@dataclass(eq=False, repr=False)
class OmitCanaryHostsPredicate(Message):
    """No canary host."""


@message("envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig")
@dataclass(eq=False, repr=False)
class OmitHostMetadataConfig(Message):
    """No host with this metadata."""

    metadata_match: Optional[Metadata] = optional(Nested(Metadata), help="The namespace envoy.lb counts.")


RETRY_TYPES = (PreviousHostsPredicate, OmitCanaryHostsPredicate, OmitHostMetadataConfig)


@message(f"{_NAME}.RetryHostPredicate")
@dataclass(eq=False, repr=False)
class RetryHostPredicate(Message):
    """A condition on the host of a retry."""

    name: str = plain(String(min_len=1), help="Free text; the type decides.")
    typed_config: Optional[AnyValue] = optional(AnyOf(), required=True, oneof="config_type")


@message(f"{_NAME}.RetryBackOff")
@dataclass(eq=False, repr=False)
class RetryBackOff(Message):
    """How long to wait: at random up to an interval that doubles."""

    base_interval: Optional[float] = optional(Duration(gt=0), required=True)
    max_interval: Optional[float] = optional(Duration(gt=0), help="Default 10 times base_interval.")

    def check(self, report: Report) -> None:
        if self.max_interval is not None and self.base_interval is not None and self.max_interval < self.base_interval:
            text = "retry_policy.max_interval must greater than or equal to the base_interval"
            report("max_interval", text, uses=("base_interval",))


@message(f"{_NAME}.ResetHeader")
@dataclass(eq=False, repr=False)
class ResetHeader(Message):
    """A header of the response that says when to come again."""

    name: str = plain(HeaderText(min_len=1))
    format: str = plain(Enum(SECONDS=0, UNIX_TIMESTAMP=1))


@message(f"{_NAME}.RateLimitedRetryBackOff")
@dataclass(eq=False, repr=False)
class RateLimitedRetryBackOff(Message):
    """How long to wait when the upstream says it."""

    reset_headers: List[ResetHeader] = repeated(Nested(ResetHeader), min_items=1)
    max_interval: Optional[float] = optional(Duration(gt=0), help="Default 300s. A longer wait is not obeyed.")


@message(_NAME, unsupported=("retry_priority", "retry_options_predicates", "refresh_cluster_on_retry"))
@dataclass(eq=False, repr=False)
class RetryPolicy(Message):
    """When and how often to ask again."""

    retry_on: str = plain(String(), help='What of, with commas: "5xx,reset".')
    num_retries: Optional[int] = optional(UInt32(), help="Default 1.")
    per_try_timeout: Optional[float] = optional(Duration())
    retry_host_predicate: List[RetryHostPredicate] = repeated(Nested(RetryHostPredicate))
    host_selection_retry_max_attempts: int = plain(Int64(), help="How often to look for another host; default 1.")
    retriable_status_codes: List[int] = repeated(UInt32(), help="For retry_on: retriable-status-codes.")
    retry_back_off: Optional[RetryBackOff] = optional(Nested(RetryBackOff), help="Default 25ms, at most 250ms.")
    retriable_headers: List[HeaderMatcher] = repeated(Nested(HeaderMatcher), help="Of the response.")
    retriable_request_headers: List[HeaderMatcher] = repeated(
        Nested(HeaderMatcher), help="Only requests with one of these are asked again."
    )
    rate_limited_retry_back_off: Optional[RateLimitedRetryBackOff] = optional(Nested(RateLimitedRetryBackOff))
    per_try_idle_timeout: Optional[float] = optional(Duration())
