"""The configuration message of proxy_protocol, and `Settings`: what all connections of one listener share."""

from __future__ import annotations

import dataclasses
from typing import AbstractSet, Dict, List, NamedTuple, Optional

from ....config.fields import Bool, Enum, Message, Nested, Report, String, UInt32, message, optional, plain, repeated
from ....config.model.proxy_protocol import V1, V2, VERSION, ProxyProtocolPassThroughTLVs
from ....observe.stats import Scope
from .stats import ProxyProtocolStats

NAME = "envoy.filters.listener.proxy_protocol"
_MESSAGE = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
BASE64 = "BASE64"
FILTER_STATE = "FILTER_STATE"


@message(f"{_MESSAGE}.KeyValuePair")
@dataclasses.dataclass(eq=False, repr=False)
class KeyValuePair(Message):
    """Where the value of a TLV goes."""

    metadata_namespace: str = plain(String(), help=f"Default {NAME}.")
    key: str = plain(String(min_len=1))
    value_string_encoding: str = plain(
        Enum(SANITIZED_UTF8=0, BASE64=1), help="SANITIZED_UTF8: each byte that is not UTF-8 becomes '!'."
    )


@message(f"{_MESSAGE}.Rule")
@dataclasses.dataclass(eq=False, repr=False)
class Rule(Message):
    """What to do with TLVs of one type."""

    tlv_type: int = plain(UInt32(lte=255))
    on_tlv_present: Optional[KeyValuePair] = optional(Nested(KeyValuePair), help="By default the key is empty.")


@message(_MESSAGE)
@dataclasses.dataclass(eq=False, repr=False)
class ProxyProtocolListenerConfig(Message):
    """Expects a PROXY protocol header, version 1 or 2, before everything else, and takes the addresses from it."""

    rules: List[Rule] = repeated(Nested(Rule), help="TLVs to keep; of two rules for a type the last counts.")
    allow_requests_without_proxy_protocol: bool = plain(
        Bool(), help="Pass connections without a header. Only safe when all clients may say who they are."
    )
    pass_through_tlvs: Optional[ProxyProtocolPassThroughTLVs] = optional(
        Nested(ProxyProtocolPassThroughTLVs), help="TLVs to keep for the header to the upstream; none by default."
    )
    disallowed_versions: List[str] = repeated(
        VERSION, help="Rejected; with allow_requests_without_proxy_protocol not looked for."
    )
    stat_prefix: str = plain(String(), help="Stats are named proxy_proto.[<stat_prefix>.].")
    tlv_location: str = plain(Enum(DYNAMIC_METADATA=0, FILTER_STATE=1), help="Where the rules put values.")

    def check(self, report: Report) -> None:
        """One version must be left."""
        if {V1, V2} <= set(self.disallowed_versions):
            report(
                "disallowed_versions",
                "Proxy Protocol filter is misconfigured: all proxy protocol versions are disallowed.",
            )


class Destination(NamedTuple):
    """Where one type of TLV goes."""

    namespace: str
    key: str
    base64: bool


class Settings:
    """Decided once per listener, read by every connection."""

    def __init__(self, config: ProxyProtocolListenerConfig, root: Scope) -> None:
        """root: the scope of the process."""
        self.stats = ProxyProtocolStats(root, config.stat_prefix)
        self.allow_without = config.allow_requests_without_proxy_protocol
        self.allows_v1 = V1 not in config.disallowed_versions
        self.allows_v2 = V2 not in config.disallowed_versions
        self.in_filter_state = config.tlv_location == FILTER_STATE
        through = config.pass_through_tlvs
        self.passed: Optional[AbstractSet[int]] = frozenset() if through is None else through.types()
        self.destinations: Dict[int, Destination] = {}
        for rule in config.rules:
            where = rule.on_tlv_present
            self.destinations[rule.tlv_type] = (
                Destination(NAME, "", False) if where is None
                else Destination(where.metadata_namespace or NAME, where.key, where.value_string_encoding == BASE64)
            )
