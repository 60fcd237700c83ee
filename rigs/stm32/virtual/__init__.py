"""The virtual STM32F405 behind a debug port that unmodified pyOCD talks to.

QEMU runs the application, unicorn runs pyOCD's flash algorithm, a modelled debug port joins them.
"""
