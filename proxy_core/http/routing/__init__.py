"""Routing: from a `RouteConfiguration` to the route of each request. Mirrors `source/common/router`.

    table        the prepared configuration: `build_table`
    hosts        host name -> virtual host
    index        path -> the few routes that may take it, in the order of the configuration
    conditions   what else a route asks: headers, query, cookies, a share of the requests ...
    route        one prepared route; levels, filter_settings: what table, virtual host and route say together
    forward, weighted, rewrite, hashing, retry, mirror        what `route` actions do
    redirect, direct                                          what is answered here
    header_mutation, formatting                               changes of headers
    rate_limits, virtual_clusters                             what filters and stats ask of a route

Everything that can be worked out when the table is loaded is: a request costs a few look-ups.
"""
