"""HTTP/1.1 without I/O: the codec that the connection manager, the HTTP pool and the admin server stand on.

Reading order: `events` (what is said), `states` (when it may be said), `parser` with `request_head`,
`response_head` and `body` (bytes to events), `writer` (events to bytes), `codec` (both halves joined).
"""
