"""proxy_core: Envoy's connection engine in pure Python, standard library only.

`python -m proxy_core -c config.json` takes the JSON bootstrap of Envoy 1.40 and proxies TCP and HTTP/1.1 as Envoy does. This
text is the tour: what to read in which order, what an error is, and the words that are used. A test checks that every name in it
exists.

The way of a byte, function by function:

    kernel
      event.reactor.Reactor.turn              phase 3: a descriptor is ready
      network.connection.Connection.on_ready  one read, into the read buffer
      buffer.Buffer.append
      filters.chain.ReadChain.run             filter by filter
      extensions.network.tcp_proxy.session.Session.on_data
      network.connection.Connection.write     the other connection: into its write buffer, and the watermark
      event.reactor.Reactor.turn              phase 5
      network.connection.Connection.flush
      network.sockets.send
    kernel, and back by the same functions

The way of an HTTP request, on top of that:

    http.connection_manager.connection.HttpConnection.on_data   the last filter of the chain gives the bytes to the codec
    http.codec.ServerCodec.next_event                           bytes to events
    http.connection_manager.arrival.admit                       the head: refused, or cleaned, and a stream begins
    http.connection_manager.iteration.Iteration.run_headers     HTTP filter by HTTP filter
    http.routing.table.Table.route                              when the first of them asks for it
    extensions.http.router.request.RoutedRequest.begin          the last filter picks a host
    upstream.http_pool.host_pool.HostPool.new_stream            a connection that is idle, or a new one
    extensions.http.router.attempt.Attempt                      the request on its way, and the response back
    http.connection_manager.encode.Encode                       the filters again, the last one first

Reading order, from the simplest use inwards and out again:

     1. extensions.network.echo        a filter
     2. filters.api                    what a filter is, and what a status means
     3. filters.chain                  how filters are run
     4. buffer                         where the bytes are
     5. network.states                 the two machines of a connection and their joint rule
     6. network.connection             the connection; then network.closing: how it ends, and the bounds on waiting
     7. event.reactor                  who calls all this
     8. listener.listener              who gets in; then listener.filter_chain, listener.manager: how that changes
     9. upstream.tcp_pool              where bytes go; then upstream.cluster
    10. extensions.network.tcp_proxy   the filter that joins two connections
    11. config.fields                  how a configuration message is declared
    12. http.states, http.codec        HTTP/1.1 without I/O
    13. http.connection_manager        streams over a connection; then http.filter_api, http.routing
    14. extensions.http.router         where a request goes, again if need be; then upstream.http_pool
    15. observe.reasons                how everybody says what he waits for; then admin.why
    16. server.server                  everything put together; then server.lifecycle

Errors are told apart by whose fault they are (see `errors`):

    the operator's file        ConfigError: every problem at once, each with its JSON path; after the start it is refused
                               and the old one stays
    the peer's bytes           PeerError: closes that one connection, with a recorded reason
    the environment            handled where it happens: out of descriptors, a full disk, an address in use
    ours                       IllegalTransition, assert, anything unexpected: the reactor logs the traceback, closes the
                               connection it belongs to, counts it, and goes on

Words, all of them Envoy's unless marked:

    downstream   the client's side. upstream: the server's side. There is no third direction.
    listener     an address that accepts, with filter chains
    filter chain a transport and the filters behind it
    cluster      a named set of hosts that serve the same thing. host: one of them
    watermark    high = the buffer limit, low = half of it: crossing them pauses and resumes whoever produces bytes
    parked       a filter returned STOP_ITERATION, and those behind it wait
    stall        (ours) parked with nothing left that could wake the chain, or keeping bytes back while no more come
    holder       (ours) who paused reading, by name
    drain        to let connections end in their own time
    stream       one HTTP request with its response. route: what its head was found to ask for
"""

__version__ = "0.1.0"
