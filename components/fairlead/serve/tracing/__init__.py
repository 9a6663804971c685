"""OpenTelemetry.

``settings`` says whether, and brings nothing; ``spans`` makes and sends spans; ``context`` reads a request's.
"""
