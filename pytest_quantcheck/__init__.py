"""Quantized neural networks, tested on the host and on the microcontroller.

Importing this package imports nothing else: the pytest plug-in must cost nothing while unused.
"""

__version__ = "0.1.0"
