"""The virtual STM32F405 behind a debug port that unmodified pyOCD talks to.

unicorn, or QEMU, runs the application; a second unicorn runs pyOCD's flash algorithm; a modelled debug
port joins them.
"""
