"""Faults of the rig: what the device holds, what arrives there, what it counts, which device it is."""

from __future__ import annotations

from pytest_quantcheck.verdict.causes.entries.entry import Entry


def _entry(code: str, sentence: str, remedy: str, evidence: str, *reports: str) -> Entry:
    return Entry(code, "rig", sentence, remedy, reports, evidence)


RIG = (
    _entry(
        "stale_model",
        "The device computes another model than the one under test.",
        "Flash the model under test, and let the device prove its hash.",
        "all outputs are those of another known model, or the device's hash is not the model's",
        "jeelabs/esp-link#419",
        "espressif/esp-dl#183",
    ),
    _entry(
        "flash_bit",
        "One bit of a constant is flipped in the device's memory.",
        "Flash again and verify; if it comes back, the flash is worn out: replace the board.",
        "the operator computed again with that bit flipped gives the device's tensors bit for bit",
        "esp-rs/espflash#708",
        "espressif/esptool#805",
    ),
    _entry(
        "vector_shifted",
        "Input values arrive at other places: bytes were lost, repeated or added on the way.",
        "Use a link with checksums and resends; lower the baud rate; receive by interrupt or DMA.",
        "the network computed again from the shifted input gives what was seen, bit for bit",
        "mlcommons/tiny#79",
        "ARMmbed/mbed-os#9558",
    ),
    _entry(
        "vector_truncated",
        "The end of the input did not arrive.",
        "Check buffer and payload sizes, and count what was received.",
        "the network computed again from the cut input gives what was seen, bit for bit",
        "mlcommons/tiny#79",
        "Open-Source-Space-Foundation/proves-core-reference#174",
    ),
    _entry(
        "vector_old",
        "The device computed from an older input, or from one that was never written.",
        "Write the input before every inference: the arena reuses its memory.",
        "the network computed again from that input gives what was seen, bit for bit",
        "tensorflow/tflite-micro#2290",
        "tensorflow/tensorflow#35117",
    ),
    _entry(
        "answers_late",
        "Each answer belongs to another sample, always as many before or behind it.",
        "Number requests and answers, and drop answers to older requests.",
        "every output is exactly that of the sample so many places away",
        "mlcommons/tiny#60",
    ),
    _entry(
        "answers_order",
        "Answers stand in each other's places.",
        "Number requests and answers; sort files by name before reading them.",
        "every output is exactly that of one other sample, each used once",
        "mlcommons/tiny#60",
    ),
    _entry(
        "answers_stuck",
        "Every answer is the same one.",
        "Look whether the input is copied into the model's tensor before each inference.",
        "all outputs are equal, and exactly the reference's for one sample",
        "PINTO0309/onnx2tf#610",
        "Tencent/PocketFlow#249",
    ),
    _entry(
        "counter_wrapped",
        "The counter wraps around during an inference.",
        "Use a wider counter (DWT_CYCCNT instead of the 24 bits of SysTick), or count the wraps.",
        "counts of one model differ by exact multiples of 2^16, 2^24 or 2^32",
        "OpenNuvoton/M2351BSP#5",
        "contiki-ng/contiki-ng#3272",
    ),
    _entry(
        "counter_stopped",
        "The counter does not count.",
        "Enable it: TRCENA in DEMCR and CYCCNTENA in DWT_CTRL on Cortex-M.",
        "all counts are the same small number, or 0, whatever was computed",
        "rust-embedded/cortex-m#324",
        "rtic-rs/rtic#221",
    ),
    _entry(
        "counter_mistaken",
        "The counter counts something else than cycles or instructions of the core.",
        "Check the counter's clock and prescaler, and its unit (microseconds are no cycles).",
        "fewer counts than the multiplications of the model need at the best rate of any such core",
        "rtic-rs/rtic#221",
        "w1ne/labwired-core#205",
    ),
    _entry(
        "wrong_port",
        "Another board answers than the one that was asked.",
        "Address boards by serial number or unique id, not by ttyACM0.",
        "the chip, or the unique id, that the device reports is not the inventory's",
        "zephyrproject-rtos/zephyr#51855",
        "canonical/chip-tool-snap#62",
    ),
)
