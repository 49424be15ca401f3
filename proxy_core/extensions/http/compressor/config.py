"""The configuration messages of the compressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, List, Optional

from ....config.fields import Bool, Message, Nested, Report, String, UInt32, message, optional, plain, repeated
from ....config.model.core import RuntimeFeatureFlag, TypedExtensionConfig
from ....config.model.matcher import StringMatcher

_PACKAGE: Final = "envoy.extensions.filters.http.compressor.v3."


@message(f"{_PACKAGE}Compressor.CommonDirectionConfig")
@dataclass(eq=False, repr=False)
class CommonDirectionConfig(Message):
    """What holds for requests and responses alike."""

    enabled: Optional[RuntimeFeatureFlag] = optional(Nested(RuntimeFeatureFlag), help="Default: on.")
    min_content_length: Optional[int] = optional(UInt32(), help="Default 30. Bodies of unknown length are long enough.")
    content_type: List[str] = repeated(String(), help="Default: text, JSON, XML, JavaScript, SVG.")
    content_type_matcher: List[StringMatcher] = repeated(Nested(StringMatcher), help="Instead of content_type.")


@message(f"{_PACKAGE}Compressor.RequestDirectionConfig")
@dataclass(eq=False, repr=False)
class RequestDirectionConfig(Message):
    """Compression on the way to the upstream."""

    common_config: Optional[CommonDirectionConfig] = optional(Nested(CommonDirectionConfig))


@message(f"{_PACKAGE}Compressor.ResponseDirectionConfig")
@dataclass(eq=False, repr=False)
class ResponseDirectionConfig(Message):
    """Compression on the way to the client."""

    common_config: Optional[CommonDirectionConfig] = optional(Nested(CommonDirectionConfig))
    disable_on_etag_header: bool = plain(Bool(), help="Leave responses with an etag alone.")
    remove_accept_encoding_header: bool = plain(Bool(), help="The upstream is not to compress.")
    uncompressible_response_codes: List[int] = repeated(UInt32(gte=200, lte=599), help="Statuses to leave alone.")
    status_header_enabled: bool = plain(Bool(), help="Say in x-envoy-compression-status what was done, or why not.")
    weaken_etag_on_compress: bool = plain(Bool(), help="Make a strong etag weak instead of removing it.")


@message(f"{_PACKAGE}Compressor")
@dataclass(eq=False, repr=False)
class Compressor(Message):
    """Compresses responses, and requests if told to."""

    content_length: Optional[int] = optional(UInt32(), deprecated=True, help="Use response_direction_config.")
    content_type: List[str] = repeated(String(), deprecated=True, help="Use response_direction_config.")
    disable_on_etag_header: bool = plain(Bool(), deprecated=True, help="Use response_direction_config.")
    remove_accept_encoding_header: bool = plain(Bool(), deprecated=True, help="Use response_direction_config.")
    runtime_enabled: Optional[RuntimeFeatureFlag] = optional(
        Nested(RuntimeFeatureFlag), deprecated=True, help="Use response_direction_config."
    )
    compressor_library: Optional[TypedExtensionConfig] = optional(
        Nested(TypedExtensionConfig), required=True, help="gzip. Its name is part of the names of the stats."
    )
    request_direction_config: Optional[RequestDirectionConfig] = optional(
        Nested(RequestDirectionConfig), help="Without it requests stay as they are."
    )
    response_direction_config: Optional[ResponseDirectionConfig] = optional(Nested(ResponseDirectionConfig))
    choose_first: bool = plain(Bool(), help="What is wanted as much as no encoding is used.")


@message(f"{_PACKAGE}ResponseDirectionOverrides")
@dataclass(eq=False, repr=False)
class ResponseDirectionOverrides(Message):
    """Switches compression of responses on for a route."""

    remove_accept_encoding_header: Optional[bool] = optional(Bool())


@message(f"{_PACKAGE}CompressorOverrides")
@dataclass(eq=False, repr=False)
class CompressorOverrides(Message):
    """What is different for a route."""

    response_direction_config: Optional[ResponseDirectionOverrides] = optional(Nested(ResponseDirectionOverrides))
    compressor_library: Optional[TypedExtensionConfig] = optional(Nested(TypedExtensionConfig))


@message(f"{_PACKAGE}CompressorPerRoute", required_oneofs=("override",))
@dataclass(eq=False, repr=False)
class CompressorPerRoute(Message):
    """Off for a route, or different."""

    disabled: Optional[bool] = optional(Bool(), oneof="override")
    overrides: Optional[CompressorOverrides] = optional(Nested(CompressorOverrides), oneof="override")

    def check(self, report: Report) -> None:
        if self.disabled is False:
            report("disabled", "expected true")
