/* Registers of the ESP32-C3 that this port uses, by Espressif's names. Every address and bit is
 * checked against registers.csv, which names the vendor document it was read in. */
#ifndef QC_ESP32C3_CHIP_H
#define QC_ESP32C3_CHIP_H

#include <stdint.h>

#define QC_REG(address) (*(volatile uint32_t *)(address))

/* UART0 */
#define UART_FIFO_REG 0x60000000u
#define UART_INT_RAW_REG 0x60000004u
#define UART_INT_ENA_REG 0x6000000Cu
#define UART_INT_CLR_REG 0x60000010u
#define UART_CLKDIV_REG 0x60000014u
#define UART_STATUS_REG 0x6000001Cu
#define UART_CONF0_REG 0x60000020u
#define UART_CONF1_REG 0x60000024u
#define UART_MEM_CONF_REG 0x60000060u
#define UART_FSM_STATUS_REG 0x6000006Cu
#define UART_CLK_CONF_REG 0x60000078u
#define UART_ID_REG 0x60000080u

#define UART_RXFIFO_FULL_INT (1u << 0)
#define UART_RXFIFO_OVF_INT (1u << 4)
#define UART_RXFIFO_TOUT_INT (1u << 8)
#define UART_CLKDIV_V 0xFFFu
#define UART_CLKDIV_FRAG_S 20 /* div_frag: sixteenths, bits 23:20 */
#define UART_RXFIFO_CNT_M 0x3FFu
#define UART_TXFIFO_CNT_S 16
#define UART_TXFIFO_CNT_V 0x3FFu
#define UART_BIT_NUM_8 (3u << 2)
#define UART_STOP_BIT_1 (1u << 4)
#define UART_RXFIFO_RST (1u << 17)
#define UART_MEM_CLK_EN (1u << 28)
#define UART_RXFIFO_FULL_THRHD_S 0
#define UART_RX_TOUT_EN (1u << 21)
#define UART_RX_TOUT_THRHD_S 16
#define UART_RX_TOUT_THRHD_V 0x3FFu
#define UART_ST_UTX_OUT_M (0xFu << 4)
#define UART_SCLK_SEL_XTAL (3u << 20)
#define UART_SCLK_EN (1u << 22)
#define UART_TX_SCLK_EN (1u << 24)
#define UART_RX_SCLK_EN (1u << 25)
#define UART_REG_UPDATE (1u << 31)

/* USB Serial/JTAG controller */
#define USB_SERIAL_JTAG_EP1_REG 0x60043000u
#define USB_SERIAL_JTAG_EP1_CONF_REG 0x60043004u
#define USB_SERIAL_JTAG_INT_ENA_REG 0x60043010u
#define USB_SERIAL_JTAG_INT_CLR_REG 0x60043014u

#define USB_SERIAL_JTAG_WR_DONE (1u << 0)
#define USB_SERIAL_JTAG_SERIAL_IN_EP_DATA_FREE (1u << 1)
#define USB_SERIAL_JTAG_SERIAL_OUT_EP_DATA_AVAIL (1u << 2)
#define USB_SERIAL_JTAG_SERIAL_OUT_RECV_PKT_INT (1u << 2)

/* Interrupt matrix and the core's interrupt controller */
#define INTERRUPT_CORE0_UART_INTR_MAP_REG 0x600C2054u
#define INTERRUPT_CORE0_USB_INTR_MAP_REG 0x600C2068u
#define INTERRUPT_CORE0_CPU_INT_ENABLE_REG 0x600C2104u
#define INTERRUPT_CORE0_CPU_INT_TYPE_REG 0x600C2108u
#define INTERRUPT_CORE0_CPU_INT_PRI_1_REG 0x600C2118u
#define INTERRUPT_CORE0_CPU_INT_PRI_2_REG 0x600C211Cu
#define INTERRUPT_CORE0_CPU_INT_THRESH_REG 0x600C2194u

/* System timer: 16 MHz, made from the crystal whatever clocks the core */
#define SYSTIMER_CONF_REG 0x60023000u
#define SYSTIMER_UNIT0_OP_REG 0x60023004u
#define SYSTIMER_UNIT0_VALUE_LO_REG 0x60023044u

#define SYSTIMER_TIMER_UNIT0_WORK_EN (1u << 30)
#define SYSTIMER_TIMER_UNIT0_VALUE_VALID (1u << 29)
#define SYSTIMER_TIMER_UNIT0_UPDATE (1u << 30)

/* System registers: clocks and resets of the core and the peripherals */
#define SYSTEM_CPU_PER_CONF_REG 0x600C0008u
#define SYSTEM_PERIP_CLK_EN0_REG 0x600C0010u
#define SYSTEM_PERIP_RST_EN0_REG 0x600C0018u
#define SYSTEM_SYSCLK_CONF_REG 0x600C0058u

#define SYSTEM_CPUPERIOD_SEL_M 0x3u
#define SYSTEM_CPUPERIOD_SEL_160 0x1u
#define SYSTEM_PLL_FREQ_SEL_480 (1u << 2)
#define SYSTEM_UART_CLK_EN (1u << 2)
#define SYSTEM_USB_DEVICE_CLK_EN (1u << 23)
#define SYSTEM_UART_MEM_CLK_EN (1u << 24)
#define SYSTEM_SYSTIMER_CLK_EN (1u << 29)
#define SYSTEM_PRE_DIV_CNT_M 0x3FFu
#define SYSTEM_SOC_CLK_SEL_M (3u << 10)
#define SYSTEM_SOC_CLK_SEL_PLL (1u << 10)

/* Real-time controller */
#define RTC_CNTL_OPTIONS0_REG 0x60008000u
#define RTC_CNTL_WDTCONFIG0_REG 0x60008090u
#define RTC_CNTL_WDTCONFIG1_REG 0x60008094u
#define RTC_CNTL_WDTWPROTECT_REG 0x600080A8u
#define RTC_CNTL_SWD_CONF_REG 0x600080ACu
#define RTC_CNTL_SWD_WPROTECT_REG 0x600080B0u
#define RTC_CNTL_OPTION1_REG 0x600080F4u

#define RTC_CNTL_BB_I2C_FORCE_PD (1u << 6)
#define RTC_CNTL_BBPLL_I2C_FORCE_PD (1u << 8)
#define RTC_CNTL_BBPLL_FORCE_PD (1u << 10)
#define RTC_CNTL_SW_SYS_RST (1u << 31)
#define RTC_CNTL_WDT_EN (1u << 31)
#define RTC_CNTL_WDT_STG0_RESET_SYSTEM (3u << 28)
#define RTC_CNTL_WDT_WKEY 0x50D83AA1u
#define RTC_CNTL_SWD_AUTO_FEED_EN (1u << 31)
#define RTC_CNTL_SWD_WKEY 0x8F1D312Au
#define RTC_CNTL_FORCE_DOWNLOAD_BOOT (1u << 0)

/* Timer groups: their watchdogs */
#define TIMG0_WDTCONFIG0_REG 0x6001F048u
#define TIMG0_WDTWPROTECT_REG 0x6001F064u
#define TIMG1_WDTCONFIG0_REG 0x60020048u
#define TIMG1_WDTWPROTECT_REG 0x60020064u

#define TIMG_WDT_WKEY 0x50D83AA1u
#define TIMG_WDT_CONF_UPDATE_EN (1u << 22)

/* eFuse: the MAC address */
#define EFUSE_RD_MAC_SPI_SYS_0_REG 0x60008844u
#define EFUSE_RD_MAC_SPI_SYS_1_REG 0x60008848u

/* Performance counter: custom CSRs of this core */
#define CSR_MPCER 0x7E0 /* which events are counted */
#define CSR_MPCMR 0x7E1
#define CSR_MPCCR 0x7E2 /* the 32-bit count */
#define MPCER_CYCLE (1u << 0)
#define MPCER_INST (1u << 1)
#define MPCMR_COUNT_EN (1u << 0)

#endif
