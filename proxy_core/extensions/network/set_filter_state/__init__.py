"""set_filter_state: puts values, made from format strings, where filters behind it find them by well-known names. Mirrors
`envoy.filters.network.set_filter_state`.

`objects` has the kinds of values, `filter` the configuration and the filter.
"""

from .filter import EXTENSION

__all__ = ["EXTENSION"]
