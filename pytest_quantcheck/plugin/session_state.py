"""What the tests of one process share, made on first use: models, data, the reference, the boards."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantcheck.baselines.book import Book
from pytest_quantcheck.baselines.content import Content
from pytest_quantcheck.baselines.policy import Policy
from pytest_quantcheck.baselines.source import Source, source_of
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.subset import subset
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.c_array import read_model_file
from pytest_quantcheck.named_function import call_reference, is_reference
from pytest_quantcheck.plugin.board_pool import BoardPool
from pytest_quantcheck.plugin.cases import Case
from pytest_quantcheck.plugin.items import case_without_board, function_key
from pytest_quantcheck.plugin.notes import Function, run_notes
from pytest_quantcheck.plugin.settings import in_ci, inventory, settings
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.runners.remembering import Remembering
from pytest_quantcheck.runners.run import Runner
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.sanity.check import Sanity
from pytest_quantcheck.verdict.verdict import Verdict

if TYPE_CHECKING:
    from pytest_quantcheck.models.float_model import FloatModel
    from pytest_quantcheck.verdict.predecessor import Predecessor


class SessionState:
    """Made once per process. Models and data named in markers are loaded once, conversions are cached."""

    def __init__(self, config: pytest.Config) -> None:
        wanted = settings(config)
        self._vectors = wanted.vectors
        self._strict = wanted.strict
        self.cache = Cache(wanted.cache)
        self.reporting = bool(wanted.reports)
        self._loaded: dict[tuple[str, str], Any] = {}
        self._reference: Runner | None = None
        self._float_outputs = FloatOutputs()
        self._sanity = Sanity(self._float_outputs)
        self._policy = Policy(wanted.tolerances, wanted.update, in_ci())
        self._source = source_of(wanted.baseline, config.rootpath)
        self._committed = source_of("", config.rootpath)
        self._release = self._source.name if wanted.baseline else ""
        self._stored: dict[tuple[str, str], Content] = {}
        self._cases_of: dict[Function, frozenset[str] | None] = {}
        self._predecessor = _predecessor(wanted.compare, self._float_outputs)
        self._chosen: tuple[Samples, Samples] | None = None  # all samples, and the few of --qc-vectors
        in_worker = hasattr(config, "workerinput")
        self.boards = BoardPool(lambda: inventory(config), wanted, shared=in_worker)

    def float_model(self, case: Case) -> FloatModel | None:
        """The marker's model; None when it names none."""
        if not case.model:
            return None
        from pytest_quantcheck.models.load import load

        found: FloatModel = self._once(
            case.model, case.folder, lambda folder: load(case.model, base=folder, cache=self.cache)
        )
        return found

    def dataset(self, case: Case) -> Dataset | None:
        """What the marker's ``data`` function returns, or its reader reads; None when it names none."""
        if not case.data:
            return None
        found = self._once(case.data, case.folder, lambda folder: _read_data(case.data, folder))
        if not isinstance(found, Dataset):
            raise UsageError(
                f"data={case.data!r} returned a {type(found).__name__}; allowed: a Dataset, such as "
                "pytest_quantcheck.Dataset(calibration=Samples(x, y), test=Samples(x, y))"
            )
        return found

    def quantized(
        self, case: Case, config: QuantConfig | None, model: FloatModel | None, data: Dataset | None
    ) -> QuantizedModel:
        """The artefact of a case: the file it names, or the result of quantizing as ``config`` asks."""
        if case.artefact:
            return self._artefact(case, model)
        if model is None:
            raise UsageError(
                'there is no model: give quant(model="model.h5"), or override the fixture float_model'
            )
        config = QuantConfig() if config is None else config
        if not isinstance(config, QuantConfig):
            raise UsageError(
                f"the fixture quant_config gave a {type(config).__name__}; allowed: a QuantConfig, such as "
                'pytest_quantcheck.QuantConfig(granularity="per_tensor"), or None'
            )
        from pytest_quantcheck.quantizers.quantize import quantize

        return quantize(model, config, data, cache=self.cache)

    def _artefact(self, case: Case, model: FloatModel | None) -> QuantizedModel:
        made = self._once(case.artefact, case.folder, lambda folder: _made(case.artefact, folder))
        if isinstance(made, QuantizedModel):
            return made
        if isinstance(made, (str, Path)):
            path = Path(case.folder) / made
            if not path.exists():
                raise UsageError(f"artefact={case.artefact!r}: there is no file {path}")
            made = read_model_file(path)
        if not isinstance(made, bytes):
            raise UsageError(
                f"artefact={case.artefact!r} returned a {type(made).__name__}; allowed: a file name, bytes, "
                f"or a QuantizedModel"
            )
        return _artefact_model(case.name, made, model.content if model else b"")

    def vectors(self, data: Dataset | None) -> Samples:
        """The test samples; N of them, chosen by id across all classes, under ``--qc-vectors N``."""
        if data is None:
            raise UsageError('there are no data: give quant(data="module:function"), or override quant_data')
        if self._vectors is None or self._vectors >= len(data.test):
            return data.test
        if self._chosen is None or self._chosen[0] is not data.test:
            self._chosen = data.test, data.test.take(subset(data.test, self._vectors))
        return self._chosen[1]

    @property
    def reference(self) -> Runner:
        """The exact runner of each format: see ``runners.exact.exact_runner``."""
        if self._reference is None:
            self._reference = Remembering(exact_runner())
        return self._reference

    def book(self, item: pytest.Item) -> Book:
        """The baselines of one test."""
        file, function = function_key(item)
        return Book(
            function,
            case_without_board(item),
            lambda: self._content(self._source, file),
            self._policy,
            self._release,
            lambda: self._content(self._committed, file),
            lambda: self._cases(item, (file, function)),
        )

    def _cases(self, item: pytest.Item, function: Function) -> frozenset[str] | None:
        """All cases of a test function in this run; None where options left some out."""
        if not self._cases_of:
            chosen = any("[" in argument for argument in item.config.args)
            cases: dict[Function, set[str]] = {}
            for each in item.session.items:
                cases.setdefault(function_key(each), set()).add(case_without_board(each))
            partial = cases.keys() if chosen else run_notes(item.config).partial
            self._cases_of = {key: None if key in partial else frozenset(cases[key]) for key in cases}
        return self._cases_of[function]

    def _content(self, source: Source, file: str) -> Content:
        key = (source.name, file)
        if key not in self._stored:
            self._stored[key] = source.read(file)
        return self._stored[key]

    def gate(self, budget: Budget | None, book: Book, record: Callable[[Verdict], None]) -> Gate:
        """A gate for one test, with its budget and its baselines."""
        return Gate(
            reference=self.reference,
            float_outputs=self._float_outputs,
            budget=budget,
            sanity=self._sanity,
            strict=self._strict,
            baselines=book,
            predecessor=self._predecessor,
            record=record,
        )

    def _once(self, reference: str, folder: str, make: Callable[[Path], Any]) -> Any:
        key = (reference, folder)
        if key not in self._loaded:
            self._loaded[key] = make(Path(folder))
        return self._loaded[key]


def _made(artefact: str, folder: Path) -> object:
    """What the function that a marker names returned; else the name of the file, which may change."""
    if is_reference(artefact) and not (folder / artefact).exists():
        return call_reference(artefact, folder)
    return artefact


def _read_data(data: str, folder: Path) -> object:
    from pytest_quantcheck.data.readers.source import is_source, read_source

    return (read_source if is_source(data, folder) else call_reference)(data, folder)


@lru_cache(maxsize=16)  # every test asks for its own, and making one reads the whole file
def _artefact_model(name: str, content: bytes, float_content: bytes) -> QuantizedModel:
    return QuantizedModel(name, content, None, float_content)


def _predecessor(path: Path | None, float_outputs: FloatOutputs) -> Predecessor | None:
    """The model of ``--qc-compare``."""
    if path is None:
        return None
    from pytest_quantcheck.verdict.predecessor import Predecessor

    return Predecessor(QuantizedModel(path.stem, read_model_file(path), path=path), float_outputs)
