"""tcp_bandwidth_limit: how many bytes a second a chain's connections may receive and send, together. Mirrors
`envoy.filters.network.tcp_bandwidth_limit`.

`config` has the message and what all connections of a chain share, `read` and `write` a filter for each direction: a
direction without a limit has none, and may go through the kernel.
"""

from .config import EXTENSION

__all__ = ["EXTENSION"]
