_start: lui sp, 0x3fc88
  li s0, 40000
1: andi a1, s0, 63
  mv a0, s0
  bnez a1, 2f
  jal f
2: li a2, 9
3: addi a2, a2, -1
  mul a3, a2, s0
  bnez a2, 3b
  addi s0, s0, -1
  bnez s0, 1b
  li s0, 1000000
4: addi s0, s0, -1
  bnez s0, 4b
  lui t0, 0x60000
  sw zero, 0(t0)
5: j 5b
f: addi sp, sp, -16
  sw ra, 0(sp)
  jal g
  lw ra, 0(sp)
  addi sp, sp, 16
  ret
g: mulhu a4, a0, a0
  sw a4, 4(sp)
  lw a5, 4(sp)
  c.add a5, a4
  div a6, a5, a0
  ret
