/* Reset, vector table and fault handlers. */
#include <stdint.h>

#include "qc_port.h"
#include "registers.h"

extern uint32_t _stack_bottom[], _stack_top[], _data_load[], _data_start[], _data_end[],
    _bss_start[], _bss_end[];

void Reset_Handler(void);
void qc_stm32_fault_entry(void);
void qc_stm32_usart1_interrupt(void);
void qc_stm32_usart2_interrupt(void);
void qc_stm32_systick_interrupt(void);
uint32_t qc_stm32_stack_peak(void);
void qc_stm32_fault(const uint32_t *frame) __attribute__((noreturn));

#define STACK_PAINT 0xC5C5C5C5u

/* Runs before .data exists and while it stands on the stack it paints: registers only. */
static inline __attribute__((always_inline)) void paint_stack(void) {
  uint32_t *here;
  __asm volatile("mov %0, sp" : "=r"(here));
  for (uint32_t *word = _stack_bottom; word < here; word++)
    *(volatile uint32_t *)word = STACK_PAINT;
}

uint32_t qc_stm32_stack_peak(void) {
  const uint32_t *word = _stack_bottom;
  while (word < _stack_top && *word == STACK_PAINT) word++;
  return (uint32_t)(_stack_top - word) * 4u;
}

void Reset_Handler(void) {
  SCB_VTOR = 0x08000000u;                  /* also when a loader jumped here */
  SCB_CPACR |= 0xFu << SCB_CPACR_CP10_POS; /* CP10 and CP11: the FPU */
  __asm volatile("dsb\n isb" ::: "memory");
  paint_stack();
  const uint32_t *from = _data_load;
  for (uint32_t *to = _data_start; to < _data_end;) *(volatile uint32_t *)to++ = *from++;
  for (uint32_t *to = _bss_start; to < _bss_end;) *(volatile uint32_t *)to++ = 0;
  SCB_SHCSR |= SCB_SHCSR_MEMFAULTENA | SCB_SHCSR_BUSFAULTENA | SCB_SHCSR_USGFAULTENA;
  qc_harness_main();
  qc_port_reset(0);
}

/* `frame` is what the core stacked: r0-r3, r12, lr, pc, xpsr (ARMv7-M ARM B1.5.6). After a stack
 * overflow it may lie outside RAM; then only the cause is known.
 * cause: exception number, ORed with the bus and usage fault bytes of CFSR. */
__attribute__((used)) void qc_stm32_fault(const uint32_t *frame) {
  uint32_t exception;
  __asm volatile("mrs %0, ipsr" : "=r"(exception));
  const uint32_t status = SCB_CFSR;
  uint32_t address = 0;
  if ((status & SCB_CFSR_BFARVALID) != 0) address = SCB_BFAR;
  if ((status & SCB_CFSR_MMARVALID) != 0) address = SCB_MMFAR;
  SCB_CFSR = status; /* sticky until written */
  const int stacked = frame >= _stack_bottom && frame + 8 <= _stack_top;
  qc_harness_crash((status & 0xFFFFFF00u) | (exception & 0xFFu), stacked ? frame[6] : 0, address,
                   stacked ? frame[5] : 0);
  for (;;) qc_port_reset(0);
}

typedef void (*vector_t)(void);

#define FAULT_8                                                                                    \
  qc_stm32_fault_entry, qc_stm32_fault_entry, qc_stm32_fault_entry, qc_stm32_fault_entry,          \
      qc_stm32_fault_entry, qc_stm32_fault_entry, qc_stm32_fault_entry, qc_stm32_fault_entry

/* 16 system vectors and 104 interrupts, more than any of the family has (STM32F446: 97). */
__attribute__((section(".vectors"), used)) const vector_t qc_stm32_vectors[16 + 104] = {
    (vector_t)_stack_top,
    Reset_Handler,
    qc_stm32_fault_entry, /* NMI */
    qc_stm32_fault_entry, /* HardFault */
    qc_stm32_fault_entry, /* MemManage */
    qc_stm32_fault_entry, /* BusFault */
    qc_stm32_fault_entry, /* UsageFault */
    0,
    0,
    0,
    0,
    qc_stm32_fault_entry, /* SVCall */
    qc_stm32_fault_entry, /* DebugMonitor */
    0,
    qc_stm32_fault_entry, /* PendSV */
    qc_stm32_systick_interrupt,
    FAULT_8, /* 0 */
    FAULT_8,
    FAULT_8,
    FAULT_8,
    qc_stm32_fault_entry, /* 32 */
    qc_stm32_fault_entry,
    qc_stm32_fault_entry,
    qc_stm32_fault_entry,
    qc_stm32_fault_entry,
    qc_stm32_usart1_interrupt, /* 37 */
    qc_stm32_usart2_interrupt, /* 38 */
    qc_stm32_fault_entry,
    FAULT_8, /* 40 */
    FAULT_8,
    FAULT_8,
    FAULT_8,
    FAULT_8,
    FAULT_8,
    FAULT_8,
    FAULT_8,
};
