"""envoy.config.core.v3.HttpUri: where to ask something over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..descriptor import Message, message, optional, plain
from ..kinds import Duration, String


@message("envoy.config.core.v3.HttpUri", required_oneofs=("http_upstream_type",))
@dataclass(eq=False, repr=False)
class HttpUri(Message):
    """A URL, and the cluster that serves it: the URL's host only goes into the host header."""

    uri: str = plain(String(min_len=1), help='"http://host/path".')
    cluster: Optional[str] = optional(String(min_len=1), oneof="http_upstream_type", refers_to="cluster")
    timeout: Optional[float] = optional(Duration(gte=0), required=True, help="For the whole exchange.")
