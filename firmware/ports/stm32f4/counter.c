#include "counter.h"

#include "chips.h"
#include "qc_port.h"
#include "registers.h"

uint32_t qc_stm32_loop(volatile uint32_t *counter, uint32_t iterations);

static volatile uint32_t *source = &DWT_CYCCNT;
static uint32_t last, wraps;

static void enable_dwt(void) {
  DCB_DEMCR |= DCB_DEMCR_TRCENA;
  DWT_CTRL |= DWT_CTRL_CYCCNTENA;
}

static int dwt_moves(void) {
  const uint32_t before = DWT_CYCCNT;
  for (uint32_t spin = 0; spin < 100; spin++) {
    if (DWT_CYCCNT != before) return 1;
  }
  return 0;
}

/* QEMU without a DWT: its TIM2 advances at 1 GHz of virtual time, and with `-icount shift=0` an
 * instruction takes 1 ns of that, so one tick is one instruction. On silicon TIM2 would count
 * something else and is never used. */
static void start_tim2(void) {
  RCC_APB1ENR |= RCC_APB1ENR_TIM2EN;
  TIM2_PSC = 0;
  TIM2_ARR = 0xFFFFFFFFu;
  TIM2_EGR = TIM2_EGR_UG;
  TIM2_CR1 = TIM2_CR1_CEN;
}

int qc_stm32_counter_start(void) {
  enable_dwt();
  if (dwt_moves() || qc_stm32_is_silicon()) return 0;
  start_tim2();
  source = &TIM2_CNT;
  return 1;
}

void qc_stm32_counter_keep(void) {
  /* A debugger that disconnects clears DEMCR.TRCENA, which stops CYCCNT (pyOCD does). */
  if (source == &DWT_CYCCNT) enable_dwt();
  (void)qc_port_counter();
}

uint64_t qc_port_counter(void) {
  const uint32_t now = *source;
  wraps += now < last; /* no branch: every call costs the same */
  last = now;
  return ((uint64_t)wraps << 32) | now;
}

uint64_t qc_port_loop(uint32_t iterations) {
  return qc_stm32_loop(source, iterations);
}

/* Cycles are not promised: what a taken branch costs depends on the prefetch (Cortex-M4 TRM 3.3.1).
 */
void qc_port_loop_cost(uint32_t *per_round, uint32_t *fixed) {
  const int instructions = source == &TIM2_CNT;
  *per_round = instructions ? 3 : 0;
  *fixed = instructions ? 4 : 0;
}
