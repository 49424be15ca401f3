"""envoy.filters.http.ip_tagging: tells upstreams and routes which of some lists of networks the client's address is in.

Mirrors `IpTaggingFilter`. Envoy's order of several tags is that of a hash table; here it is the order of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, List, Optional

from ...config.fields import Enum, Message, Nested, Report, message, optional, plain, repeated
from ...config.model.address import CidrRange
from ...config.model.header_value import HeaderText
from ...errors import ConfigError, Problem
from ...http.events import RequestHead
from ...http.filter_api import CONTINUE, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory
from ...http.registry import HttpExtension
from ...http.routing.header_mutation import is_pseudo
from ...http.routing.text import wire
from ...network.cidr import CidrMap, endpoint_number
from ...observe.stats import Scope

_NAME: Final = "envoy.extensions.filters.http.ip_tagging.v3.IPTagging"
_DEFAULT_HEADER: Final = "x-envoy-ip-tags"
_PERCENT_KEY: Final = "ip_tagging.http_filter_enabled"
_NO_TAGS: Final = "HTTP IP Tagging Filter requires either ip_tags or ip_tags_datasource to be specified."


@message(f"{_NAME}.IPTag")
@dataclass(eq=False, repr=False)
class IPTag(Message):
    """A name for some networks."""

    ip_tag_name: str = plain(HeaderText(), help="The tag.")
    ip_list: List[CidrRange] = repeated(Nested(CidrRange))


@message(f"{_NAME}.IpTagHeader")
@dataclass(eq=False, repr=False)
class IpTagHeader(Message):
    """Where the tags are written."""

    header: str = plain(HeaderText(min_len=1))
    action: str = plain(
        Enum(SANITIZE=0, APPEND_IF_EXISTS_OR_ADD=1), help="Default SANITIZE: what the client has put there is removed."
    )

    def check(self, report: Report) -> None:
        if is_pseudo(self.header):
            report("header", ":-prefixed or host headers may not be modified")


@message(_NAME, unsupported=("ip_tags_datasource",))
@dataclass(eq=False, repr=False)
class IPTagging(Message):
    """Writes the tags of the client's address to a request header."""

    request_type: str = plain(Enum(BOTH=0, INTERNAL=1, EXTERNAL=2), help="Which requests get tags.")
    ip_tags: List[IPTag] = repeated(Nested(IPTag))
    ip_tag_header: Optional[IpTagHeader] = optional(Nested(IpTagHeader), help="Default x-envoy-ip-tags, appended to.")


class _Settings:
    """Decided once per configuration. tags: what to write. header: "" for the default."""

    __slots__ = ("tags", "header", "sanitizes", "wanted", "_context", "_scope")

    def __init__(self, config: IPTagging, context: HttpFactoryContext) -> None:
        if not config.ip_tags:
            raise ConfigError([Problem(context.path, _NO_TAGS)])
        self._scope: Scope = context.scope.scope("ip_tagging")
        self.tags = CidrMap(
            (one.network(), tag.ip_tag_name) for tag in config.ip_tags for one in tag.ip_list
        )
        own = config.ip_tag_header
        self.header = wire(own.header.lower()) if own is not None else ""
        self.sanitizes = own is not None and own.action == "SANITIZE"
        self.wanted: Optional[bool] = None if config.request_type == "BOTH" else config.request_type == "INTERNAL"
        self._context = context

    def count(self, name: str) -> None:
        """One more of `http.<stat_prefix>.ip_tagging.<name>`, which is there from the first time on, as in Envoy."""
        self._scope.counter(name).value += 1

    def applies(self, head: RequestHead) -> bool:
        """Whether this request is of the kind that gets tags, and the runtime does not forbid it."""
        if self.wanted is not None and self.wanted is not (head.headers.get("x-envoy-internal") == "true"):
            return False
        percent: Optional[int] = self._context.runtime.integer(_PERCENT_KEY)
        return percent is None or self._context.random.random() * 100 < percent


class IpTaggingFilter(HttpFilter):
    """One request."""

    __slots__ = ("decoder", "encoder", "_settings")

    def __init__(self, settings: _Settings) -> None:
        self._settings = settings

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Write the tags. The route may depend on them."""
        settings = self._settings
        if not settings.applies(head):
            return CONTINUE
        found = settings.tags.find(endpoint_number(self.decoder.info.downstream_remote_address))
        changed = settings.sanitizes and head.headers.remove(settings.header)
        settings.count("total")
        if found:
            head.headers.append(settings.header or _DEFAULT_HEADER, wire(",".join(found)))
            changed = True
            for tag in found:
                settings.count(f"{tag}.hit")
        else:
            settings.count("no_hit")
        if changed:
            self.decoder.clear_route_cache()
        return CONTINUE


def build(config: IPTagging, context: HttpFactoryContext) -> HttpFilterFactory:
    """Prepare the networks. Raises `ConfigError` if there are none."""
    settings = _Settings(config, context)
    return lambda: IpTaggingFilter(settings)


EXTENSION = HttpExtension(IPTagging, build)
