"""The admin server: Envoy's endpoints and ours (`/connections`, `/why`, `/explain` ...), on the engine's own listener and codec.

Reading order: `api` (request, reply, route), `routes` (what there is), `filter` (a connection), `server` (how
it is built).
"""
