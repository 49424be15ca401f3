"""What the engine tells about itself: statistics, access logs, process log, the facts of a connection.

Everything here is written by the layers that move bytes and read by the admin and by people. Nothing here
knows those
layers: the package imports the standard library and itself only. Mirrors `source/common/stats`,
`source/common/formatter`, `source/common/access_log`, `source/common/stream_info` and the logger of Envoy.
"""
