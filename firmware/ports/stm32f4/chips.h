/* What differs between the chips this image runs on, and which one this is. */
#ifndef QC_STM32F4_CHIPS_H
#define QC_STM32F4_CHIPS_H

#include <stdint.h>

typedef struct {
  uint16_t device_id; /* DBGMCU_IDCODE.DEV_ID */
  const char *name;
  uint16_t ram_kb; /* from 0x20000000, without the core-coupled memory */
  uint8_t pll_m;
  uint16_t pll_n;
  uint8_t pll_p, pll_q; /* HSI 16 MHz / m * n / p = core clock */
  uint8_t core_mhz;
  uint8_t latency;                /* flash wait states at that clock and 2.7 to 3.6 V */
  uint8_t prefetch;               /* whether the flash interface may prefetch */
  uint8_t voltage_scale;          /* PWR_CR.VOS */
  uint8_t apb1_shift, apb2_shift; /* bus clock = core clock >> shift */
} qc_stm32_chip_t;

/* The chip this runs on; for an unknown one the least that all of the family have, at 16 MHz.
 * An emulator without DBGMCU (device id 0) counts as an STM32F405, whose memory map it offers. */
const qc_stm32_chip_t *qc_stm32_chip(void);
/* 1 when DBGMCU_IDCODE names a chip, so that the electronic signature may be read. */
int qc_stm32_is_silicon(void);
/* Flash bytes from 0x08000000. */
uint32_t qc_stm32_flash_bytes(void);
/* Core, APB1 and APB2 clock in Hz after qc_stm32_start_clocks(). */
typedef struct {
  uint32_t core_hz, apb1_hz, apb2_hz;
} qc_stm32_clocks_t;
/* HSI and PLL, no crystal. Every wait is bounded; when the PLL does not lock, the chip stays at
 * 16 MHz. An emulator without RCC runs at the chip's nominal clock from the start. */
qc_stm32_clocks_t qc_stm32_start_clocks(void);

#endif
