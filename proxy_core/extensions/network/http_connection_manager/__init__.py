"""http_connection_manager: the network filter that speaks HTTP/1.1 with clients. `config` and `parts` hold its messages,
`prepare` makes of them what `http.connection_manager` works with, `factory` puts it into filter chains.
"""

from __future__ import annotations

from .factory import EXTENSION

__all__ = ["EXTENSION"]
