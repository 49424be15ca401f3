"""TLVs of a version 2 header: to dynamic metadata or filter state by the rules, and kept for the upstream's header."""

from __future__ import annotations

import base64
import re
from typing import Any, Final, Iterable, List

from ....network.proxy_header import TLV_STATE_KEY, Tlv, TlvTexts
from .config import Destination, Settings

_ESCAPED: Final = re.compile("[\udc80-\udcff]")


def keep(tlvs: Iterable[Tlv], settings: Settings, info: Any) -> List[Tlv]:
    """Put each TLV where the rules want it and return those to pass through.

    What came before a broken one is kept, since the access log of the rejected connection shows it. info: the connection's
    `StreamInfo`.
    """
    passed = settings.passed
    through = []
    for tlv in tlvs:
        destination = settings.destinations.get(tlv[0])
        if destination is not None:
            _store(destination, as_text(tlv[1], destination.base64), settings.in_filter_state, info)
        if passed is None or tlv[0] in passed:
            through.append(tlv)
    return through


def _store(destination: Destination, text: str, in_filter_state: bool, info: Any) -> None:
    """As in Envoy, the first value of a key stays in dynamic metadata, but the last one in filter state."""
    if not in_filter_state:
        if destination.key not in info.dynamic_metadata.get(destination.namespace, ()):
            info.set_dynamic_metadata(destination.namespace, {destination.key: text})
        return
    texts = info.filter_state.get(TLV_STATE_KEY)
    if texts is None:
        texts = TlvTexts()
        info.set_filter_state(TLV_STATE_KEY, texts)
    texts[destination.key] = text


def as_text(value: bytes, as_base64: bool) -> str:
    """A value as the string that metadata can hold."""
    if as_base64:
        return base64.b64encode(value).decode("ascii")
    # surrogateescape makes one character of each byte that is not UTF-8, and nothing else makes these characters.
    return _ESCAPED.sub("!", value.decode("utf-8", "surrogateescape"))
