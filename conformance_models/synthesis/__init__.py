"""Sounds and pictures that the project makes itself, from a seed: nobody's recordings, the same everywhere.

Random numbers come from ``numpy.random.RandomState``, whose streams are frozen (NEP 19).
"""
