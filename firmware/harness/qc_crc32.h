#ifndef QC_CRC32_H
#define QC_CRC32_H

#include <stdint.h>

/* CRC-32 as zlib computes it: qc_crc32(qc_crc32(0, a), b) is that of a followed by b. */
uint32_t qc_crc32(uint32_t crc, const void *data, uint32_t bytes);

#endif
