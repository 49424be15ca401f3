"""The admin server: Envoy's endpoints and our `/connections`, on the engine's own listener and HTTP codec.

Reading order: `api` (request, reply, route), `routes` (what there is), `filter` (a connection), `server` (how
it is built).
"""
