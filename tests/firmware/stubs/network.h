/* The part of ST Edge AI's interface that qc_stai.c uses, with a network of its own: y = 2 x, int8 to int16.
 * Its input lies in the activations, its output nowhere. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum { STAI_SUCCESS = 0, STAI_ERROR = 1 } stai_return_code;
typedef enum {
  STAI_FORMAT_FLOAT32 = 0x00821040, STAI_FORMAT_U8 = 0x00040440, STAI_FORMAT_S8 = 0x00840440,
  STAI_FORMAT_S16 = 0x00840840, STAI_FORMAT_S32 = 0x00841040, STAI_FORMAT_S64 = 0x00842040
} stai_format;
typedef enum { STAI_MODE_SYNC = 1 } stai_run_mode;
typedef uint8_t stai_network;
typedef uint8_t *stai_ptr;
typedef uint32_t stai_size;
typedef struct { stai_size size_bytes; int32_t flags; stai_format format; } stai_tensor;
typedef struct {
  uint16_t n_inputs, n_outputs, n_activations;
  const stai_tensor *inputs, *outputs, *activations;
} stai_network_info;

#define COUNT 8
#define STAI_NETWORK_CONTEXT_SIZE 64
#define STAI_NETWORK_CONTEXT_ALIGNMENT 8

static stai_ptr memory[2], input, output;

static inline stai_return_code stai_runtime_init(void) { return STAI_SUCCESS; }
static inline stai_return_code stai_network_init(stai_network *network) {
  network[0] = 0;
  memory[0] = memory[1] = input = output = NULL;
  return STAI_SUCCESS;
}
static inline stai_return_code stai_network_get_info(stai_network *network, stai_network_info *info) {
  static const stai_tensor in = {COUNT, 0, STAI_FORMAT_S8}, out = {2 * COUNT, 0, STAI_FORMAT_S16};
  static const stai_tensor activations[] = {{40, 0, STAI_FORMAT_U8}, {100, 0, STAI_FORMAT_U8}};
  (void)network;
  *info = (stai_network_info){1, 1, 2, &in, &out, activations};
  return STAI_SUCCESS;
}
static inline stai_return_code stai_network_set_activations(stai_network *network, const stai_ptr *at, stai_size n) {
  (void)network;
  if (n != 2 || (uintptr_t)at[0] % 32 || (uintptr_t)at[1] % 32 || at[1] < at[0] + 40) return STAI_ERROR;
  memory[0] = at[0];
  memory[1] = at[1];
  input = at[1] + 32;
  return STAI_SUCCESS;
}
static inline stai_return_code stai_network_get_inputs(stai_network *network, stai_ptr *at, stai_size *n) {
  (void)network;
  at[0] = input;
  *n = 1;
  return STAI_SUCCESS;
}
static inline stai_return_code stai_network_get_outputs(stai_network *network, stai_ptr *at, stai_size *n) {
  (void)network;
  at[0] = output;
  *n = 1;
  return STAI_SUCCESS;
}
static inline stai_return_code stai_network_set_inputs(stai_network *network, const stai_ptr *at, stai_size n) {
  (void)network;
  input = at[0];
  return n == 1 && at[0] == memory[1] + 32 ? STAI_SUCCESS : STAI_ERROR;
}
static inline stai_return_code stai_network_set_outputs(stai_network *network, const stai_ptr *at, stai_size n) {
  (void)network;
  output = at[0];
  return n == 1 && at[0] >= memory[1] + 100 ? STAI_SUCCESS : STAI_ERROR;
}
static inline stai_return_code stai_network_run(stai_network *network, stai_run_mode mode) {
  (void)network;
  if (mode != STAI_MODE_SYNC) return STAI_ERROR;
  for (int i = 0; i < COUNT; i++) ((int16_t *)(void *)output)[i] = (int16_t)(2 * (int8_t)input[i]);
  return STAI_SUCCESS;
}
