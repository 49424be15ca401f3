"""Access logs: compiled formats (`format`), filters (`filters`), the files that take the lines (`sink`).

`logger.AccessLog` ties the three together for one configured log. Mirrors `source/common/formatter`,
`source/common/access_log` and `source/extensions/access_loggers`.
"""
