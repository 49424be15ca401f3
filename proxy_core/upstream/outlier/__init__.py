"""Outlier detection: hosts that answer badly are ejected for a while, and come back. Mirrors `Upstream::Outlier`.

Reading order: `monitor` (one host: counts what its connections and requests came to), `kinds` (why a host may be ejected),
`rates` (who is worse than the others), `detector` (a cluster: ejects and brings back), `settings`, `stats`, `events`.
"""
