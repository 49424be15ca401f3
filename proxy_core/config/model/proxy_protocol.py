"""envoy.config.core.v3, the messages of proxy_protocol.proto, for the listener filter and the upstream transport socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet, List, Optional

from ..descriptor import Message, Report, message, optional, plain, repeated
from ..kinds import Bytes, Enum, UInt32
from ..nested import Nested

V1 = "V1"
V2 = "V2"
VERSION = Enum(V1=0, V2=1)
INCLUDE = "INCLUDE"
_BYTE = UInt32(lte=255)


@message("envoy.config.core.v3.ProxyProtocolPassThroughTLVs")
@dataclass(eq=False, repr=False)
class ProxyProtocolPassThroughTLVs(Message):
    """Which of the TLVs of a received header are kept, or sent on."""

    match_type: str = plain(Enum(INCLUDE_ALL=0, INCLUDE=1))
    tlv_type: List[int] = repeated(_BYTE, help="The types; only with INCLUDE.")

    def types(self) -> Optional[FrozenSet[int]]:
        """The types; None = all."""
        return frozenset(self.tlv_type) if self.match_type == INCLUDE else None


@message("envoy.config.core.v3.TlvEntry", unsupported=("format_string",))
@dataclass(eq=False, repr=False)
class TlvEntry(Message):
    """A TLV to send."""

    type: int = plain(_BYTE)
    value: bytes = plain(Bytes(), help="At least one byte.")

    def check(self, report: Report) -> None:
        """A value has to be there."""
        if not self.value:
            report("value", "Invalid TLV configuration: one of 'value' or 'format_string' must be set.")


@message("envoy.config.core.v3.ProxyProtocolConfig")
@dataclass(eq=False, repr=False)
class ProxyProtocolConfig(Message):
    """What header to send to the upstream."""

    version: str = plain(VERSION)
    pass_through_tlvs: Optional[ProxyProtocolPassThroughTLVs] = optional(
        Nested(ProxyProtocolPassThroughTLVs), help="Received TLVs to send on (version 2); none by default."
    )
    added_tlvs: List[TlvEntry] = repeated(Nested(TlvEntry), help="Own TLVs; they win over received ones of their type.")


@message("envoy.config.core.v3.PerHostConfig")
@dataclass(eq=False, repr=False)
class PerHostConfig(Message):
    """TLVs for one endpoint: in its metadata's typed_filter_metadata under envoy.transport_sockets.proxy_protocol."""

    added_tlvs: List[TlvEntry] = repeated(Nested(TlvEntry), help="They win over the transport socket's of their type.")
