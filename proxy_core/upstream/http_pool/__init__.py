"""HTTP/1.1 connections to upstream hosts: made when needed, used again, counted. Mirrors `Http::Http1::ConnPoolImpl`.

Place in the data's way: the router asks `HttpPools` for the pool of a host, the pool gives the router a connection, and that is
written to and heard from until the response is complete.

    HttpPools        all of the process; finds what a cluster has
      ClusterPools   of one cluster: its HTTP options and stats, a pool per host and priority
        HostPool     idle, busy and connecting connections of one host, and the requests that wait for one
          Http1Client   one connection: the codec, and the one stream that uses it now

`api` has what a stream must be, and why there may be none.
"""

from __future__ import annotations

from .api import PendingStream, ResetReason, Stream
from .client import Http1Client
from .pools import ClusterPools, HttpPools

__all__ = ["ClusterPools", "Http1Client", "HttpPools", "PendingStream", "ResetReason", "Stream"]
