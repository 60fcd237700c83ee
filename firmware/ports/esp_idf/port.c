/* The harness as a component of an ESP-IDF application, on any of its chips: ESP32, S2, S3 among
 * them. Call qc_harness_main() from app_main(), or from a task of its own; it never returns.
 *
 *   QC_IDF_UART    the console's UART (0). The log must not go there: CONFIG_ESP_CONSOLE_NONE
 *   QC_IDF_POOL    bytes of RAM for models and arena (96 KiB), from the heap
 *
 * ESP-IDF's application is proven by its own checks, and flashed by idf.py: the inventory says
 * firmware = "external". There is no store: a model goes to RAM or is compiled in. The counter is
 * the core's: pin the task to a core, and switch off frequency scaling. What interrupts and other
 * tasks take is counted, too. */
#include <string.h>

#include "driver/uart.h"
#include "esp_attr.h"
#include "esp_cpu.h"
#include "esp_heap_caps.h"
#include "esp_mac.h"
#include "esp_rom_sys.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "qc_port.h"
#include "sdkconfig.h"

#ifndef QC_IDF_UART
#define QC_IDF_UART 0
#endif
#ifndef QC_IDF_POOL
#define QC_IDF_POOL (96u << 10)
#endif

#if CONFIG_FREERTOS_HZ < 1000
#error "a silence is counted in milliseconds: set CONFIG_FREERTOS_HZ=1000"
#endif

#define BASE_BAUD 115200u
#define WRITE_MS 2000u
#define RECEIVE_BYTES 8192u
#define RETAINED_BYTES 256u
#define ALIGNMENT 16u

static RTC_NOINIT_ATTR uint32_t retained[RETAINED_BYTES / sizeof(uint32_t)];
static QueueHandle_t events;
static uint32_t overruns;
static uint32_t last_cycles;
static uint64_t cycles;

static void open_console(void) {
  const uart_config_t wanted = {
      .baud_rate = BASE_BAUD,
      .data_bits = UART_DATA_8_BITS,
      .parity = UART_PARITY_DISABLE,
      .stop_bits = UART_STOP_BITS_1,
      .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
      .source_clk = UART_SCLK_DEFAULT,
  };
  ESP_ERROR_CHECK(uart_driver_install(QC_IDF_UART, RECEIVE_BYTES, 0, 16, &events, 0));
  ESP_ERROR_CHECK(uart_param_config(QC_IDF_UART, &wanted));
}

void qc_port_init(qc_port_info_t *info) {
  open_console();
  info->board = "esp_idf";
  info->chip = CONFIG_IDF_TARGET;
  info->clock_hz = esp_rom_get_cpu_ticks_per_us() * 1000000u;
  if (esp_efuse_mac_get_default(info->unique_id) == ESP_OK) info->unique_id_bytes = 6;
  info->pool = heap_caps_aligned_alloc(ALIGNMENT, QC_IDF_POOL, MALLOC_CAP_8BIT);
  if (info->pool != NULL) info->pool_bytes = QC_IDF_POOL;
  info->receive_bytes = RECEIVE_BYTES;
  last_cycles = esp_cpu_get_cycle_count();
}

/* The driver's interrupt has filled its ring; what was lost there comes as an event. */
static void count_losses(void) {
  uart_event_t event;
  while (xQueueReceive(events, &event, 0) == pdTRUE) {
    if (event.type == UART_FIFO_OVF || event.type == UART_BUFFER_FULL) overruns++;
  }
}

uint32_t qc_port_read(uint8_t *data, uint32_t limit) {
  count_losses();
  size_t waiting = 0;
  (void)uart_get_buffered_data_len(QC_IDF_UART, &waiting);
  uint32_t wanted = waiting == 0 ? 1 : waiting < limit ? (uint32_t)waiting : limit;
  /* At least a tick, so that other tasks get their turn: the idle task feeds the watchdog. */
  int count = uart_read_bytes(QC_IDF_UART, data, wanted, waiting == 0 ? 1 : 0);
  return count > 0 ? (uint32_t)count : 0;
}

void qc_port_write(const uint8_t *data, uint32_t bytes) {
  (void)uart_write_bytes(QC_IDF_UART, data, bytes);
}

void qc_port_flush(void) {
  (void)uart_wait_tx_done(QC_IDF_UART, pdMS_TO_TICKS(WRITE_MS));
}

uint32_t qc_port_overruns(void) {
  return overruns;
}

int qc_port_set_baud(uint32_t baud) {
  uint32_t made = 0;
  qc_port_flush();
  if (uart_set_baudrate(QC_IDF_UART, baud) != ESP_OK) return 0;
  if (uart_get_baudrate(QC_IDF_UART, &made) != ESP_OK) return 0;
  uint32_t off = made > baud ? made - baud : baud - made;
  return off <= baud / 50;
}

uint64_t qc_port_counter(void) {
  uint32_t now = esp_cpu_get_cycle_count();
  cycles += (uint32_t)(now - last_cycles);
  last_cycles = now;
  return cycles;
}

uint64_t qc_port_loop(uint32_t iterations) {
  uint64_t before = qc_port_counter();
  for (volatile uint32_t i = 0; i < iterations; i++) {
  }
  return qc_port_counter() - before;
}

void qc_port_loop_cost(uint32_t *per_round, uint32_t *fixed) {
  *per_round = 0;
  *fixed = 0;
}

uint32_t qc_port_stack_peak(void) {
  return 0; /* FreeRTOS knows what is left of the task's stack, not how large it was */
}

void qc_port_reset(uint32_t mode) {
  (void)mode;
  qc_port_flush();
  esp_restart();
}

void *qc_port_retained(uint32_t *bytes) {
  *bytes = sizeof retained;
  return retained;
}
