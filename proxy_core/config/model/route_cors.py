"""envoy.config.route.v3.CorsPolicy: the older place for the policies of the CORS filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..descriptor import Message, message, optional, plain, repeated
from ..kinds import Bool
from ..nested import Nested
from .core import RuntimeFractionalPercent
from .header_value import HeaderText
from .matcher import StringMatcher


@message("envoy.config.route.v3.CorsPolicy")
@dataclass(eq=False, repr=False)
class CorsPolicy(Message):
    """Which other sites may ask from a browser, and for what."""

    allow_methods: str = plain(HeaderText())
    allow_headers: str = plain(HeaderText())
    expose_headers: str = plain(HeaderText())
    max_age: str = plain(HeaderText())
    allow_credentials: Optional[bool] = optional(Bool())
    filter_enabled: Optional[RuntimeFractionalPercent] = optional(
        Nested(RuntimeFractionalPercent), oneof="enabled_specifier"
    )
    shadow_enabled: Optional[RuntimeFractionalPercent] = optional(Nested(RuntimeFractionalPercent))
    allow_origin_string_match: List[StringMatcher] = repeated(Nested(StringMatcher))
    allow_private_network_access: Optional[bool] = optional(Bool())
    forward_not_matching_preflights: Optional[bool] = optional(Bool())
