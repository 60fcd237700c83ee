#ifndef QC_BUILD_H
#define QC_BUILD_H

/* Which sources, flags and compiler this firmware was made with. */
extern const char qc_build_id[];

#endif
