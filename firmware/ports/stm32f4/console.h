/* Two serial consoles, both listening; answers go to the one that spoke last. */
#ifndef QC_STM32F4_CONSOLE_H
#define QC_STM32F4_CONSOLE_H

#include <stdint.h>

#include "chips.h"

enum { QC_STM32_BAUD = 115200, QC_STM32_RING = 4096 /* bytes, for each console */ };

/* USART2 on PA2/PA3 (the Nucleo boards' virtual COM port) and USART1 on PA9/PA10. */
void qc_stm32_console_start(const qc_stm32_clocks_t *clocks);

#endif
