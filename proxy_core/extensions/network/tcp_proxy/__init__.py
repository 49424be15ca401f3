"""tcp_proxy: joins a downstream connection with an upstream one. Mirrors `envoy.filters.network.tcp_proxy`.

`config` is the message and what is prepared from it, `session` the filter and its states, `upstream` the other side's
filter and the coupling of the two flow controls, `timing` its timers.
"""

from .factory import EXTENSION

__all__ = ["EXTENSION"]
