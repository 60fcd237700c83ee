# The engine's sources and include folders, relative to this file. Include it and compile them all:
#
#   include engine/engine.mk
#   OBJECTS += $(QC_ENGINE_SOURCES:...)
#   CFLAGS  += $(QC_ENGINE_INCLUDES)
#
# The engine needs memcpy, memset and the compiler's helper library (libgcc), nothing else.

QC_ENGINE_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

QC_ENGINE_INCLUDES := -I$(QC_ENGINE_DIR) -I$(QC_ENGINE_DIR)/../include

QC_ENGINE_SOURCES := \
  $(QC_ENGINE_DIR)/qc_engine.c \
  $(QC_ENGINE_DIR)/qc_image.c \
  $(QC_ENGINE_DIR)/qc_check.c \
  $(sort $(wildcard $(QC_ENGINE_DIR)/kernels/*.c))
