"""A real Kubernetes cluster of one node, on a plain Debian machine, from Go modules and Debian packages.

It runs before any environment exists, hence on Python's standard library alone. From the outside inwards::

    cli            the commands
    requirements   whether this machine can run a cluster at all
    pins           every version and package the cluster is made of
    programs       Go modules and Debian packages to programs, cached by content
    images         container images, by buildah; loaded into a running cluster
    lifecycle      up and down
    access         commands inside the cluster's namespaces
    readiness      what `up` waits for
    faults         components killed, stopped, added
    status         memory, nodes, logs
    places         where files are, and the addresses
    node/          the node itself: process 1 of its own namespaces, and what it runs
"""
