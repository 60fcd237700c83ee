"""Interpreters that trust their models run in processes of their own: a damaged model costs the process."""
