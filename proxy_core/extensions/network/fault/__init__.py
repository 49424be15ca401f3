"""fault: faults on purpose, with the toxics of Toxiproxy 2. Ours; Envoy has faults for HTTP, and none for TCP.

The parts, from the smallest to the whole:

    latency, bandwidth, slow_close, timeout, reset_peer, slicer, limit_data     one toxic each: attributes and behaviour
    stage       what a toxic is on one direction of one connection
    link        the stages of one direction in a row, and what waits in them
    exits       what lies before and behind a link, from the client and to the client
    filter      both links of a connection
    point       one configured filter: what is in force, and how that changes
    toxic, config    the messages

Where Toxiproxy closes both directions at an end of one, this carries a half-close across. Its `down` is `enabled: false`.
"""

from __future__ import annotations

from ....filters.api import FilterFactory
from ....filters.registry import FactoryContext, NetworkExtension
from .config import Fault
from .point import Point


def build(config: Fault, context: FactoryContext) -> FilterFactory:
    """The configured filter is the factory of its connections' filters."""
    return Point(config, context.reactor)


EXTENSION = NetworkExtension(Fault, False, build)
