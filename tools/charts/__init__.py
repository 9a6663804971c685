"""The charts' values as pydantic models, and what is generated from them.

``common`` has what both charts share, ``model`` and ``platform`` one chart each, ``render`` makes files of them.
"""
