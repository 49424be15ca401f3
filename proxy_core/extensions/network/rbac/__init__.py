"""rbac: who may connect. Mirrors `envoy.filters.network.rbac`.

    config.py      what may be configured
    facts.py       what the rules are asked about: one connection's addresses, names, certificate, metadata
    conditions.py  one permission or principal -> a function of the facts
    rules.py       permissions, principals and policies -> a verdict
    filter.py      when the verdict is asked for, and what follows from it

Unlike Envoy's, which decides when the first byte arrives, this filter decides as soon as everything is known that its rules ask
about: for most rules when the connection is new. So a denied client is not served by a server that speaks first, and no
upstream is dialled for it.
"""

from .factory import EXTENSION, MATCHERS

__all__ = ["EXTENSION", "MATCHERS"]
