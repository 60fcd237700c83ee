/* Port to the ESP32-C3: clock, watchdogs, counter, and two consoles (UART0 and USB Serial/JTAG). */
#include "chip.h"
#include "qc_port.h"

enum {
  XTAL_HZ = 40000000,
  TICKS_PER_MS = 16000, /* SYSTIMER */
  UART_FIFO_BYTES = 128,
  UART_RX_THRESHOLD = 64, /* leaves 64 byte times for the interrupt to be taken */
  UART_RX_TIMEOUT_BITS = 20,
  USB_PACKET_BYTES =
      63,            /* one less than the endpoint: a full packet would wait for a further one */
  RING_BYTES = 8192, /* a power of two */
  UART_LINE = 1,     /* CPU interrupt numbers */
  USB_LINE = 2,
  SPIN_LIMIT = 100000,     /* bounds waits that end within microseconds on a healthy chip */
  TIMER_SPINS = 1000,      /* the same for a snapshot of the timer, which is taken in every wait */
  STANDSTILL_LOOKS = 1000, /* a timer that runs differs after a few looks */
};

extern const uint8_t _image_bytes[];
extern uint8_t _pool_start[], _pool_end[];
extern uint32_t _stack_bottom[], _stack_top[];
void qc_esp32c3_interrupt(uint32_t line);

typedef enum { CONSOLE_UART, CONSOLE_USB } console_t;

static struct {
  volatile uint32_t head, tail, overruns;
  volatile console_t console;
  uint8_t ring[RING_BYTES];
  uint32_t wait_start;
  uint8_t waiting;
  uint32_t last_look, same_looks, own_ticks;
  uint32_t counter_high, counter_last;
  uint8_t counts_instructions;
  uint8_t usb_stalled; /* the host does not read: drop output at once until it does again */
} port;

/* Survives a reset; after power-on it holds noise. */
static struct {
  uint32_t pll_attempt;
  uint8_t crash[240];
} retained __attribute__((section(".retained"), aligned(16)));
static const uint32_t PLL_ATTEMPT = 0x504C4C3Fu; /* "PLL?" */

/* Time ------------------------------------------------------------------------------------- */

/* Bounds every wait: where the timer stands still, each further look at it counts as a tick. */
static uint32_t ticks(void) {
  QC_REG(SYSTIMER_UNIT0_OP_REG) = SYSTIMER_TIMER_UNIT0_UPDATE;
  for (uint32_t spin = 0; spin < TIMER_SPINS; spin++)
    if (QC_REG(SYSTIMER_UNIT0_OP_REG) & SYSTIMER_TIMER_UNIT0_VALUE_VALID) break;
  const uint32_t value = QC_REG(SYSTIMER_UNIT0_VALUE_LO_REG);
  port.same_looks = value == port.last_look ? port.same_looks + 1 : 0;
  port.last_look = value;
  if (port.same_looks > STANDSTILL_LOOKS) port.own_ticks++;
  return value + port.own_ticks;
}

#define READ_CSR(number)                                                                           \
  ({                                                                                               \
    uint32_t value_;                                                                               \
    __asm__ volatile("csrr %0, %1" : "=r"(value_) : "i"(number));                                  \
    value_;                                                                                        \
  })
#define WRITE_CSR(number, value) __asm__ volatile("csrw %0, %1" ::"i"(number), "r"(value))

/* Asks for clock cycles and takes what the core keeps of the request: a core without a clock, as a
 * simulator's, keeps the cycle event at 0, and then executed instructions are counted instead. */
static void start_counter(void) {
  WRITE_CSR(CSR_MPCMR, 0u);
  WRITE_CSR(CSR_MPCER, MPCER_CYCLE);
  port.counts_instructions = READ_CSR(CSR_MPCER) != MPCER_CYCLE;
  if (port.counts_instructions) WRITE_CSR(CSR_MPCER, MPCER_INST);
  WRITE_CSR(CSR_MPCCR, 0u);
  WRITE_CSR(CSR_MPCMR, MPCMR_COUNT_EN);
}

/* 0 when the timer does not run. */
static uint32_t measure_hz(void) {
  const uint32_t tick_start = ticks(), cycle_start = READ_CSR(CSR_MPCCR);
  while (ticks() - tick_start < 5 * TICKS_PER_MS) {
  }
  const uint32_t cycles = READ_CSR(CSR_MPCCR) - cycle_start;
  return port.own_ticks ? 0 : cycles * 200u;
}

uint64_t qc_port_counter(void) {
  const uint32_t now = READ_CSR(CSR_MPCCR);
  port.counter_high += now < port.counter_last; /* no branch */
  port.counter_last = now;
  return ((uint64_t)port.counter_high << 32) | now;
}

/* Counted: the beqz, two instructions a round, the second csrr. */
uint64_t qc_port_loop(uint32_t iterations) {
  uint32_t before, after;
  __asm__ volatile("csrr %0, %3\n"
                   "beqz %2, 2f\n"
                   "1: addi %2, %2, -1\n"
                   "bnez %2, 1b\n"
                   "2: csrr %1, %3\n"
                   : "=&r"(before), "=&r"(after), "+r"(iterations)
                   : "i"(CSR_MPCCR));
  return after - before;
}

void qc_port_loop_cost(uint32_t *per_round, uint32_t *fixed) {
  *per_round = port.counts_instructions ? 2 : 0;
  *fixed = port.counts_instructions ? 2 : 0;
}

/* Watchdogs and clock ---------------------------------------------------------------------- */

static void write_rtc_watchdog(uint32_t config, uint32_t timeout) {
  QC_REG(RTC_CNTL_WDTWPROTECT_REG) = RTC_CNTL_WDT_WKEY;
  QC_REG(RTC_CNTL_WDTCONFIG1_REG) = timeout;
  QC_REG(RTC_CNTL_WDTCONFIG0_REG) = config;
  QC_REG(RTC_CNTL_WDTWPROTECT_REG) = 0;
}

/* The ROM leaves the RTC and timer group 0 watchdogs running in flash-boot mode. */
static void stop_watchdogs(void) {
  write_rtc_watchdog(0, 0);
  QC_REG(RTC_CNTL_SWD_WPROTECT_REG) = RTC_CNTL_SWD_WKEY;
  QC_REG(RTC_CNTL_SWD_CONF_REG) |= RTC_CNTL_SWD_AUTO_FEED_EN;
  QC_REG(RTC_CNTL_SWD_WPROTECT_REG) = 0;
  QC_REG(TIMG0_WDTWPROTECT_REG) = TIMG_WDT_WKEY;
  QC_REG(TIMG0_WDTCONFIG0_REG) = TIMG_WDT_CONF_UPDATE_EN;
  QC_REG(TIMG0_WDTWPROTECT_REG) = 0;
  QC_REG(TIMG1_WDTWPROTECT_REG) = TIMG_WDT_WKEY;
  QC_REG(TIMG1_WDTCONFIG0_REG) = TIMG_WDT_CONF_UPDATE_EN;
  QC_REG(TIMG1_WDTWPROTECT_REG) = 0;
}

/* 40 MHz from the crystal, undivided: always works. */
static void clock_from_crystal(void) {
  QC_REG(SYSTEM_SYSCLK_CONF_REG) &= ~(SYSTEM_SOC_CLK_SEL_M | SYSTEM_PRE_DIV_CNT_M);
}

/* 160 MHz needs the PLL that the ROM starts for USB Serial/JTAG and nothing else. Where it does not
 * run, the core stops at the switch: the RTC watchdog, which has a clock of its own, then resets
 * the chip, and the mark in retained memory makes this start stay at 40 MHz. */
static void raise_clock(void) {
  const uint32_t forced_down =
      RTC_CNTL_BB_I2C_FORCE_PD | RTC_CNTL_BBPLL_I2C_FORCE_PD | RTC_CNTL_BBPLL_FORCE_PD;
  clock_from_crystal();
  if (retained.pll_attempt == PLL_ATTEMPT || (QC_REG(RTC_CNTL_OPTIONS0_REG) & forced_down)) return;
  retained.pll_attempt = PLL_ATTEMPT;
  write_rtc_watchdog(RTC_CNTL_WDT_EN | RTC_CNTL_WDT_STG0_RESET_SYSTEM, 100000); /* about 1 s */
  uint32_t conf = QC_REG(SYSTEM_CPU_PER_CONF_REG) & ~SYSTEM_CPUPERIOD_SEL_M;
  QC_REG(SYSTEM_CPU_PER_CONF_REG) = conf | SYSTEM_PLL_FREQ_SEL_480 | SYSTEM_CPUPERIOD_SEL_160;
  conf = QC_REG(SYSTEM_SYSCLK_CONF_REG) & ~SYSTEM_SOC_CLK_SEL_M;
  QC_REG(SYSTEM_SYSCLK_CONF_REG) = conf | SYSTEM_SOC_CLK_SEL_PLL;
  (void)ticks();
  write_rtc_watchdog(0, 0);
  retained.pll_attempt = 0;
}

/* Measured, not believed: a PLL that runs off its rate is given up for the crystal. */
static uint32_t settle_clock(void) {
  raise_clock();
  if (port.counts_instructions) return 0;
  uint32_t hz = measure_hz();
  if (hz < 156000000u || hz > 164000000u) {
    clock_from_crystal();
    hz = measure_hz();
  }
  return hz;
}

/* Consoles --------------------------------------------------------------------------------- */

static void receive(uint8_t byte, console_t from) {
  const uint32_t head = port.head;
  port.console = from;
  if (head - port.tail >= RING_BYTES) {
    port.overruns++;
    return;
  }
  port.ring[head % RING_BYTES] = byte;
  port.head = head + 1;
}

static void uart_drain(void) {
  for (uint32_t round = 0; round < RING_BYTES; round++) {
    uint32_t waiting = QC_REG(UART_STATUS_REG) & UART_RXFIFO_CNT_M;
    if (waiting == 0) return;
    for (; waiting > 0; waiting--) receive((uint8_t)QC_REG(UART_FIFO_REG), CONSOLE_UART);
  }
}

/* Drained again behind the clearing: a byte whose timeout was cleared would wait for the next. */
static void uart_interrupt(void) {
  uart_drain();
  if (QC_REG(UART_INT_RAW_REG) & UART_RXFIFO_OVF_INT) port.overruns++;
  QC_REG(UART_INT_CLR_REG) = UART_RXFIFO_FULL_INT | UART_RXFIFO_TOUT_INT | UART_RXFIFO_OVF_INT;
  uart_drain();
}

static void usb_interrupt(void) {
  QC_REG(USB_SERIAL_JTAG_INT_CLR_REG) = USB_SERIAL_JTAG_SERIAL_OUT_RECV_PKT_INT;
  for (uint32_t i = 0; i <= USB_PACKET_BYTES; i++) {
    if (!(QC_REG(USB_SERIAL_JTAG_EP1_CONF_REG) & USB_SERIAL_JTAG_SERIAL_OUT_EP_DATA_AVAIL)) break;
    receive((uint8_t)QC_REG(USB_SERIAL_JTAG_EP1_REG), CONSOLE_USB);
  }
  port.usb_stalled = 0;
}

void qc_esp32c3_interrupt(uint32_t line) {
  if (line == UART_LINE) uart_interrupt();
  if (line == USB_LINE) usb_interrupt();
}

uint32_t qc_port_read(uint8_t *data, uint32_t limit) {
  while (port.head == port.tail) {
    const uint32_t now = ticks();
    if (!port.waiting) port.wait_start = now;
    port.waiting = 1;
    if (now - port.wait_start >= TICKS_PER_MS) {
      port.wait_start = now; /* the next wait goes on from here, so that rounds are milliseconds */
      return 0;
    }
  }
  port.waiting = 0;
  uint32_t tail = port.tail, count = 0;
  for (; count < limit && tail != port.head; count++, tail++)
    data[count] = port.ring[tail % RING_BYTES];
  port.tail = tail;
  return count;
}

static uint32_t uart_unsent(void) {
  return (QC_REG(UART_STATUS_REG) >> UART_TXFIFO_CNT_S) & UART_TXFIFO_CNT_V;
}

static void uart_write(const uint8_t *data, uint32_t bytes) {
  uint32_t start = ticks();
  while (bytes > 0) {
    uint32_t room = UART_FIFO_BYTES - uart_unsent();
    if (room == 0) {
      if (ticks() - start >= 500 * TICKS_PER_MS) return; /* 128 bytes at 9766 baud take 131 ms */
      continue;
    }
    for (; room > 0 && bytes > 0; room--, bytes--) QC_REG(UART_FIFO_REG) = *data++;
    start = ticks();
  }
}

static void uart_flush(void) {
  const uint32_t start = ticks();
  while (uart_unsent() > 0 || (QC_REG(UART_FSM_STATUS_REG) & UART_ST_UTX_OUT_M))
    if (ticks() - start >= 500 * TICKS_PER_MS) return;
}

static int usb_ready(void) {
  const uint32_t start = ticks();
  while (!(QC_REG(USB_SERIAL_JTAG_EP1_CONF_REG) & USB_SERIAL_JTAG_SERIAL_IN_EP_DATA_FREE)) {
    if (port.usb_stalled || ticks() - start >= 200 * TICKS_PER_MS) {
      port.usb_stalled = 1;
      return 0;
    }
  }
  return 1;
}

static void usb_write(const uint8_t *data, uint32_t bytes) {
  while (bytes > 0 && usb_ready()) {
    const uint32_t packet = bytes < USB_PACKET_BYTES ? bytes : USB_PACKET_BYTES;
    for (uint32_t i = 0; i < packet; i++) QC_REG(USB_SERIAL_JTAG_EP1_REG) = data[i];
    QC_REG(USB_SERIAL_JTAG_EP1_CONF_REG) = USB_SERIAL_JTAG_WR_DONE;
    data += packet;
    bytes -= packet;
  }
}

void qc_port_write(const uint8_t *data, uint32_t bytes) {
  if (port.console == CONSOLE_USB)
    usb_write(data, bytes);
  else
    uart_write(data, bytes);
}

void qc_port_flush(void) {
  if (port.console == CONSOLE_USB)
    (void)usb_ready();
  else
    uart_flush();
}

uint32_t qc_port_overruns(void) {
  return port.overruns;
}

static void uart_apply(void) { /* carries written settings into the UART's own clock domain */
  QC_REG(UART_ID_REG) |= UART_REG_UPDATE;
  for (uint32_t spin = 0; spin < SPIN_LIMIT; spin++)
    if (!(QC_REG(UART_ID_REG) & UART_REG_UPDATE)) break;
}

/* The divider has 12 bits and 4 fractional ones: 9766 baud is the slowest rate. Below 8 there are
 * too few clocks in a bit. */
int qc_port_set_baud(uint32_t baud) {
  if (baud == 0 || baud > XTAL_HZ / 8) return 0;
  if (port.console == CONSOLE_USB) return 1; /* a virtual rate */
  const uint32_t sixteenths = (XTAL_HZ * 16u + baud / 2) / baud;
  if (sixteenths >> 4 > UART_CLKDIV_V) return 0;
  uart_flush();
  QC_REG(UART_CLKDIV_REG) = (sixteenths >> 4) | ((sixteenths & 15u) << UART_CLKDIV_FRAG_S);
  uart_apply();
  return 1;
}

static void start_uart(void) {
  uart_flush(); /* what the ROM had to say */
  QC_REG(UART_CLK_CONF_REG) = UART_SCLK_SEL_XTAL | UART_SCLK_EN | UART_TX_SCLK_EN | UART_RX_SCLK_EN;
  QC_REG(UART_CONF0_REG) = UART_MEM_CLK_EN | UART_BIT_NUM_8 | UART_STOP_BIT_1 | UART_RXFIFO_RST;
  QC_REG(UART_CONF0_REG) = UART_MEM_CLK_EN | UART_BIT_NUM_8 | UART_STOP_BIT_1;
  const uint32_t memory =
      QC_REG(UART_MEM_CONF_REG) & ~(UART_RX_TOUT_THRHD_V << UART_RX_TOUT_THRHD_S);
  QC_REG(UART_MEM_CONF_REG) = memory | (UART_RX_TIMEOUT_BITS << UART_RX_TOUT_THRHD_S);
  QC_REG(UART_CONF1_REG) = UART_RX_TOUT_EN | (UART_RX_THRESHOLD << UART_RXFIFO_FULL_THRHD_S);
  (void)qc_port_set_baud(115200);
  QC_REG(UART_INT_CLR_REG) = ~0u;
  QC_REG(UART_INT_ENA_REG) = UART_RXFIFO_FULL_INT | UART_RXFIFO_TOUT_INT | UART_RXFIFO_OVF_INT;
}

static void start_interrupts(void) {
  QC_REG(USB_SERIAL_JTAG_INT_CLR_REG) = ~0u;
  usb_interrupt(); /* a packet from before would never interrupt and keep the endpoint full */
  QC_REG(USB_SERIAL_JTAG_INT_ENA_REG) = USB_SERIAL_JTAG_SERIAL_OUT_RECV_PKT_INT;
  QC_REG(INTERRUPT_CORE0_UART_INTR_MAP_REG) = UART_LINE;
  QC_REG(INTERRUPT_CORE0_USB_INTR_MAP_REG) = USB_LINE;
  QC_REG(INTERRUPT_CORE0_CPU_INT_TYPE_REG) = 0; /* level */
  QC_REG(INTERRUPT_CORE0_CPU_INT_PRI_1_REG) = 1;
  QC_REG(INTERRUPT_CORE0_CPU_INT_PRI_2_REG) = 1;
  QC_REG(INTERRUPT_CORE0_CPU_INT_THRESH_REG) = 1;
  QC_REG(INTERRUPT_CORE0_CPU_INT_ENABLE_REG) = (1u << UART_LINE) | (1u << USB_LINE);
  __asm__ volatile("csrsi mstatus, 8" ::: "memory");
}

/* The rest ----------------------------------------------------------------------------------- */

static void clock_peripherals(void) {
  const uint32_t used = SYSTEM_UART_CLK_EN | SYSTEM_USB_DEVICE_CLK_EN | SYSTEM_UART_MEM_CLK_EN |
                        SYSTEM_SYSTIMER_CLK_EN;
  QC_REG(SYSTEM_PERIP_CLK_EN0_REG) |= used;
  QC_REG(SYSTEM_PERIP_RST_EN0_REG) &= ~used; /* reset bits have the places of the clock bits */
  QC_REG(SYSTIMER_CONF_REG) |=
      SYSTIMER_TIMER_UNIT0_WORK_EN; /* whatever ran before may have stopped it */
}

static void read_mac(uint8_t mac[6]) {
  const uint32_t low = QC_REG(EFUSE_RD_MAC_SPI_SYS_0_REG);
  const uint32_t high = QC_REG(EFUSE_RD_MAC_SPI_SYS_1_REG);
  mac[0] = (uint8_t)(high >> 8);
  mac[1] = (uint8_t)high;
  for (uint32_t i = 0; i < 4; i++) mac[2 + i] = (uint8_t)(low >> (24 - 8 * i));
}

void qc_port_init(qc_port_info_t *info) {
  stop_watchdogs();
  clock_peripherals();
  QC_REG(RTC_CNTL_OPTION1_REG) &= ~RTC_CNTL_FORCE_DOWNLOAD_BOOT;
  start_counter();
  info->counts_instructions = port.counts_instructions;
  info->clock_hz = settle_clock();
  start_uart();
  start_interrupts();

  info->board = "esp32c3";
  info->chip = "ESP32-C3";
  read_mac(info->unique_id);
  info->unique_id_bytes = 6;
  info->firmware = (const uint8_t *)0x3C000000u;
  info->firmware_bytes = (uint32_t)_image_bytes;
  info->store = (const uint8_t *)0x3C100000u;
  info->store_bytes = 0x300000u;
  info->store_address = 0x100000u;
  info->store_alignment = 4096;
  info->pool = _pool_start;
  info->pool_bytes = (uint32_t)(_pool_end - _pool_start);
  info->receive_bytes = RING_BYTES;
}

uint32_t qc_port_stack_peak(void) {
  const uint32_t *untouched = _stack_bottom;
  while (untouched < _stack_top && *untouched == 0xA5A5A5A5u) untouched++;
  return (uint32_t)(_stack_top - untouched) * 4u;
}

void qc_port_reset(uint32_t mode) {
  qc_port_flush();
  if (mode == 1)
    QC_REG(RTC_CNTL_OPTION1_REG) |= RTC_CNTL_FORCE_DOWNLOAD_BOOT;
  else
    QC_REG(RTC_CNTL_OPTION1_REG) &= ~RTC_CNTL_FORCE_DOWNLOAD_BOOT;
  QC_REG(RTC_CNTL_OPTIONS0_REG) |= RTC_CNTL_SW_SYS_RST;
  for (;;) {
  }
}

void *qc_port_retained(uint32_t *bytes) {
  *bytes = sizeof retained.crash;
  return retained.crash;
}
