"""A new revision of a model, led to live by way of the idle one of two slots.

Helm, Git or a person says which revision is *desired* (a ``PodTemplate`` rendered by the model chart); the driver makes it
*live*: it stamps the idle slot's Deployment from the template, waits until all its pods are ready, has it answer a scored
probe, moves the traffic, and keeps the old slot warm for a while. What is live is never taken from the chart, so nothing that
is rendered or re-applied can reset it; what was reset all the same is put back at the next look.

``observe``, ``observed``
    objects of one namespace, read and turned into frozen records that carry their resourceVersion.
``journal``, ``policy``, ``names``, ``objects``
    what is remembered, how a model is released, what things are called, what is written.
``decide``
    what to do next, pure: one step of the journal (``advance``), or the writes that make the cluster what the journal says
    (``repair``); ``readiness`` is the question both ask.
``judge``
    whether a candidate is good enough for more traffic, by evidence: pure, and a design document of its own.
``readings``, ``looks``
    what the pods have counted; one look at a candidate that has a share of the traffic.
``commands``
    what a person may tell the driver meanwhile.
``act``, ``probe``
    one write an action; the scored request that a candidate must answer.
``drive``, ``figures``
    the loop and its counters.

Three rules make it safe to kill, and to run twice by mistake. A step is written to the journal before anything is changed
for it. Every write carries the resourceVersion of the look it was decided on. Only the holder of the lease writes.

Does not belong here: the Kubernetes client and the lease (``fairlead.adapters``), rendering (the charts).
"""
