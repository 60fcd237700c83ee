"""The ESP32 family: its entry point. Importing it loads neither esptool nor pyserial nor unicorn."""

from rigs.esp32.family import Esp32Family

family = Esp32Family()

__all__ = ["family"]
