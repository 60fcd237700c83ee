include engine/engine.mk
RUNTIME_SOURCES := runtimes/three/qc_three.c $(filter-out engine/qc_engine.c,$(RUNTIME_SOURCES))
