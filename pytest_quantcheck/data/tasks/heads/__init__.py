"""Heads of detectors: what raw outputs mean. A board gives the outputs, the host decodes them.

Each head is called as a ``Task.decode`` is, and ``detector`` makes a ``Task`` of it.
"""
