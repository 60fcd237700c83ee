"""The virtual ESP32-C3: a process of its own (``python -m rigs.esp32.virtual``)."""
