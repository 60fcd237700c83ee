"""Boards that are processes of this machine: the firmware compiled for the host, and the smallest example
of a chip family. Not part of the built-in virtual rig; an inventory names them (family = "posix")."""

from rigs.posix.family import PosixFamily

family = PosixFamily()
