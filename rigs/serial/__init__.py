"""Boards of any chip that are no more than a serial port: their firmware comes from elsewhere."""

from rigs.serial.family import SerialFamily

family = SerialFamily()
