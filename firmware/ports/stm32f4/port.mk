# STM32F405/407, F401, F411, F446, F429: one image, found out at run time (chips.h).
PORT_CROSS := arm-none-eabi-
PORT_SOURCES := ports/stm32f4/entry.S ports/stm32f4/start.c ports/stm32f4/chips.c ports/stm32f4/console.c \
  ports/stm32f4/counter.c ports/stm32f4/port.c
PORT_CFLAGS := -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -Iports/stm32f4
PORT_LDFLAGS := -nostdlib -nostartfiles -T ports/stm32f4/stm32f4.ld
PORT_ADDRESS := 0x08000000
PORT_RELEASE := rigs/stm32/firmware/stm32f4.bin
