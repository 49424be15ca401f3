"""The HTTP connection manager: what happens between the codec of a client's connection and the HTTP filters.

Place in the data's way, as the modules are to be read:

    connection       the network filter: bytes -> codec -> streams, one at a time
    stream           one request with its response; `states` has its two machines
    arrival          what is checked and changed when a request's head is there: `path`, `request_rules`, `forwarded`
    iteration        how a filter chain is run, both ways; `chain` prepares it, `callbacks` is what filters see of it
    response         from the last encode hook to the codec: dates, `server`, keep-alive
    local_reply      answers that are made here
    timeouts         the one lazy timer of a connection
    facts            what access logs can ask about a stream

Mirrors `Envoy::Http::ConnectionManagerImpl` with its `ActiveStream`, `FilterManager` and `ConnectionManagerUtility`.
"""
