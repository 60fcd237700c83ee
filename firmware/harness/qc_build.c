/* The build id: the start of the hash over the sources, given by the Makefile; others have none. */
#include "qc_build.h"

#ifndef QC_BUILD_ID
#define QC_BUILD_ID "own build"
#endif

const char qc_build_id[] = QC_BUILD_ID;
