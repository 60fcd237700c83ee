"""Interpreters that do not check their models run in separate processes: a damaged model ends only those."""
