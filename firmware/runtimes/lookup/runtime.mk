RUNTIME_SOURCES := runtimes/lookup/qc_lookup.c
RUNTIME_CFLAGS :=
