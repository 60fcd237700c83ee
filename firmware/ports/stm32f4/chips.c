#include "chips.h"

#include "registers.h"

enum { HSI_HZ = 16000000, SPINS = 100000 };

/* Clocks and wait states: RM0090 3.5.1 and 7.3.2 (F405/407, F429), RM0368 (F401), RM0383 (F411),
 * RM0390 (F446). 168 MHz needs no over-drive on any of the chips that reach it. Revision A of the
 * F405/407 gives the device id of the F2 and must not prefetch: ES0182. */
static const qc_stm32_chip_t chips[] = {
    /* id    name        RAM   m   n   p  q  MHz wait pre VOS apb */
    {0x413, "STM32F405", 128, 16, 336, 2, 7, 168, 5, 1, 1, 2, 1}, /* F405, F407, F415, F417 */
    {0x411, "STM32F405", 128, 16, 336, 2, 7, 168, 5, 0, 1, 2, 1}, /* their revision A */
    {0x423, "STM32F401xC", 64, 16, 336, 4, 7, 84, 2, 1, 2, 1, 0},
    {0x433, "STM32F401xE", 96, 16, 336, 4, 7, 84, 2, 1, 2, 1, 0},
    {0x431, "STM32F411", 128, 16, 192, 2, 4, 96, 3, 1, 3, 1, 0},
    {0x421, "STM32F446", 128, 16, 336, 2, 7, 168, 5, 1, 3, 2, 1},
    {0x419, "STM32F429", 192, 16, 336, 2, 7, 168, 5, 1, 3, 2, 1}, /* F427, F429, F437, F439 */
};
static const qc_stm32_chip_t unknown = {.name = "STM32F4", .ram_kb = 32, .core_mhz = 16};

static uint32_t device_id(void) {
  return DBGMCU_IDCODE & DBGMCU_IDCODE_DEV_ID;
}

int qc_stm32_is_silicon(void) {
  return device_id() != 0;
}

const qc_stm32_chip_t *qc_stm32_chip(void) {
  const uint32_t id = device_id();
  if (id == 0) return &chips[0];
  for (uint32_t i = 0; i < sizeof chips / sizeof chips[0]; i++) {
    if (chips[i].device_id == id) return &chips[i];
  }
  return &unknown;
}

uint32_t qc_stm32_flash_bytes(void) {
  if (!qc_stm32_is_silicon()) return 1024u * 1024u;
  return (uint32_t)FLASH_SIZE_KB * 1024u;
}

static int wait_for(const volatile uint32_t *reg, uint32_t mask, uint32_t value) {
  for (uint32_t spin = 0; spin < SPINS; spin++) {
    if ((*reg & mask) == value) return 1;
  }
  return 0;
}

static uint32_t prescaler(uint32_t shift) { /* PPRE1/PPRE2: 0b100 halves, 0b101 quarters */
  return shift == 0 ? 0 : 3u + shift;
}

static int start_pll(const qc_stm32_chip_t *chip) {
  RCC_CR |= RCC_CR_HSION;
  if (!wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) return 0;
  RCC_APB1ENR |= RCC_APB1ENR_PWREN;
  (void)RCC_APB1ENR; /* the write must have arrived before PWR is touched */
  PWR_CR = (PWR_CR & ~(3u << PWR_CR_VOS_POS)) | ((uint32_t)chip->voltage_scale << PWR_CR_VOS_POS);
  RCC_PLLCFGR = (RCC_PLLCFGR & ~(RCC_PLLCFGR_PLLSRC | (0x3Fu << RCC_PLLCFGR_PLLM_POS) |
                                 (0x1FFu << RCC_PLLCFGR_PLLN_POS) | (3u << RCC_PLLCFGR_PLLP_POS) |
                                 (0xFu << RCC_PLLCFGR_PLLQ_POS))) |
                ((uint32_t)chip->pll_m << RCC_PLLCFGR_PLLM_POS) |
                ((uint32_t)chip->pll_n << RCC_PLLCFGR_PLLN_POS) |
                (((uint32_t)chip->pll_p / 2u - 1u) << RCC_PLLCFGR_PLLP_POS) |
                ((uint32_t)chip->pll_q << RCC_PLLCFGR_PLLQ_POS);
  RCC_CR |= RCC_CR_PLLON;
  if (!wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) return 0;
  const uint32_t latency = (uint32_t)chip->latency << FLASH_ACR_LATENCY_POS;
  FLASH_ACR = latency; /* caches are reset while they are off: they may be older than the flash */
  FLASH_ACR = latency | FLASH_ACR_ICRST | FLASH_ACR_DCRST;
  FLASH_ACR = latency | (chip->prefetch ? FLASH_ACR_PRFTEN : 0) | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
  if (!wait_for(&FLASH_ACR, 0xFu << FLASH_ACR_LATENCY_POS, latency)) return 0;
  const uint32_t keep = RCC_CFGR & ~((3u << RCC_CFGR_SW_POS) | (0xFu << RCC_CFGR_HPRE_POS) |
                                     (7u << RCC_CFGR_PPRE1_POS) | (7u << RCC_CFGR_PPRE2_POS));
  RCC_CFGR = keep | (prescaler(chip->apb1_shift) << RCC_CFGR_PPRE1_POS) |
             (prescaler(chip->apb2_shift) << RCC_CFGR_PPRE2_POS) | (2u << RCC_CFGR_SW_POS);
  return wait_for(&RCC_CFGR, 3u << RCC_CFGR_SWS_POS, 2u << RCC_CFGR_SWS_POS);
}

qc_stm32_clocks_t qc_stm32_start_clocks(void) {
  const qc_stm32_chip_t *chip = qc_stm32_chip();
  const int locked = chip->pll_m != 0 && start_pll(chip);
  if (!locked && qc_stm32_is_silicon()) {
    RCC_CFGR &=
        ~((3u << RCC_CFGR_SW_POS) | (7u << RCC_CFGR_PPRE1_POS) | (7u << RCC_CFGR_PPRE2_POS));
    return (qc_stm32_clocks_t){HSI_HZ, HSI_HZ, HSI_HZ};
  }
  const uint32_t core_hz = (uint32_t)chip->core_mhz * 1000000u;
  return (qc_stm32_clocks_t){core_hz, core_hz >> chip->apb1_shift, core_hz >> chip->apb2_shift};
}
