/* The counter: DWT_CYCCNT where it moves, else TIM2 (an emulator that counts instructions). */
#ifndef QC_STM32F4_COUNTER_H
#define QC_STM32F4_COUNTER_H

/* Returns 1 when the unit is executed instructions, 0 for core clock cycles. */
int qc_stm32_counter_start(void);
/* Keeps the 64-bit extension and, after a debugger has let go, the counter itself alive. */
void qc_stm32_counter_keep(void);

#endif
