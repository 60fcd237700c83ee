"""The HTML file, as its markup says it and as a real browser shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pytest_quantcheck.report.html.markup import join, tag
from pytest_quantcheck.report.html.page import render
from pytest_quantcheck.report.html.plots import _compact, _digits, ticks
from pytest_quantcheck.report.provenance import Provenance
from pytest_quantcheck.report.report import Place, Report, Trend
from pytest_quantcheck.report.trade_off import trade_offs
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.picture import Picture
from pytest_quantcheck.verdict.row import Row, ScoreRow
from pytest_quantcheck.wording import visible
from tests.browser import Browser, browser
from tests.host.report.rows import BAD, ERROR, EVERY, FAULT, GOOD, HOST, HOSTILE, NASTY, UNJUDGED

pytestmark = pytest.mark.host

MADE = Provenance(
    date="2026-01-02T03:04:05+00:00", python="CPython 3.11", revision="abc123" * 6, modified=True,
    packages={"numpy": "2.0"}, options={"--qc-rig": "lab.toml"},
)  # fmt: skip
WHOLE = Report(
    EVERY,
    MADE,
    left_out={"no board has family='esp32'": 3},
    places={GOOD.test: Place("tests/test_kws.py", 31)},
    history=(Trend(GOOD.test, "virtual-esp32c3", "accuracy", (("v1.0", 0.91), ("v1.1", 0.925))),),
)


class Page(HTMLParser):
    """What a document holds: its elements with their attributes, its text, and tags that nothing closed."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attrs)))
        if name not in ("meta", "input", "br", "img"):
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]


def test_the_page_says_what_failed_and_why_before_anything_else() -> None:
    text = Page(re.sub("<nav.*?</nav>", "", render(WHOLE))).text
    order = [
        "Regression",
        "max_drop: accuracy 88.00%, drop 5.00%, limit 1.00%",
        "Likely cause: input zero point -127 instead of -128",
        "link fault on bench-2",
        "broken.tflite is no TFLite file",
        "Configurations and boards",
        "Score against cost",
        "Divergences",
        "computed again with input zero point -127",
        "Flipped samples",
        "History",
        "Cases",
        "tests/test_kws.py:31",
        "on virtual-esp32c3 (quantcheck 0.1.0)median of an inference502,452 instructions, spread 236",
        "Where the numbers come from",
        "git revision",
        "lab.toml",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "3 hw tests not run: no board has family='esp32'" in text


def test_every_number_names_the_runtime_that_made_it() -> None:
    text = Page(render(Report((GOOD,)))).text
    assert "tflm, whose outputs are the same as virtual-esp32c3 (quantcheck 0.1.0)'s" in text
    assert "coston virtual-esp32c3 (quantcheck 0.1.0)median of an inference502,452 instructions" in text
    assert "tflm (tflite_micro 0.1)" in Page(render(Report((HOST,)))).text


def test_an_estimate_that_leaves_a_budget_open_says_that_silicon_is_needed() -> None:
    found = Criterion(
        "latency_ms",
        None,
        "needs silicon: between 10.000 ms and 12.500 ms at 168 MHz, estimated of the first vector",
    )
    text = Page(render(Report((replace(BAD, criteria=(*BAD.criteria, found)),)))).text
    assert "latency_msneeds siliconbetween 10.000 ms and 12.500 ms" in text


def test_links_lead_somewhere_and_every_tag_is_closed() -> None:
    page = Page(render(WHOLE))
    assert page.open == []
    ids = page.ids()
    assert len(set(ids)) == len(ids)
    links = [attributes["href"] or "" for name, attributes in page.elements if name == "a"]
    assert len(links) > 20
    assert {link[0] for link in links} == {"#"}
    assert {link[1:] for link in links} <= set(ids)


def test_flipped_samples_are_shown_beside_their_names_and_in_the_failure() -> None:
    page = Page(render(Report((BAD, replace(BAD, case="another")))))
    sources = [attributes["src"] for name, attributes in page.elements if name == "img"]
    assert sources == [f"data:image/png;base64,{BAD.pictures[0].png}"] * 2
    other = replace(BAD, pictures=(replace(BAD.pictures[0], png="iVBORw0KGgoAAAA"),))
    page = Page(render(Report((BAD, other))))
    shown = [attributes["src"] for name, attributes in page.elements if name == "img"]
    assert len(shown) == 1, "two samples of one name: the table shows neither, the failure its own"


def test_failures_of_one_kind_on_one_board_are_told_once() -> None:
    rows = [replace(BAD, case=f"case-{n}") for n in range(50)]
    overview = render(Report(tuple(rows))).split("</header>")[0]
    assert overview.count("Likely cause") == 1
    assert "49 other cases alike" in overview


def test_one_model_that_fails_by_the_same_numbers_everywhere_is_told_once() -> None:
    worse = replace(
        HOST, outcome="regression", criteria=(Criterion("baseline accuracy", False, "accuracy is worse: 9%"),)
    )
    board = replace(worse, target="esp32c3", board="bench-2", case="on-board")
    another = replace(board, model="another")
    overview = render(Report((worse, board, another))).split("</header>")[0]
    assert overview.count("accuracy is worse: 9%") == 2
    assert "1 other case alike" in overview


def test_samples_that_flipped_in_the_same_cases_share_a_line() -> None:
    score = replace(BAD.scores[0], lost=("a", "b", "c"), gained=())
    other = replace(score, lost=("b", "c", "d"), gained=("a",))
    page = render(Report((replace(BAD, scores=(score,)), replace(GOOD, scores=(other,)))))
    lines = re.findall(r"<tr><td>(\d+ samples?: .*?)</td><td>(\d)</td><td>(\d)</td>", page)
    assert [(re.sub("<[^>]*>", "", samples).strip(), *counts) for samples, *counts in lines] == [
        ("2 samples: b c", "2", "0"),
        ("1 sample: a", "1", "1"),
        ("1 sample: d", "1", "0"),
    ]


def test_marks_of_a_plot_are_told_apart() -> None:
    low, high = 501_801.0, 502_892.0
    marks = [_compact(each, _digits(ticks(low, high))) for each in ticks(low, high)]
    assert len(set(marks)) == len(marks), marks
    assert [_compact(each, _digits([1, 2, 3])) for each in (1, 2500, 3e6)] == ["1", "2.5k", "3M"]


def test_nothing_hostile_becomes_markup() -> None:
    def elements(row: Row) -> list[str]:
        return [name for name, _ in Page(render(Report((row, row), MADE))).elements]

    page = Page(render(Report((HOSTILE, HOSTILE), MADE)))
    harmless = replace(BAD, faults=("x",), fault="x", reason="y", name="z")
    assert page.open == []
    assert set(elements(HOSTILE)) <= set(elements(harmless))
    assert not [a for _, a in page.elements for key in a if key.startswith("on") or key == "style"]
    assert {a["src"] for _, a in page.elements if "src" in a} == {
        f"data:image/png;base64,{HOSTILE.pictures[0].png}"
    }
    assert visible(NASTY).splitlines()[0] in page.text
    assert not set("\x00\x1b\u202e\ud800") & set(page.text)
    render(Report((HOSTILE,))).encode()


def test_a_text_in_markup_is_escaped_and_markup_is_not_escaped_twice() -> None:
    assert tag("b", "<i>", tag("i", "&"), title='"') == '<b title="&quot;">&lt;i&gt;<i>&amp;</i></b>'
    assert join(["\x1b[0m", "a\nb"]) == "\\x1b[0ma\nb"


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (UNJUDGED,),
        (FAULT,),
        (ERROR,),
        (Row(),),
        (replace(GOOD, scores=(ScoreRow("m", float("nan"), 0),)),),
    ],
    ids=["none", "unjudged", "fault", "error", "nothing known", "not a number"],
)
def test_what_is_not_there_breaks_nothing(rows: tuple[Row, ...]) -> None:
    page = Page(render(Report(rows)))
    assert page.open == []
    assert "nan" not in page.text


def big(number: int) -> Report:
    """As many rich cases, with long names and other samples lost in each."""
    rows = []
    for n in range(number):
        score = replace(
            GOOD.scores[0],
            value=0.9 + n / 10_000,
            lost=tuple(f"sample-{k}" for k in range(n, n + 30)),
        )
        case = f"keyword_spotting-tflite-i8-i8-perchannel-cal10pct-{n}-target-{n % 4}"
        test = f"tests/models/test_keyword_spotting.py::test_on_board[{case}]"
        row = replace(BAD if n % 9 == 0 else GOOD, test=test, case=case, model=case[:-9], scores=(score,))
        seen = tuple(Picture(name, f"iVBORw0KGgo{n:1500}".replace(" ", "A")) for name in score.lost[:8])
        row = replace(row, pictures=seen)
        rows.append(replace(row, target=f"target-{n % 4}", board=f"bench-{n % 4}", counter=4e5 + n))
    return Report(tuple(rows), MADE)


def test_five_hundred_cases_are_less_than_two_megabytes() -> None:
    assert len(render(big(500)).encode()) < 2_000_000


def test_many_cases_keep_the_details_of_what_failed() -> None:
    rows = tuple(replace(GOOD, case=f"case-{n}") for n in range(1100))
    page = render(Report((*rows, BAD)))
    assert "100 cases" not in page
    assert "101 cases without details here" in page
    assert Page(page).text.count("conv2d_3/Relu") >= 2


def test_the_front_holds_what_no_other_configuration_beats() -> None:
    costs = {"a": (2.0, 0.90), "b": (1.0, 0.80), "c": (3.0, 0.85), "d": (4.0, 0.95), "e": (4.0, 0.94)}
    rows = [
        replace(
            BAD, model=name, latency_ms=ms, scores=(replace(BAD.scores[0], value=score, drop=0.93 - score),)
        )
        for name, (ms, score) in costs.items()
    ]
    found = next(each for each in trade_offs(rows) if each.cost == "latency in ms")
    assert [rows[point.row].model for point in found.front] == ["b", "a", "d"]
    errors = [
        replace(
            row,
            scores=(
                ScoreRow(
                    "rmse", 1 - row.scores[0].value, 9, float_value=0.07, drop=0.93 - row.scores[0].value
                ),
            ),
        )
        for row in rows
    ]
    lower = next(each for each in trade_offs(errors) if each.cost == "latency in ms")
    assert lower.lower
    assert [errors[point.row].model for point in lower.front] == ["b", "a", "d"]


def test_costs_in_units_that_cannot_be_compared_have_plots_of_their_own() -> None:
    rows = [
        replace(
            GOOD,
            target=target,
            counter=counter,
            unit=unit,
            scores=(replace(GOOD.scores[0], value=counter / 1e6),),
        )
        for target, unit in (("a", "instructions"), ("b", "instructions"), ("b", "cycles"))
        for counter in (1e5, 2e5)
    ]
    costs = {each.cost for each in trade_offs(rows)}
    assert {"instructions on a", "instructions on b", "cycles on b"} <= costs


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.8561, 0.9301), (1e-9, 3e-9), (-5, 7), (123, 1e6)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 * abs(high) <= each <= high + 1e-9 * abs(high) for each in found)
    assert ticks(3, 3) == [3]


@dataclass
class Shown:
    """The whole report in a browser."""

    browser: Browser
    page: Path
    hostile: Path
    big: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("html")
    names = {"page": WHOLE, "hostile": Report((HOSTILE, HOSTILE, GOOD), MADE), "big": big(500)}
    files = {name: folder / f"{name}.html" for name in names}
    for name, report in names.items():
        files[name].write_text(render(report), encoding="utf-8")
    with browser(folder / "profile") as running:
        yield Shown(running, **files)


@pytest.mark.parametrize("which", ["page", "hostile", "big"])
def test_a_browser_loads_it_without_a_complaint_and_without_the_network(shown: Shown, which: str) -> None:
    page: Path = getattr(shown, which)
    shown.browser.open(page)
    assert shown.browser.evaluate("document.querySelector('h1').innerText").endswith("Regression")
    assert shown.browser.evaluate("document.querySelectorAll('iframe').length") == 0
    if which == "page":
        widths = shown.browser.evaluate("[...document.images].map((each) => each.naturalWidth)")
        assert widths == [8, 8]
    assert shown.browser.complaints() == []
    asked = [address for address in shown.browser.requests() if not address.startswith("data:")]
    assert asked == [page.as_uri()]


def test_the_browser_of_these_tests_sees_errors_requests_and_what_the_policy_forbids(
    shown: Shown, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    content = shown.page.read_text(encoding="utf-8")
    broken.write_text(content.replace("</h1>", "</h1><script>fail()</script><img src=other.png>"))
    shown.browser.open(broken)
    assert "Content Security Policy" in str(shown.browser.complaints())
    free = re.sub(r"<meta http-equiv[^>]*>", "", broken.read_text())
    broken.write_text(free)
    shown.browser.open(broken)
    assert "fail is not defined" in str(shown.browser.complaints())
    assert len([each for each in shown.browser.requests() if not each.startswith("data:")]) == 2


@pytest.mark.parametrize("which", ["page", "hostile", "big"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_window_is_too_narrow(shown: Shown, which: str, width: int) -> None:
    shown.browser.open(getattr(shown, which), width=width)
    shown.browser.evaluate(
        "document.querySelectorAll('details').forEach((each, n) => { each.open = n < 40; })"
    )
    assert shown.browser.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.browser.evaluate("document.body.scrollWidth") <= width


def test_texts_are_large_enough_to_read_on_a_phone(shown: Shown) -> None:
    shown.browser.open(shown.page, width=360)
    sizes = shown.browser.evaluate(
        """[...document.querySelectorAll('body *')].filter((e) => [...e.childNodes].some((n) =>
        n.nodeType === 3 && n.data.trim()) && e.getClientRects().length)
        .map((e) => parseFloat(getComputedStyle(e).fontSize) * (e.ownerSVGElement
        ? e.ownerSVGElement.getBoundingClientRect().width / e.ownerSVGElement.viewBox.baseVal.width : 1))"""
    )
    assert len(sizes) > 100
    assert min(sizes) >= 12


CONTRAST = """(() => {
  const light = (c) => { const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const f = parts(getComputedStyle(e).backgroundColor); if (f.length < 4 || f[3] === 1) return f; } };
  const texts = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  return Math.min(...[...document.querySelectorAll('body *')].filter((e) => !e.closest('svg') &&
    !e.closest('.values') && e.getClientRects().length && texts(e)).map((e) => {
      const a = light(parts(getComputedStyle(e).color)), b = light(behind(e));
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }));
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(shown: Shown, scheme: str) -> None:
    """4.5 to 1 is what the Web Content Accessibility Guidelines (1.4.3) ask for."""
    shown.browser.open(shown.page, scheme=scheme)
    shown.browser.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    dark = shown.browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert dark == (scheme == "dark")
    assert shown.browser.evaluate(CONTRAST) >= 4.5


def test_paper_shows_what_failed_in_full_and_nothing_to_click(shown: Shown) -> None:
    shown.browser.open(shown.page, media="print")
    assert shown.browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert shown.browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.browser.evaluate("document.querySelector('.case.regression').open") is False
    assert shown.browser.pdf().startswith(b"%PDF-")
    shown.browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.browser.evaluate("document.querySelector('.case.regression').open") is True
    assert shown.browser.evaluate("document.querySelector('.case.pass').open") is False
    shown.browser.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.browser.evaluate("document.querySelector('.case.regression').open") is False


def test_a_link_to_a_case_opens_it_and_the_filter_leaves_what_was_asked_for(shown: Shown) -> None:
    shown.browser.open(shown.page)
    assert shown.browser.evaluate("document.getElementById('case-1').open") is False
    shown.browser.evaluate("document.querySelector('.overview .what a').click()")
    shown.browser.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert shown.browser.evaluate("document.getElementById('case-1').open") is True
    shown.browser.evaluate(
        "filter = document.getElementById('filter'); filter.value = 'STM32F405xg kws'; "
        "filter.dispatchEvent(new Event('input'))"
    )
    assert shown.browser.evaluate("document.querySelectorAll('#case-list > :not([hidden])').length") == 1
    assert shown.browser.evaluate("document.getElementById('matching').innerText") == "1 of 7"
