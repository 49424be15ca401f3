"""Active health checks: each host of a cluster is asked, again and again, whether it is well. Mirrors
`Upstream::HealthCheckerImplBase` and its three kinds for TCP, HTTP/1.1 and Redis.

Reading order: `outcome` (what a probe finds out), `standing` (how many of these change a host's state), `intervals` (when the
next one is due), `dialogue` (what a kind of check says and hears; no I/O) with `tcp`, `http` and `redis`, `probe` (the
connection), `session` (one host, one check), `plan` (one check, prepared), `checker` (all checks of a cluster), `events`.
"""
