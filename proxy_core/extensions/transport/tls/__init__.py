"""TLS transport sockets. Mirrors `envoy.transport_sockets.tls`.

`config` the messages; `material` certificates and keys from files; `contexts` the `ssl` contexts and the choice among them by
server name; `checks` what a client's certificate must have; `policy` judges and counts handshakes; `reasons` names failures as
Envoy does; `facts` is for access logs; `factory` puts it together. The bytes themselves go through `network.tls`.
"""

from .factory import EXTENSION

__all__ = ["EXTENSION"]
