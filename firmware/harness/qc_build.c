/* The build id: the start of the hash over the sources, given by the Makefile. */
#include "qc_build.h"

const char qc_build_id[] = QC_BUILD_ID;
