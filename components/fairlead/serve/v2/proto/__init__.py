"""The protocol's messages: ``*.proto`` is written by hand, ``*_pb2.py`` is made of it by ``make generate``.

Other packages bring classes for the same messages (clients, servers of other makers), and protobuf allows a
name once in its common pool. So the messages here live in pools of their own, and a process may load both.
"""
