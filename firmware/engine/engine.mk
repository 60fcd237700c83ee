# The engine as a runtime of this firmware: its sources relative to firmware/ and its flags.
# It needs memcpy, memset and the compiler's helper library (libgcc), nothing else.

RUNTIME_SOURCES := engine/qc_engine.c engine/qc_image.c engine/qc_check.c \
  $(sort $(wildcard engine/kernels/*.c))
RUNTIME_CFLAGS := -Iengine
# Runs once per image or operator, not per element: small instead of fast.
RUNTIME_SMALL := engine/qc_check.c engine/qc_engine.c
