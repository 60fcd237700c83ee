/* Start-up, vector table and trap entries of the ESP32-C3. */

    .section .entry, "ax"
    .global _start
_start:                         /* 0x42000008: the ROM jumps here in machine mode */
    csrci mstatus, 8            /* MIE off */
    csrwi mscratch, 0           /* no fault yet, see fault: */
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la t0, vectors
    ori t0, t0, 1               /* vectored mode, though this core knows no other */
    csrw mtvec, t0
    la sp, _stack_top

    la a0, _stack_bottom        /* paint the stack for qc_port_stack_peak */
    li a1, 0xa5a5a5a5
1:  sw a1, 0(a0)
    addi a0, a0, 4
    bltu a0, sp, 1b

    la a0, _data_start
    la a1, _data_end
    la a2, _data_load
    j 3f
2:  lw a3, 0(a2)
    sw a3, 0(a0)
    addi a0, a0, 4
    addi a2, a2, 4
3:  bltu a0, a1, 2b

    la a0, _bss_start
    la a1, _bss_end
    j 5f
4:  sw zero, 0(a0)
    addi a0, a0, 4
5:  bltu a0, a1, 4b

    call qc_harness_main
6:  j 6b

/* Entry 0: exceptions. Entry n: CPU interrupt n of the interrupt matrix. 256-byte aligned. */
    .section .text.vectors, "ax"
    .balign 256
    .option push
    .option norvc
vectors:
    j fault
    .rept 31
    j interrupt
    .endr
    .option pop

/* Never returns, so the stack is taken afresh: the fault may have been its overflow.
 * A fault while one is being recorded resets at once. */
fault:
    csrrwi t0, mscratch, 1
    bnez t0, 7f
    mv a3, ra
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    la sp, _stack_top
    call qc_harness_crash
7:  li a0, 0
    la sp, _stack_top
    call qc_port_reset

interrupt:
    addi sp, sp, -64
    sw ra, 0(sp)
    sw t0, 4(sp)
    sw t1, 8(sp)
    sw t2, 12(sp)
    sw t3, 16(sp)
    sw t4, 20(sp)
    sw t5, 24(sp)
    sw t6, 28(sp)
    sw a0, 32(sp)
    sw a1, 36(sp)
    sw a2, 40(sp)
    sw a3, 44(sp)
    sw a4, 48(sp)
    sw a5, 52(sp)
    sw a6, 56(sp)
    sw a7, 60(sp)
    csrr a0, mcause
    andi a0, a0, 31
    call qc_esp32c3_interrupt
    lw ra, 0(sp)
    lw t0, 4(sp)
    lw t1, 8(sp)
    lw t2, 12(sp)
    lw t3, 16(sp)
    lw t4, 20(sp)
    lw t5, 24(sp)
    lw t6, 28(sp)
    lw a0, 32(sp)
    lw a1, 36(sp)
    lw a2, 40(sp)
    lw a3, 44(sp)
    lw a4, 48(sp)
    lw a5, 52(sp)
    lw a6, 56(sp)
    lw a7, 60(sp)
    addi sp, sp, 64
    mret
