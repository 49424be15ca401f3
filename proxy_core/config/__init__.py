"""The configuration: from the operator's JSON to checked, typed data, before any byte moves.

The way of a file: `json_text` (bytes to JSON, strictly) -> `merge` (the inline part over the file) ->
`decode` (JSON to messages) -> `check` (rules between messages) -> a `Bootstrap` that the server builds from.
`load` does all four. `dump` prints messages back, `schema` describes them. One declaration per message serves
all of it: see `fields`. Mirrors Envoy's `Server::Configuration`, `MessageUtil` and the .proto files under
api/envoy/config. Imports nothing of this package but `errors`.
"""
