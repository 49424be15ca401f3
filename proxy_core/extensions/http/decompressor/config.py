"""The configuration messages of the decompressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from ....config.fields import Bool, Message, Nested, message, optional, plain
from ....config.model.core import RuntimeFeatureFlag, TypedExtensionConfig

_NAME: Final = "envoy.extensions.filters.http.decompressor.v3.Decompressor"


@message(f"{_NAME}.CommonDirectionConfig")
@dataclass(eq=False, repr=False)
class CommonDirectionConfig(Message):
    """What holds for requests and responses alike."""

    enabled: Optional[RuntimeFeatureFlag] = optional(Nested(RuntimeFeatureFlag), help="Default: on.")
    ignore_no_transform_header: bool = plain(Bool(), help="Decompress even with cache-control: no-transform.")


@message(f"{_NAME}.RequestDirectionConfig")
@dataclass(eq=False, repr=False)
class RequestDirectionConfig(Message):
    """The way to the upstream."""

    common_config: Optional[CommonDirectionConfig] = optional(Nested(CommonDirectionConfig))
    advertise_accept_encoding: Optional[bool] = optional(Bool(), help="Default true: tell the upstream that gzip is welcome.")


@message(f"{_NAME}.ResponseDirectionConfig")
@dataclass(eq=False, repr=False)
class ResponseDirectionConfig(Message):
    """The way to the client."""

    common_config: Optional[CommonDirectionConfig] = optional(Nested(CommonDirectionConfig))


@message(_NAME)
@dataclass(eq=False, repr=False)
class Decompressor(Message):
    """Decompresses bodies of requests and responses."""

    decompressor_library: Optional[TypedExtensionConfig] = optional(
        Nested(TypedExtensionConfig), required=True, help="gzip. Its name is part of the names of the stats."
    )
    request_direction_config: Optional[RequestDirectionConfig] = optional(Nested(RequestDirectionConfig))
    response_direction_config: Optional[ResponseDirectionConfig] = optional(Nested(ResponseDirectionConfig))
