"""Where bytes go: clusters, their hosts, who is picked, and how a connection to it is made."""
