#include "console.h"

#include <stddef.h>

#include "counter.h"
#include "qc_port.h"
#include "registers.h"

enum {
  RING = QC_STM32_RING,
  SR = 0, /* word offsets of the USART registers, RM0090 30.6 */
  DR = 1,
  BRR = 2,
  CR1 = 3,
  SPINS_PER_BYTE = 400000,   /* 10 bits at 2400 baud at most, even at 180 MHz */
  USART1_SPOKE = 0x31525355, /* "USR1" */
  MODE_ALTERNATE = 2,
  PULL_UP = 1,
  AF7 = 7, /* USART1 and USART2 on port A */
};

typedef struct {
  volatile uint32_t *const usart;
  const uint8_t tx_pin, rx_pin;
  uint32_t clock_hz;
  volatile uint32_t received, lost; /* written by the interrupt */
  uint32_t taken;
  uint8_t driving; /* the TX pin has been taken */
  uint8_t *const ring;
} console_t;

static uint8_t rings[2][RING];
static console_t usart2 = {.usart = &USART2_SR, .tx_pin = 2, .rx_pin = 3, .ring = rings[0]};
static console_t usart1 = {.usart = &USART1_SR, .tx_pin = 9, .rx_pin = 10, .ring = rings[1]};
static console_t *speaker = &usart2;
/* Survives a reset, so that the banner after a crash reaches whoever was listening. */
static __attribute__((section(".noinit"))) uint32_t last_speaker;
static uint32_t ticks_per_ms;
static uint32_t silence; /* empty reads since the last byte */
static int at_start_rate = 1;

void qc_stm32_usart1_interrupt(void);
void qc_stm32_usart2_interrupt(void);
void qc_stm32_systick_interrupt(void);

static void receive(console_t *console) {
  for (;;) {
    const uint32_t status = console->usart[SR];
    if ((status & (USART_SR_RXNE | USART_SR_ORE)) == 0) return;
    const uint8_t byte = (uint8_t)console->usart[DR]; /* SR then DR clears the error flags too */
    if ((status & USART_SR_ORE) != 0) console->lost++;
    if ((status & USART_SR_RXNE) == 0 || (status & USART_SR_FE) != 0) continue; /* break or noise */
    if (console->received - console->taken >= RING) {
      console->lost++;
    } else {
      console->ring[console->received % RING] = byte;
      console->received++;
    }
  }
}

void qc_stm32_usart1_interrupt(void) {
  receive(&usart1);
}

void qc_stm32_usart2_interrupt(void) {
  receive(&usart2);
}

void qc_stm32_systick_interrupt(void) {} /* only ends a WFI */

static void set_pin(uint32_t pin, uint32_t mode, uint32_t pull) {
  volatile uint32_t *const function = pin < 8 ? &GPIOA_AFRL : &GPIOA_AFRH;
  const uint32_t nibble = 4u * (pin % 8u);
  GPIOA_PUPDR = (GPIOA_PUPDR & ~(3u << (2u * pin))) | (pull << (2u * pin));
  *function = (*function & ~(0xFu << nibble)) | ((uint32_t)AF7 << nibble);
  GPIOA_MODER = (GPIOA_MODER & ~(3u << (2u * pin))) | (mode << (2u * pin));
}

static int divisor(uint32_t clock_hz, uint32_t baud, uint32_t *result) {
  if (baud == 0 || baud > clock_hz / 16u) return 0;
  const uint32_t rounded = (clock_hz + baud / 2u) / baud;
  const uint32_t made = clock_hz / rounded;
  const uint32_t off = made > baud ? made - baud : baud - made;
  *result = rounded;
  return rounded <= 0xFFFFu && off <= baud / 50u;
}

static void start(console_t *console, uint32_t clock_hz) {
  console->clock_hz = clock_hz;
  set_pin(console->rx_pin, MODE_ALTERNATE, PULL_UP);
  set_pin(console->tx_pin, 0, PULL_UP); /* an input until there is something to say: on some */
  uint32_t rate = 0;                    /* boards the other console's pins have another use */
  if (divisor(clock_hz, QC_STM32_BAUD, &rate)) console->usart[BRR] = rate;
  console->usart[CR1] = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
}

void qc_stm32_console_start(const qc_stm32_clocks_t *clocks) {
  RCC_AHB1ENR |= RCC_AHB1ENR_GPIOAEN;
  RCC_APB1ENR |= RCC_APB1ENR_USART2EN;
  RCC_APB2ENR |= RCC_APB2ENR_USART1EN;
  (void)RCC_APB2ENR; /* the clocks run before the first access: RM0090 6.3.10 and its errata */
  start(&usart2, clocks->apb1_hz);
  start(&usart1, clocks->apb2_hz);
  if (last_speaker == USART1_SPOKE) speaker = &usart1;
  NVIC_ISER1 = (1u << (37 - 32)) | (1u << (38 - 32));
  ticks_per_ms = clocks->core_hz / 1000u;
}

static console_t *heard(void) {
  if (speaker->received != speaker->taken) return speaker;
  console_t *const other = speaker == &usart2 ? &usart1 : &usart2;
  return other->received != other->taken ? other : NULL;
}

/* Sleeps until an interrupt or for a millisecond; for 16 when it has been silent for long, since an
 * idle board need not wake a thousand times a second. At a raised rate the harness counts the
 * milliseconds, so there it stays at one. SysTick runs only here: no tick falls into a measured
 * window. */
static void sleep_a_little(void) {
  const uint32_t milliseconds = silence > 1000 && at_start_rate ? 16 : 1;
  silence++;
  SYST_RVR = milliseconds * ticks_per_ms - 1u;
  SYST_CVR = 0;
  SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CLKSOURCE;
  __asm volatile("cpsid i" ::: "memory"); /* WFI wakes with interrupts masked: no byte slips by */
  if (heard() == NULL) __asm volatile("dsb\n wfi" ::: "memory");
  SYST_CSR = 0;
  SCB_ICSR = SCB_ICSR_PENDSTCLR;
  __asm volatile("cpsie i\n isb" ::: "memory");
}

uint32_t qc_port_read(uint8_t *data, uint32_t limit) {
  console_t *console = heard();
  if (console == NULL) {
    qc_stm32_counter_keep();
    sleep_a_little();
    console = heard();
    if (console == NULL) return 0;
  }
  speaker = console;
  last_speaker = console == &usart1 ? USART1_SPOKE : 0;
  silence = 0;
  uint32_t count = console->received - console->taken;
  if (count > limit) count = limit;
  for (uint32_t i = 0; i < count; i++) data[i] = console->ring[(console->taken + i) % RING];
  console->taken += count;
  return count;
}

static void wait_for(uint32_t flag) {
  for (uint32_t spin = 0; spin < SPINS_PER_BYTE; spin++) {
    if ((speaker->usart[SR] & flag) != 0) return;
  }
}

void qc_port_write(const uint8_t *data, uint32_t bytes) {
  if (!speaker->driving) {
    set_pin(speaker->tx_pin, MODE_ALTERNATE, 0);
    speaker->driving = 1;
  }
  for (uint32_t i = 0; i < bytes; i++) {
    wait_for(USART_SR_TXE);
    speaker->usart[DR] = data[i];
  }
}

void qc_port_flush(void) {
  wait_for(USART_SR_TC);
}

uint32_t qc_port_overruns(void) {
  return usart1.lost + usart2.lost;
}

int qc_port_set_baud(uint32_t baud) {
  uint32_t rate = 0;
  if (!divisor(speaker->clock_hz, baud, &rate)) return 0;
  qc_port_flush();
  speaker->usart[CR1] &= ~USART_CR1_UE;
  speaker->usart[BRR] = rate;
  speaker->usart[CR1] |= USART_CR1_UE;
  at_start_rate = baud == QC_STM32_BAUD;
  return 1;
}
