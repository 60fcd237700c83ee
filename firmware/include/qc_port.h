/* What a chip offers to the harness. One implementation per folder under ports/; chip facts live
 * there and nowhere else. Every wait inside a port is bounded. */
#ifndef QC_PORT_H
#define QC_PORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const char *board; /* the firmware's idea of its board family: "stm32f4", "esp32c3", "posix" */
  const char *chip;  /* "STM32F405", "ESP32-C3", ... as found at run time */
  uint8_t unique_id[16];
  uint8_t unique_id_bytes; /* how many of them count */
  uint32_t clock_hz;       /* measured or set core clock; 0: unknown, or instructions are counted */
  uint8_t counts_instructions; /* the counter's unit: 0 cycles, 1 executed instructions */
  const uint8_t *firmware;     /* the firmware's own bytes in flash, for the CRC over itself */
  uint32_t firmware_bytes;
  const uint8_t *store; /* the image store in flash; NULL when the port has none */
  uint32_t store_bytes;
  uint32_t store_address;   /* the address a flash tool writes it at */
  uint32_t store_alignment; /* slots start at multiples of this */
  uint8_t *pool;            /* RAM for images and arena, 16-byte aligned */
  uint32_t pool_bytes;
  uint32_t receive_bytes; /* size of the receive ring: bounds the window that HELLO announces; 0:
                             flow-controlled */
} qc_port_info_t;

/* Clocks, console, counter, watchdogs off. Fills *info (zeroed before). Called once, first. */
void qc_port_init(qc_port_info_t *info);

/* Received bytes, taken from a ring that an interrupt fills (the posix port reads its descriptor).
 * Returns how many were copied, at most `limit`; 0 when none came within about a millisecond.
 * The port answers on the console that spoke last. */
uint32_t qc_port_read(uint8_t *data, uint32_t limit);
/* Sends all of it; blocks no longer than the line needs. */
void qc_port_write(const uint8_t *data, uint32_t bytes);
/* Waits until the last byte has left the shift register; afterwards no transmit interrupt is due.
 */
void qc_port_flush(void);
/* Bytes lost since start because the ring or the FIFO was full. */
uint32_t qc_port_overruns(void);
/* 0 when the rate cannot be made within 2 % (nothing changes then); otherwise switches after what
 * was written has left and returns 1. */
int qc_port_set_baud(uint32_t baud);

/* The counter, extended to 64 bits; the harness reads it in every idle round, so at least once in
 * half of a hardware period as long as no operator runs longer. Takes the same number of
 * instructions every time (no branch on a wrap), so that counts are repeatable. */
uint64_t qc_port_counter(void);
/* A loop of exactly `iterations` rounds whose cost per round is known (`qc_port_loop_cost`).
 * Returns counter after - counter before, with nothing else between. */
uint64_t qc_port_loop(uint32_t iterations);
/* Instructions per round and around the loop: counter delta = rounds * per_round + fixed. Both 0
 * when the port cannot promise a cost (a counter of cycles or of time). */
void qc_port_loop_cost(uint32_t *per_round, uint32_t *fixed);
/* Bytes of stack used at most since start (the stack is painted at start). 0: not known. */
uint32_t qc_port_stack_peak(void);

/* Restart. mode 0: the application; mode 1: the chip's serial loader where there is one. */
void qc_port_reset(uint32_t mode);

/* A place that survives a reset (not a power loss), for the crash record; NULL when none. */
void *qc_port_retained(uint32_t *bytes);
/* Ports call this from their fault handlers, with the registers that say where. Never returns:
 * the record is kept and the chip is reset. (Implemented by the harness.) */
void qc_harness_crash(uint32_t cause, uint32_t pc, uint32_t address, uint32_t link_register);

/* The harness. Ports call it from main() after start-up code; it calls qc_port_init itself. */
void qc_harness_main(void);

#ifdef __cplusplus
}
#endif

#endif
