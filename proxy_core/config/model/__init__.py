"""The messages of an Envoy v3 bootstrap, one module per group of Envoy's packages.

`core` and `address` (config.core.v3), `matcher` (type.matcher.v3), `access_log`, `listener`, `endpoint`,
`cluster`, `bootstrap` (with runtime, metrics and overload). Extensions declare their messages in their own
files.
"""
