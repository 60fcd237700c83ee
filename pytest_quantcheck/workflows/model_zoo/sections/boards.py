"""``benchmarking``, ``deployment`` and ``tools``: boards, and the vendor's programs."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.workflows.model_zoo.section import key

_NO_TOOL = "sizes are computed here, without the vendor's tool or cloud"
_OURS = "the rig's own firmware runs the model (docs/boards.md)"


@dataclass(frozen=True, kw_only=True)
class Benchmarking:
    board: str | None = key("a board or target of the rig; the vendor's names give sizes only", None)


@dataclass(frozen=True, kw_only=True)
class Tool:
    version: str | None = key("", None, ignored=_NO_TOOL)
    optimization: str = key("", "balanced", choices=("balanced", "time", "ram"), ignored=_NO_TOOL)
    on_cloud: bool = key("", False, ignored=_NO_TOOL)
    path_to_stm32ai: str | None = key("", None, ignored=_NO_TOOL)
    path_to_stedgeai: str | None = key("", None, ignored=_NO_TOOL)


@dataclass(frozen=True, kw_only=True)
class Tools:
    stm32ai: Tool | None = key("the vendor's converter", None)
    stedgeai: Tool | None = key("the vendor's converter", None)
    path_to_cubeIDE: str | None = key("", None, ignored=_OURS)


@dataclass(frozen=True, kw_only=True)
class HardwareSetup:
    serie: str | None = key("", None, ignored=_OURS)
    board: str | None = key("a board or target of the rig; the vendor's names are not known to it", None)
    input: str | None = key("", None, ignored=_OURS)
    output: str | None = key("", None, ignored=_OURS)
    ip_address: str | None = key("", None, ignored=_OURS)
    stlink_serial_number: str | None = key("", None, ignored="the inventory names the probe")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    c_project_path: str | None = key("", None, ignored=_OURS)
    IDE: str | None = key("", None, ignored=_OURS)
    verbosity: int | None = key("", None, ignored=_OURS)
    build_conf: str | None = key("", None, ignored=_OURS)
    label_file_path: str | None = key("", None, ignored=_OURS)
    board_deploy_path: str | None = key("", None, ignored=_OURS)
    unknown_class_threshold: float | None = key("", None, low=0, high=1, ignored=_OURS)
    hardware_setup: HardwareSetup | None = key("the board", None)
