"""/ui: one page in a browser that shows what moves and what waits, live. Ours; Envoy has no such thing.

Reading order: `page` (the page, joined from the files beside it), `survey` (one walk over all connections, in
small steps), `rows` (the few that are shown one by one), `picture` (what is sent), `live` (when it is sent).

The rule for the cost: the server counts, and shows a bounded number of connections one by one; the walk is cut
into steps so that no client waits for it; and the time between two walks is a hundred times what a walk takes.
Without a viewer nothing runs.
"""
