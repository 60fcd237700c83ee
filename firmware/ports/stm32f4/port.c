/* The harness's view of the chip (qc_port.h). */
#include "qc_port.h"

#include "chips.h"
#include "console.h"
#include "counter.h"
#include "registers.h"

enum { RETAINED = 256, STORE_ALIGNMENT = 1024 };

extern const uint8_t _firmware_start[], _firmware_end[], _store_start[];
extern uint8_t _pool_start[];

uint32_t qc_stm32_stack_peak(void);

static __attribute__((section(".noinit"), aligned(8))) uint8_t retained[RETAINED];

static void fill_unique_id(qc_port_info_t *info) {
  if (!qc_stm32_is_silicon()) return;
  const uint32_t words[3] = {UID_0, UID_1, UID_2};
  for (uint32_t i = 0; i < 12; i++) info->unique_id[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
  info->unique_id_bytes = 12;
}

void qc_port_init(qc_port_info_t *info) {
  const qc_stm32_chip_t *chip = qc_stm32_chip();
  if (qc_stm32_is_silicon()) DBGMCU_CR |= DBGMCU_CR_DBG_SLEEP; /* a probe may attach while idle */
  const qc_stm32_clocks_t clocks = qc_stm32_start_clocks();
  const int instructions = qc_stm32_counter_start();
  qc_stm32_console_start(&clocks);
  const uint32_t store_start = (uint32_t)_store_start;
  const uint32_t flash_end = (uint32_t)_firmware_start + qc_stm32_flash_bytes();
  *info = (qc_port_info_t){
      .board = "stm32f4",
      .chip = chip->name,
      .clock_hz = instructions ? 0 : clocks.core_hz,
      .counts_instructions = (uint8_t)instructions,
      .firmware = _firmware_start,
      .firmware_bytes = (uint32_t)(_firmware_end - _firmware_start),
      .store = flash_end > store_start ? _store_start : NULL,
      .store_bytes = flash_end > store_start ? flash_end - store_start : 0,
      .store_address = store_start,
      .store_alignment = STORE_ALIGNMENT,
      .pool = _pool_start,
      .pool_bytes = 0x20000000u + chip->ram_kb * 1024u - (uint32_t)_pool_start,
      .receive_bytes = QC_STM32_RING,
  };
  fill_unique_id(info);
}

uint32_t qc_port_stack_peak(void) {
  return qc_stm32_stack_peak();
}

void *qc_port_retained(uint32_t *bytes) {
  *bytes = RETAINED;
  return retained;
}

/* Flashed over SWD, the chip needs no loader: both modes restart the application. */
void qc_port_reset(uint32_t mode) {
  (void)mode;
  qc_port_flush();
  __asm volatile("cpsid i\n dsb" ::: "memory");
  SCB_AIRCR = (0x5FAu << SCB_AIRCR_VECTKEY_POS) | SCB_AIRCR_SYSRESETREQ;
  for (;;) __asm volatile("dsb" ::: "memory");
}
