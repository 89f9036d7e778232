"""The page is whole in itself, holds what the report holds, and takes nothing that a stranger wrote for markup."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mctc.linter.coreml.formats.page import SCRIPTS, render_page
from mctc.linter.coreml.formats.page.verdict import verdict
from mctc.linter.coreml.report import Place, Report
from tests.linter.coreml.conftest import Check

PARTS = files("mctc.linter.coreml.formats.page")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
EVIL = (
    "</script><script>document.title='run'</script>",
    "<img src=x onerror=\"document.title='run'\">",
    "{{ 7 * 7 }}",
    "<!--<script>",
    "\u202eright to left\u202c \u2028\u2029\x00 \udc80",
    "x" * 10_000,
    "__proto__",
)
PROGRAM = """
    x: fp16[16, 1, 64]
    h: fp16[1, 32]
    y: (fp16[16, 1, 32], fp16[1, 32]) = gru(x=x, initial_h=h, weight_ih=fp16[96, 64])
    z: fp16[16, 1, 32] = relu(x=y)
    a: fp16[16, 1, 32] = add(x=z, y=y)
    return a
"""


class _Page(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles by what they are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.open: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = (dict(attrs).get("type") or tag) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self.open = None

    def handle_data(self, data: str) -> None:
        if self.open is not None:
            self.inside[self.open] = self.inside.get(self.open, "") + data

    @property
    def data(self) -> Any:
        return json.loads(self.inside["application/json"])


@pytest.fixture(scope="module")
def report(check: Check) -> Report:
    return check(PROGRAM, device="m4")


@pytest.fixture(scope="module")
def hostile(report: Report) -> Report:
    """The report with strangers' names wherever a name can be."""
    function = report.functions[0]
    place = Place(EVIL[0], EVIL[1])
    ops = tuple(
        replace(op, name=f"{EVIL[index]}{index}", type=EVIL[index + 1], shape=EVIL[index + 2], place=place)
        for index, op in enumerate(function.ops)
    )
    function = replace(function, name=EVIL[0], ops=ops, inputs=EVIL, outputs=EVIL, states=EVIL)
    findings = tuple(
        replace(each, message=EVIL[1], function=EVIL[0], op=EVIL[4], place=place) for each in report.findings
    )
    more = {"path": EVIL[0], "opset": EVIL[1], "target": EVIL[4], "made_by": {"mctc.model": EVIL[5]}}
    return replace(report, functions=(function,), findings=findings, **more)


def test_a_page_holds_all_of_a_report(report: Report) -> None:
    package = _Page(render_page([report])).data["packages"][0]
    function, ops = report.functions[0], package["functions"][0]["ops"]
    assert ops["names"] == [op.name for op in function.ops]
    assert [ops["types"][index] for index in ops["type"]] == [op.type for op in function.ops]
    assert [ops["shapes"][index] for index in ops["shape"]] == [op.shape for op in function.ops]
    assert ops["inputs"] == [list(op.inputs) for op in function.ops]
    assert ops["cpu"] == [round(op.cpu, 4) for op in function.ops]
    assert {int(index): [ops["codes"][code] for code in codes] for index, codes in ops["rules"].items()} == {
        index: list(op.rules) for index, op in enumerate(function.ops) if op.rules
    }
    assert [(each["rule"], each["message"], each["index"]) for each in package["findings"]] == [
        (each.rule.code, each.message, each.index) for each in report.findings
    ]
    assert package["rules"]["ANE-OP-001"]["fix"] == report.findings[0].rule.fix


def test_several_packages_are_one_page_and_none_is_a_page_too(report: Report) -> None:
    assert len(_Page(render_page([report, report])).data["packages"]) == 2
    assert _Page(render_page([])).data["packages"] == []


def test_a_page_needs_nothing_from_outside(report: Report) -> None:
    text = render_page([report])
    for tag, attributes in _Page(text).tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert not re.search(r"@import|url\(|https?://", text)


def test_a_page_allows_its_own_script_and_style_alone(report: Report) -> None:
    page = _Page(render_page([report]))
    policy = next(each["content"] for _, each in page.tags if each.get("http-equiv") == "Content-Security-Policy")
    hashes = [
        f"'sha256-{b64encode(sha256(page.inside[part].encode()).digest()).decode()}'" for part in ("style", "module")
    ]
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]};")
    assert "unsafe" not in policy


def test_a_strangers_name_is_never_markup(hostile: Report, report: Report) -> None:
    text = render_page([hostile])
    text.encode()  # no half of a surrogate pair is left
    tags = [tag for tag, _ in _Page(text).tags]
    assert [tag for tag in tags if tag in ("script", "img", "svg")] == ["script", "script"]
    assert tags.count("h2") == [tag for tag, _ in _Page(render_page([report])).tags].count("h2")
    assert not set("<>&") & set(_Page(text).inside["application/json"])
    assert "49" not in re.findall(r"<title>(.*?)</title>", text)[0]
    package = _Page(text).data["packages"][0]
    assert package["path"] == EVIL[0]
    assert package["functions"][0]["ops"]["names"] == [op.name for op in hostile.functions[0].ops]


def test_the_script_never_makes_markup_of_text() -> None:
    folder = PARTS / "script"
    assert {each.name for each in folder.iterdir() if each.name.endswith(".js")} == {f"{name}.js" for name in SCRIPTS}
    for name in SCRIPTS:
        text = (folder / f"{name}.js").read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function\(", text)
        assert not re.search(r"</script|<!--|fetch\(|XMLHttpRequest|WebSocket|import\s*\(", text, re.IGNORECASE)


def test_numbers_that_are_none_are_left_out(report: Report) -> None:
    function = report.functions[0]
    ops = (replace(function.ops[0], cpu=float("nan"), ane=float("inf"), flops=10**400), *function.ops[1:])
    text = render_page([replace(report, functions=(replace(function, ops=ops, time=float("nan")),))])
    found = _Page(text).data["packages"][0]["functions"][0]
    assert found["ops"]["cpu"][0] is found["ops"]["ane"][0] is found["ops"]["flops"][0] is found["time"] is None


def test_text_stands_out_from_its_ground_in_light_and_dark() -> None:
    themes = re.findall(r":root[^{]*\{([^}]*)\}", (PARTS / "colours.css").read_text(encoding="utf-8"))
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", theme))
        texts = ("ink", "accent", "error", "warning", "performance", "numerics", "info")
        pairs = [*product(texts, ("page", "sheet", "fill", "mark")), *product(["soft"], ("page", "sheet", "fill"))]
        pairs += [(f"{place}-ink", f"{place}-tint") for place in ("ane", "cpu", "doubtful")]
        for text, ground in pairs:
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def _contrast(one: str, other: str) -> float:
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_verdict_weighs_work_and_not_ops(check: Check) -> None:
    text = """
        x: fp16[1, 512, 1, 256]
        for _ in range(12):
            x: fp16[1, 512, 1, 256] = conv(x=x, weight=fp16[512, 512, 1, 9], pad=[0, 0, 4, 4])
        return x
    """
    function = check(text, device="m4").functions[0]
    assert re.fullmatch(
        r"100 % of the estimated work \(12 ops\) is predicted on the Neural Engine, in 1 segment; "
        r"estimated [\d.]+ ms against [\d.]+ ms all on the CPU\. Predicted: first load [\d.]+ s, .* a call [\d.]+ ms\.",
        verdict(function),
    )
    assert verdict(replace(function, ops=())) == (
        "Nothing is computed here: all values are known before the program runs."
    )


def test_a_verdict_says_why_little_work_stays_on_the_cpu(check: Check) -> None:
    text = """
        x: fp16[1, 64, 1, 64]
        y: fp16[1, 64, 1, 64] = relu(x=x)
        return y
    """
    assert "too little to make up for 0.25 ms of overhead" in verdict(check(text, device="m4").functions[0])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_fills_the_page_in_and_runs_nothing_of_a_name(hostile: Report, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(render_page([hostile]), encoding="utf-8")
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    flags += ["--disable-component-update", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [CHROMIUM, *flags, f"{page.as_uri()}#package=0&function=0&op=1"], capture_output=True, timeout=120, check=True
    )
    text = done.stdout.decode()
    tags = [tag for tag, _ in _Page(text).tags]
    assert 'data-ready="yes"' in text
    assert [tag for tag in tags if tag in ("script", "img", "svg")] == ["script", "script"]
    assert "<title>run" not in text
    panel = re.findall(r'<aside id="panel".*?</aside>', text, re.DOTALL)[0]
    assert "onerror" in panel
    assert "<img" not in panel
    function = hostile.functions[0]
    assert len(re.findall(r'<tr class="row', text)) == len(function.ops) + len(function.segments)
