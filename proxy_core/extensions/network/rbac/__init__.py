"""rbac: who may connect. Mirrors `envoy.filters.network.rbac`.

    config.py      what may be configured
    prepared.py    what connections share: compiled rules (`extensions.rbac`), stats
    filter.py      when the verdict is asked for, and what follows from it

Unlike Envoy's, which decides when the first byte arrives, this filter decides as soon as everything is known that its rules ask
about: for most rules when the connection is new. So a denied client is not served by a server that speaks first, and no
upstream is dialled for it.
"""

from .factory import EXTENSION

__all__ = ["EXTENSION"]
