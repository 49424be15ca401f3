"""envoy.type.v3.TokenBucket: how fast something may happen, and how often at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..descriptor import Message, message, optional, plain
from ..kinds import Duration, UInt32


@message("envoy.type.v3.TokenBucket")
@dataclass(eq=False, repr=False)
class TokenBucket(Message):
    """Starts full; each thing that happens takes a token."""

    max_tokens: int = plain(UInt32(), help="What the bucket holds; 0 lets nothing through.")
    tokens_per_fill: Optional[int] = optional(UInt32(gte=1), help="Default 1.")
    fill_interval: Optional[float] = optional(
        Duration(gt=0), required=True, help="In which time tokens_per_fill tokens come, a part of them in a part of it."
    )
