/* The part of ESP-IDF's interface that ports/esp_idf/port.c uses, on a pty of this machine. */
#pragma once
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define CONFIG_FREERTOS_HZ 1000
#define CONFIG_IDF_TARGET "stub"
#define RTC_NOINIT_ATTR
#define MALLOC_CAP_8BIT 1
#define ESP_ERROR_CHECK(x) do { if ((x) != ESP_OK) abort(); } while (0)
#define pdMS_TO_TICKS(ms) (ms)
#define pdTRUE 1
enum { UART_DATA_8_BITS, UART_PARITY_DISABLE, UART_STOP_BITS_1, UART_HW_FLOWCTRL_DISABLE, UART_SCLK_DEFAULT };
enum { UART_FIFO_OVF = 1, UART_BUFFER_FULL };
typedef int esp_err_t;
enum { ESP_OK = 0 };
typedef void *QueueHandle_t;
typedef struct { int type; } uart_event_t;
typedef struct {
  int baud_rate, data_bits, parity, stop_bits, flow_ctrl, source_clk;
} uart_config_t;

static int line = -1;
static uint32_t rate = 115200;

static inline int uart_driver_install(int port, int receive, int send, int events, QueueHandle_t *queue, int flags) {
  struct termios mode;
  *queue = NULL;
  line = posix_openpt(O_RDWR | O_NOCTTY);
  if (line < 0 || grantpt(line) || unlockpt(line)) return 1;
  tcgetattr(line, &mode);
  cfmakeraw(&mode);
  tcsetattr(line, TCSANOW, &mode);
  printf("%s\n", ptsname(line));
  fflush(stdout);
  (void)open(ptsname(line), O_RDWR | O_NOCTTY); /* so that the line stays when nobody has it open */
  return port + send + flags != 0 || receive < 256 || events == 0;
}
static inline int uart_param_config(int port, const uart_config_t *c) { return port + c->baud_rate != 115200; }
static inline int xQueueReceive(QueueHandle_t queue, void *event, int ticks) {
  return queue != NULL && event != NULL && ticks;
}
static inline int wait_for(int ticks) {
  struct pollfd one = {.fd = line, .events = POLLIN};
  return poll(&one, 1, ticks) > 0;
}
static inline int uart_get_buffered_data_len(int port, size_t *bytes) {
  *bytes = wait_for(0) ? 64 : 0;
  return port;
}
static inline int uart_read_bytes(int port, void *data, uint32_t bytes, uint32_t ticks) {
  return wait_for((int)ticks) && port == 0 ? (int)read(line, data, bytes) : 0;
}
static inline int uart_write_bytes(int port, const void *data, size_t bytes) {
  size_t done = 0;
  while (done < bytes && port == 0) {
    ssize_t now = write(line, (const char *)data + done, bytes - done);
    if (now > 0) done += (size_t)now;
  }
  return (int)done;
}
static inline int uart_wait_tx_done(int port, uint32_t ticks) { return port != 0 || ticks == 0; }
static inline int uart_set_baudrate(int port, uint32_t baud) { rate = baud; return port; }
static inline int uart_get_baudrate(int port, uint32_t *baud) { *baud = rate; return port; }
static inline uint32_t esp_cpu_get_cycle_count(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)(now.tv_sec * 1000000000 + now.tv_nsec);
}
static inline uint32_t esp_rom_get_cpu_ticks_per_us(void) { return 1000; }
static inline void *heap_caps_aligned_alloc(size_t alignment, size_t bytes, int caps) {
  return caps ? aligned_alloc(alignment, bytes) : NULL;
}
static inline int esp_efuse_mac_get_default(uint8_t *mac) { memcpy(mac, "\1\2\3\4\5\6", 6); return ESP_OK; }
static inline void esp_restart(void) { exit(0); }
