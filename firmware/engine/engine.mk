# The engine as a runtime of this firmware: its sources relative to firmware/ and its flags.
# It needs memcpy, memset and the compiler's helper library (libgcc), nothing else.

RUNTIME_SOURCES := $(sort $(wildcard engine/*.c engine/kernels/*.c))
RUNTIME_CFLAGS := -Iengine
# Runs once per image or operator, not per element or byte: small instead of fast.
RUNTIME_SMALL := $(filter-out engine/qc_open.c,$(wildcard engine/*.c))
