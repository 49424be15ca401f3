"""envoy.type.metadata.v3: where in metadata a value stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..descriptor import Message, message, optional, plain, repeated
from ..kinds import String
from ..nested import Nested


@message("envoy.type.metadata.v3.MetadataKey.PathSegment", unsupported=("index",), required_oneofs=("segment",))
@dataclass(eq=False, repr=False)
class MetadataPathSegment(Message):
    """One step down."""

    key: Optional[str] = optional(String(min_len=1), oneof="segment")


@message("envoy.type.metadata.v3.MetadataKey")
@dataclass(eq=False, repr=False)
class MetadataKey(Message):
    """A namespace and the way down from it."""

    key: str = plain(String(min_len=1), help="The namespace, usually a filter's name.")
    path: List[MetadataPathSegment] = repeated(Nested(MetadataPathSegment), min_items=1)
