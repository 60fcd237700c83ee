# ESP32-C3, revision 0.3 or later: boots directly from flash offset 0, no ESP-IDF, no bootloader.
PORT_CROSS := riscv64-unknown-elf-
PORT_SOURCES := ports/esp32c3/start.S ports/esp32c3/port.c
# zicsr: newer binutils want the extension of the csr instructions named.
PORT_CFLAGS := -march=rv32imc_zicsr -mabi=ilp32 -msmall-data-limit=8
# gcc's table of libraries does not know zicsr and would take the 64-bit libgcc: named by its path.
PORT_LDFLAGS := -nostdlib -nostartfiles -T ports/esp32c3/esp32c3.ld \
  $(shell riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 -print-libgcc-file-name)
PORT_ADDRESS := 0x0
PORT_RELEASE := rigs/esp32/firmware/esp32c3.bin
