"""The pytest plug-in's hooks."""
