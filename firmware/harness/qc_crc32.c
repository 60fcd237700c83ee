/* CRC-32 (polynomial 0x04C11DB7 reflected, as in zlib and IEEE 802.3), two table look-ups a byte:
 * a table of 64 bytes instead of 1024, on chips where flash is read through a small cache. */
#include "qc_crc32.h"

uint32_t qc_crc32(uint32_t crc, const void *data, uint32_t bytes) {
  static const uint32_t table[16] = {
      0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
      0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
      0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
  };
  const uint8_t *at = data;
  crc = ~crc;
  while (bytes-- != 0) {
    crc ^= *at++;
    crc = table[crc & 15] ^ (crc >> 4);
    crc = table[crc & 15] ^ (crc >> 4);
  }
  return ~crc;
}
