"""The node: process 1 of its own network, mount and process namespaces, and everything it starts.

All that runs in a cluster descends from it, so that killing it removes the whole cluster and nothing else::

    __main__        the order of things
    isolation       private mounts, so that a cluster never meets its host or another cluster in a path
    network         interfaces and routes; there is no way out
    certificates    keys, certificates, the administrator's token
    configuration   the components' files
    components      the components' command lines
    supervisor      starts them, and starts again what died
    api             a small client of the API server, for the two below
    volumes         makes a directory for each volume claim
    targets         tells Prometheus which pods to scrape
    postgres        becomes a PostgreSQL server
"""
