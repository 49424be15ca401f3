"""envoy.config.route.v3.RouteAction.HashPolicy: from what the hash of a request is made, for RING_HASH and MAGLEV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..descriptor import Message, message, optional, plain, repeated
from ..kinds import Bool, Duration, String
from ..nested import Nested
from .header_value import HeaderText
from .matcher import RegexMatchAndSubstitute

_NAME = "envoy.config.route.v3.RouteAction.HashPolicy"
_MOST_BYTES = 16384


@message(f"{_NAME}.Header")
@dataclass(eq=False, repr=False)
class HashHeader(Message):
    """A header of the request."""

    header_name: str = plain(HeaderText(min_len=1))
    regex_rewrite: Optional[RegexMatchAndSubstitute] = optional(
        Nested(RegexMatchAndSubstitute), help="Applied to the value first."
    )


@message(f"{_NAME}.CookieAttribute")
@dataclass(eq=False, repr=False)
class CookieAttribute(Message):
    """An attribute of a cookie that is made here."""

    name: str = plain(HeaderText(min_len=1, max_bytes=_MOST_BYTES))
    value: str = plain(HeaderText(max_bytes=_MOST_BYTES))


@message(f"{_NAME}.Cookie")
@dataclass(eq=False, repr=False)
class HashCookie(Message):
    """A cookie, which is made here when there is none and `ttl` is set."""

    name: str = plain(HeaderText(min_len=1))
    ttl: Optional[float] = optional(Duration(), help="How long it lives; 0s: as long as the browser.")
    path: str = plain(HeaderText())
    attributes: List[CookieAttribute] = repeated(Nested(CookieAttribute))


@message(f"{_NAME}.ConnectionProperties")
@dataclass(eq=False, repr=False)
class HashConnectionProperties(Message):
    """The connection."""

    source_ip: bool = plain(Bool())


@message(f"{_NAME}.QueryParameter")
@dataclass(eq=False, repr=False)
class HashQueryParameter(Message):
    """A parameter of the query."""

    name: str = plain(String(min_len=1))


@message(f"{_NAME}.FilterState")
@dataclass(eq=False, repr=False)
class HashFilterState(Message):
    """An object that a filter left."""

    key: str = plain(String(min_len=1))


@message(_NAME, required_oneofs=("policy_specifier",))
@dataclass(eq=False, repr=False)
class HashPolicy(Message):
    """One part of the hash; what several of them yield is combined."""

    header: Optional[HashHeader] = optional(Nested(HashHeader), oneof="policy_specifier")
    cookie: Optional[HashCookie] = optional(Nested(HashCookie), oneof="policy_specifier")
    connection_properties: Optional[HashConnectionProperties] = optional(
        Nested(HashConnectionProperties), oneof="policy_specifier"
    )
    terminal: bool = plain(Bool(), help="The rest is not asked once there is a hash.")
    query_parameter: Optional[HashQueryParameter] = optional(Nested(HashQueryParameter), oneof="policy_specifier")
    filter_state: Optional[HashFilterState] = optional(Nested(HashFilterState), oneof="policy_specifier")
