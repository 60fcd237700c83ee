/* What cannot be said in C: the entry of fault handlers and a loop of known length. */
  .syntax unified
  .cpu cortex-m4
  .thumb

/* uint32_t qc_stm32_loop(volatile uint32_t *counter, uint32_t iterations): rounds of three
 * instructions; four more lie between the two readings (b, the last cmp and bne, the second ldr). */
  .section .text.qc_stm32_loop, "ax", %progbits
  .balign 16
  .global qc_stm32_loop
  .type qc_stm32_loop, %function
  .thumb_func
qc_stm32_loop:
  ldr r2, [r0]
  b 2f
  .balign 16 /* in one line of the flash accelerator */
1:
  subs r1, r1, #1
2:
  cmp r1, #0
  bne 1b
  ldr r3, [r0]
  subs r0, r3, r2
  bx lr
  .size qc_stm32_loop, . - qc_stm32_loop

/* All faults come here. The stacked frame is where sp points; when little or no stack is left below
 * it, the handler works at the top of the stack, where nobody returns to. */
  .section .text.qc_stm32_fault_entry, "ax", %progbits
  .global qc_stm32_fault_entry
  .type qc_stm32_fault_entry, %function
  .thumb_func
qc_stm32_fault_entry:
  mov r0, sp
  ldr r1, =_stack_bottom + 1024
  ldr r2, =_stack_top
  cmp r0, r1
  blo 1f
  cmp r0, r2
  bls 2f
1:
  mov sp, r2
2:
  ldr r3, =qc_stm32_fault
  bx r3
  .size qc_stm32_fault_entry, . - qc_stm32_fault_entry
