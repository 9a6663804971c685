"""The prediction log: what was asked and answered, as JSON lines in segments.

``prediction_log`` takes records and writes them behind the requests' back; ``records`` is their form,
``privacy`` what of the inputs may be in them, ``writer`` and ``files`` how they get to the disk.
"""
