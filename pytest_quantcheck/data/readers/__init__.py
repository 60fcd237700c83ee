"""Folders and files of images, sounds and sensor data as they lie on a disk, read into a ``Dataset``."""
