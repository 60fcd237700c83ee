/* Registers and bits this port uses, under their reference-manual names. registers.csv says for
 * each of them what it means and where that is written; a test compares the two files with each
 * other and with ST's published device descriptions. */
#ifndef QC_STM32F4_REGISTERS_H
#define QC_STM32F4_REGISTERS_H

#include <stdint.h>

#define QC_REG(address) (*(volatile uint32_t *)(address))
#define QC_REG16(address) (*(volatile uint16_t *)(address))

/* Reset and clock control */
#define RCC_CR QC_REG(0x40023800u)
#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 1)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR QC_REG(0x40023804u)
#define RCC_PLLCFGR_PLLM_POS 0u
#define RCC_PLLCFGR_PLLN_POS 6u
#define RCC_PLLCFGR_PLLP_POS 16u
#define RCC_PLLCFGR_PLLSRC (1u << 22)
#define RCC_PLLCFGR_PLLQ_POS 24u
#define RCC_CFGR QC_REG(0x40023808u)
#define RCC_CFGR_SW_POS 0u
#define RCC_CFGR_SWS_POS 2u
#define RCC_CFGR_HPRE_POS 4u
#define RCC_CFGR_PPRE1_POS 10u
#define RCC_CFGR_PPRE2_POS 13u
#define RCC_AHB1ENR QC_REG(0x40023830u)
#define RCC_AHB1ENR_GPIOAEN (1u << 0)
#define RCC_APB1ENR QC_REG(0x40023840u)
#define RCC_APB1ENR_TIM2EN (1u << 0)
#define RCC_APB1ENR_USART2EN (1u << 17)
#define RCC_APB1ENR_PWREN (1u << 28)
#define RCC_APB2ENR QC_REG(0x40023844u)
#define RCC_APB2ENR_USART1EN (1u << 4)

/* Power control */
#define PWR_CR QC_REG(0x40007000u)
#define PWR_CR_VOS_POS 14u

/* Embedded flash interface */
#define FLASH_ACR QC_REG(0x40023C00u)
#define FLASH_ACR_LATENCY_POS 0u
#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)
#define FLASH_ACR_ICRST (1u << 11)
#define FLASH_ACR_DCRST (1u << 12)

/* Port A */
#define GPIOA_MODER QC_REG(0x40020000u)
#define GPIOA_PUPDR QC_REG(0x4002000Cu)
#define GPIOA_AFRL QC_REG(0x40020020u)
#define GPIOA_AFRH QC_REG(0x40020024u)

/* USART1 and USART2: the same registers at two bases */
#define USART1_SR QC_REG(0x40011000u)
#define USART2_SR QC_REG(0x40004400u)
#define USART_SR_FE (1u << 1)
#define USART_SR_NF (1u << 2)
#define USART_SR_ORE (1u << 3)
#define USART_SR_RXNE (1u << 5)
#define USART_SR_TC (1u << 6)
#define USART_SR_TXE (1u << 7)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_CR1_UE (1u << 13)

/* TIM2: 32 bits wide */
#define TIM2_CR1 QC_REG(0x40000000u)
#define TIM2_CR1_CEN (1u << 0)
#define TIM2_EGR QC_REG(0x40000014u)
#define TIM2_EGR_UG (1u << 0)
#define TIM2_CNT QC_REG(0x40000024u)
#define TIM2_PSC QC_REG(0x40000028u)
#define TIM2_ARR QC_REG(0x4000002Cu)

/* Identity of the chip. The electronic signature (0x1FFF7A..) may be read only where
 * DBGMCU_IDCODE names a known chip: an emulator without it answers with a bus fault. */
#define DBGMCU_IDCODE QC_REG(0xE0042000u)
#define DBGMCU_IDCODE_DEV_ID 0xFFFu
#define DBGMCU_CR QC_REG(0xE0042004u)
#define DBGMCU_CR_DBG_SLEEP (1u << 0)
#define UID_0 QC_REG(0x1FFF7A10u)
#define UID_1 QC_REG(0x1FFF7A14u)
#define UID_2 QC_REG(0x1FFF7A18u)
#define FLASH_SIZE_KB QC_REG16(0x1FFF7A22u)

/* Cortex-M4 core */
#define DWT_CTRL QC_REG(0xE0001000u)
#define DWT_CTRL_CYCCNTENA (1u << 0)
#define DWT_CYCCNT QC_REG(0xE0001004u)
#define SYST_CSR QC_REG(0xE000E010u)
#define SYST_CSR_ENABLE (1u << 0)
#define SYST_CSR_TICKINT (1u << 1)
#define SYST_CSR_CLKSOURCE (1u << 2)
#define SYST_RVR QC_REG(0xE000E014u)
#define SYST_CVR QC_REG(0xE000E018u)
#define NVIC_ISER1 QC_REG(0xE000E104u)
#define SCB_ICSR QC_REG(0xE000ED04u)
#define SCB_ICSR_PENDSTCLR (1u << 25)
#define SCB_VTOR QC_REG(0xE000ED08u)
#define SCB_AIRCR QC_REG(0xE000ED0Cu)
#define SCB_AIRCR_VECTKEY_POS 16u
#define SCB_AIRCR_SYSRESETREQ (1u << 2)
#define SCB_SHCSR QC_REG(0xE000ED24u)
#define SCB_SHCSR_MEMFAULTENA (1u << 16)
#define SCB_SHCSR_BUSFAULTENA (1u << 17)
#define SCB_SHCSR_USGFAULTENA (1u << 18)
#define SCB_CFSR QC_REG(0xE000ED28u)
#define SCB_CFSR_MMARVALID (1u << 7)
#define SCB_CFSR_BFARVALID (1u << 15)
#define SCB_MMFAR QC_REG(0xE000ED34u)
#define SCB_BFAR QC_REG(0xE000ED38u)
#define SCB_CPACR QC_REG(0xE000ED88u)
#define SCB_CPACR_CP10_POS 20u
#define DCB_DEMCR QC_REG(0xE000EDFCu)
#define DCB_DEMCR_TRCENA (1u << 24)

#endif
