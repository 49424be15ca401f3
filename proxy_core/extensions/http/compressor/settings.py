"""What the compressor decides once per configuration, and once per route. Mirrors `CompressorFilterConfig`."""

from __future__ import annotations

from typing import Callable, Collection, Dict, Final, List, NamedTuple, Optional

from ....config.model.core import RuntimeFeatureFlag
from ....config.model.matcher import StringMatcher
from ....http.filter_api import HttpFactoryContext
from ....http.headers import Headers
from ....http.routing.text import wire
from ....observe.access_log.matchers import string_matcher
from ....observe.stats import Counter, Scope
from ...feature_flag import FeatureFlag
from .config import CommonDirectionConfig, Compressor, CompressorPerRoute, ResponseDirectionConfig
from .encodings import Choice
from .gzip import ENCODING, Factory, factory_of

_DEFAULT_MINIMUM: Final = 30
_DEFAULT_TYPES: Final = (
    "application/ecmascript", "application/javascript", "application/json", "application/x-javascript", "application/x-json",
    "application/xhtml+xml", "application/xml", "image/svg+xml", "text/css", "text/ecmascript", "text/html", "text/javascript",
    "text/js", "text/jscript", "text/plain", "text/x-javascript", "text/x-js", "text/xml",
)


class DirectionStats:
    """One way's part of `http.<stat_prefix>.compressor.<library name>.gzip.`."""

    __slots__ = ("compressed", "not_compressed", "total_uncompressed_bytes", "total_compressed_bytes", "content_length_too_small")

    def __init__(self, scope: Scope) -> None:
        self.compressed = scope.counter("compressed")
        self.not_compressed = scope.counter("not_compressed")
        self.total_uncompressed_bytes = scope.counter("total_uncompressed_bytes")
        self.total_compressed_bytes = scope.counter("total_compressed_bytes")
        self.content_length_too_small = scope.counter("content_length_too_small")


class Direction:
    """What one way's bodies must be like."""

    __slots__ = ("flag", "stats", "_minimum", "_is_type")

    def __init__(
        self, flag: FeatureFlag, minimum: Optional[int], types: Collection[str], matchers: List[StringMatcher],
        stats: DirectionStats,
    ) -> None:
        """matchers: instead of `types`; without both: the usual ones."""
        self.flag = flag
        self.stats = stats
        self._minimum = _DEFAULT_MINIMUM if minimum is None else minimum
        self._is_type = _type_test(types, matchers)

    def is_long_enough(self, headers: Headers) -> bool:
        """Whether compressing is worth it. A body of unknown length is long enough."""
        length = headers.get("content-length")
        if length is None or (length.isdecimal() and int(length) >= self._minimum):
            return True
        self.stats.content_length_too_small.value += 1
        return False

    def is_right_type(self, headers: Headers) -> bool:
        """Whether this kind of content is to be compressed; one that is not told is."""
        value = headers.get("content-type")
        return not value or self._is_type(value.partition(";")[0].strip())


class ResponseRules(NamedTuple):
    """The part of `response_direction_config` that requests don't have."""

    disable_on_etag_header: bool
    remove_accept_encoding_header: bool
    uncompressible_response_codes: Collection[int]
    status_header_enabled: bool
    weaken_etag_on_compress: bool


class Settings:
    """request: None where requests stay as they are. choices: counts what clients accept."""

    __slots__ = ("request", "request_stats", "response", "rules", "factory", "choices", "no_accept_header", "not_compressed_etag",
                 "choose_first")

    def __init__(self, config: Compressor, context: HttpFactoryContext) -> None:
        assert config.compressor_library is not None
        library = config.compressor_library
        self.factory: Factory = factory_of(library, f"{context.path}.compressor_library")
        scope = context.scope.scope("compressor").scope(library.name).scope(ENCODING)
        self.request_stats = DirectionStats(scope.scope("request"))
        self.request = _request(config, context, self.request_stats)
        own = config.response_direction_config
        stats = DirectionStats(scope if own is None else scope.scope("response"))
        if own is None:
            flag = FeatureFlag(config.runtime_enabled, context.runtime)
            self.response = Direction(flag, config.content_length, config.content_type, [], stats)
        else:
            self.response = _direction(own.common_config, context, stats)
        self.rules = _rules(config, own)
        self.choices: Dict[Choice, Counter] = {choice: scope.counter(choice.value) for choice in Choice}
        scope.zeros(counters=("header_compressor_overshadowed",))
        self.choose_first = config.choose_first
        self.no_accept_header = scope.counter("no_accept_header")
        self.not_compressed_etag = scope.counter("not_compressed_etag")


class RouteSettings:
    """A `CompressorPerRoute`, prepared. enabled, removes: of responses, None to leave it at what the filter says.
    factory: another library, or None."""

    __slots__ = ("enabled", "removes", "factory")

    def __init__(self, config: CompressorPerRoute, path: str) -> None:
        overrides = config.overrides
        response = overrides.response_direction_config if overrides is not None else None
        library = overrides.compressor_library if overrides is not None else None
        self.enabled = False if config.disabled else None if response is None else True
        self.removes = response.remove_accept_encoding_header if response is not None else None
        where = f"{path}.overrides.compressor_library"
        self.factory = factory_of(library, where) if library is not None else None


def _request(config: Compressor, context: HttpFactoryContext, stats: DirectionStats) -> Optional[Direction]:
    own = config.request_direction_config
    return _direction(own.common_config, context, stats) if own is not None else None


def _direction(
    common: Optional[CommonDirectionConfig], context: HttpFactoryContext, stats: DirectionStats
) -> Direction:
    if common is None:
        return Direction(_flag(None, context), None, (), [], stats)
    flag = _flag(common.enabled, context)
    return Direction(flag, common.min_content_length, common.content_type, common.content_type_matcher, stats)


def _flag(config: Optional[RuntimeFeatureFlag], context: HttpFactoryContext) -> FeatureFlag:
    return FeatureFlag(config, context.runtime)


def _rules(config: Compressor, own: Optional[ResponseDirectionConfig]) -> ResponseRules:
    if own is None:
        return ResponseRules(config.disable_on_etag_header, config.remove_accept_encoding_header, (), False, False)
    return ResponseRules(
        own.disable_on_etag_header, own.remove_accept_encoding_header, frozenset(own.uncompressible_response_codes),
        own.status_header_enabled, own.weaken_etag_on_compress,
    )


def _type_test(types: Collection[str], matchers: List[StringMatcher]) -> Callable[[str], bool]:
    if matchers:
        tests = [string_matcher(one, wire) for one in matchers]
        return lambda value: any(test(value) for test in tests)
    known = frozenset(wire(one).lower() for one in types or _DEFAULT_TYPES)
    return lambda value: value.lower() in known
