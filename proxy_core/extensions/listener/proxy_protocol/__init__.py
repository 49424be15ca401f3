"""proxy_protocol: takes a PROXY protocol header off a connection and its addresses for true. Mirrors
`envoy.filters.listener.proxy_protocol`.

`config` is the message and what is prepared from it, `filter` the decisions, `signature` tells which header it is, `v1` and `v2`
read the two formats, `tlvs` puts TLVs where the configuration wants them, `stats` are the counters.
"""

from .filter import EXTENSION

__all__ = ["EXTENSION"]
