"""The virtual STM32F405: QEMU runs the application, unicorn runs pyOCD's flash algorithm, a modelled debug port joins them."""
