"""STM32 boards: target definitions, flashing through pyOCD, the virtual STM32F405, prebuilt firmware."""

from rigs.stm32.family import family

__all__ = ["family"]
