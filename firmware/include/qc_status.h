/* The one error enum of engine, harness and ports. Values travel over the link: append only. */
#ifndef QC_STATUS_H
#define QC_STATUS_H

typedef enum {
  QC_OK = 0,
  QC_ERR_MAGIC = 1,        /* not a device image */
  QC_ERR_VERSION = 2,      /* image format version not supported */
  QC_ERR_SIZE = 3,         /* a size, count or length is out of range */
  QC_ERR_CRC = 4,          /* stored and recomputed CRC-32 differ */
  QC_ERR_BOUNDS = 5,       /* an offset points outside its section */
  QC_ERR_ALIGN = 6,        /* an offset is not aligned as the format demands */
  QC_ERR_TYPE = 7,         /* an enum holds an unknown value */
  QC_ERR_SHAPE = 8,        /* shapes of an operator do not fit together */
  QC_ERR_PARAM = 9,        /* an operator parameter is out of range */
  QC_ERR_UNSUPPORTED = 10, /* valid, but this runtime cannot do it */
  QC_ERR_NO_MEMORY = 11,   /* arena or RAM pool too small */
  QC_ERR_NO_MODEL = 12,    /* no image is loaded, or none with the hash asked for */
  QC_ERR_STATE = 13,       /* the request does not fit the current state */
  QC_ERR_ARGUMENT = 14,    /* a request field is out of range */
  QC_ERR_PROTOCOL = 15,    /* another protocol version */
  QC_ERR_UNKNOWN = 16,     /* unknown request */
} qc_status_t;

#endif
