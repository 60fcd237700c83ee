"""Quantizers come from entry points, and one that is broken stops only who asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.registry import quantizer, quantizer_names

pytestmark = pytest.mark.host


def run(environment: dict[str, str], program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


def test_an_unknown_quantizer_lists_the_installed_ones():
    assert "tflite" in quantizer_names()
    with pytest.raises(UsageError, match=r"quantizer='tensorrt' is not known; installed: .*tflite"):
        QuantConfig(quantizer="tensorrt")


def test_a_configuration_and_its_checks_cost_no_heavy_package():
    program = (
        "import sys; from pytest_quantcheck.quantizers.config import QuantConfig; QuantConfig(); "
        "sys.exit(str({'numpy', 'tensorflow', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize(
    "code", ["raise RuntimeError('half installed')", "import no_such_package", "mine = 5"]
)
def test_a_broken_plug_in_stops_only_who_asks_for_it(plug_in, code):
    environment = plug_in("quantcheck.quantizers", "mine = quantcheck_broken:mine", code)
    use = "from pytest_quantcheck.quantizers.config import QuantConfig; print(QuantConfig(quantizer={!r}).id)"
    assert run(environment, use.format("tflite")).stdout == "tflite-i8-i8-perchannel-cal100pct\n"
    broken = run(environment, use.format("mine")).stderr
    assert "PluginError: the quantizer 'mine' of broken-plug-in (quantcheck_broken:mine)" in broken
    assert "Repair or uninstall broken-plug-in" in broken


OWN = """
from pytest_quantcheck.quantizers.scheme import Quantizer, Scheme

def options(values):
    assert values == {"level": 3}
    return "level3"

ternary = Scheme(("int8",), ("float32",), ())
mine = Quantizer("mine", ".bin", "quantcheck_broken:make", {"ternary": ternary}, options)

def make(source, config, data, **how):
    from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
    return QuantizedModel(source, config.id.encode(), config)
"""


def test_a_quantizer_of_ones_own_brings_its_schemes_options_and_code(plug_in):
    environment = plug_in("quantcheck.quantizers", "mine = quantcheck_broken:mine", OWN)
    program = (
        "from pytest_quantcheck.quantizers.config import QuantConfig\n"
        "from pytest_quantcheck.quantizers.quantize import quantize\n"
        "print(quantize('net', QuantConfig(quantizer='mine', options={'level': 3})).artefact.decode())"
    )
    done = run(environment, program)
    assert done.stdout == "mine-ternary-i8-f32-level3-cal100pct\n", done.stderr
    assert quantizer("tflite").suffix == ".tflite"
