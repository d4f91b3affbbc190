"""The benchmark as a whole: suites in, rows and reports out, kills and budgets between, and the page in a browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("pydantic_ai", reason="the eval extra is not installed")

from eval_parts import BOX, KEY, spec_text, write_suite

import eval.calls
from cadcoder.errors import ConfigError, InputError
from cadcoder.geometry.build import build
from cadcoder.program import parse
from eval.benchmark import main
from eval.compare import pairs
from eval.rehearsal import Rehearsal
from eval.rowfile import RowFile, read_benchmark_rows
from eval.shapes import count_faces, sharp_length
from eval.stored import Stored
from eval.suites import names, read_suite

ROOT = Path(__file__).resolve().parents[2]
FAILING = "```python\nimport cadquery as cq\nresult = cq.Workplane().box(1, 1, 1).nothing()\n```"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setattr(eval.calls, "FIRST_WAIT", 0.01)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with everything: baselines, three providers with faults, others' answers; folder of the run."""
    folder = tmp_path_factory.mktemp("bench")
    suite = write_suite(folder / "suite")
    other = folder / "others" / "image" / "r0"
    other.mkdir(parents=True)
    lines = [{"file_id": f"part{i}", "generated": BOX.format(10 + 10 * i, 20, 30)} for i in range(3)]
    (other / "suite.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch, Rehearsal(patience=2) as house:
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
            patch.setenv(name, KEY)
        patch.setattr(eval.calls, "FIRST_WAIT", 0.01)
        house.script = ["500", "refusal", "empty", "truncated", "ok", "cut"]
        ask = ["--suite", str(suite), "--model", "box", "--model", "nearest", "--answers", str(folder / "others")]
        ask += ["--model", spec_text("openai", house, "at_once=1", "price=3/15", "label=gpt <b>bold</b>")]
        ask += ["--model", spec_text("gemini", house, "at_once=1", "price=1/2")]
        out = folder / "out"
        assert main([*ask, "--out", str(out), "--budget", "1", "--cadbench", str(folder / "layout")]) == 0
        bill = folder / "bill.json"
        bill.write_text(json.dumps([[line["model"], line["tokens"]] for line in house.delivered]))
        made = len(house.times)
        assert main([*ask, "--out", str(out), "--budget", "1"]) == 0
        assert len(house.times) == made  # nothing is asked twice
    return folder


def test_rows_hold_everything(ran: Path) -> None:
    rows = read_benchmark_rows(ran / "out" / "rows.jsonl")
    assert len(rows) == 5 * 4 and len({row["key"] for row in rows}) == 20
    by = {(row["model"], row["part"]): row for row in rows}
    others = [by["others", f"part{i}"] for i in range(4)]
    assert [row["outcome"] for row in others] == ["ok", "ok", "ok", "empty"]
    assert all(row["metrics"]["iou_best"] > 0.999 and row["metrics"]["acc_cmd"] == 1 for row in others[:3])
    assert by["box", "part3"]["faces"] == 6 and 0 < by["box", "part3"]["metrics"]["iou_aligned"] < 1
    outcomes = sorted(row["outcome"] for row in rows if row["kind"] == "hosted")
    assert outcomes.count("ok") == 5 and {"refused", "empty", "truncated"} <= set(outcomes)
    bill = json.loads((ran / "bill.json").read_text())
    price = {"gpt-4o": (3, 15), "gemini-2.5-flash": (1, 2)}
    owed = sum(Decimal(price[m][0] * a + price[m][1] * b) for m, (a, b) in bill) / 1_000_000
    assert sum(Decimal(row["cost"]) for row in rows) == owed
    assert all(
        row["prompt"] == "paper-plus" and len(row["prompt_sha"]) == 16 for row in rows if row["kind"] == "hosted"
    )
    everything = "".join(
        p.read_text() for p in (ran / "out").rglob("*") if p.suffix in (".jsonl", ".json", ".html", ".md")
    )
    assert KEY not in everything


def test_reports_say_the_same(ran: Path) -> None:
    text = (ran / "out" / "report.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert "| others | 4 | 75 % | 0.750 |" in text and "1 refused" in text and "others - box" in text
    scores = [float(line.split("|")[4]) for line in table[1:6]]
    assert scores == sorted(scores, reverse=True)  # the best first
    tex = (ran / "out" / "report.tex").read_text()
    assert tex.count(r"\begin{table}") == 2 and r"\textbf{0." in tex and "gpt $<$b$>$bold" in tex
    page = (ran / "out" / "report.html").read_text()
    assert "<b>bold" not in page.split('id="data"')[0] and "http://" not in page.replace(
        "http://www.w3.org/2000/svg", ""
    )
    data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert len(data["parts"]) == 4 and data["parts"][0]["truth"]["png"].startswith("data:image/png")


def test_the_layout_goes_out_and_in(ran: Path) -> None:
    file = ran / "layout" / "others" / "image" / "r0" / "suite.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["file_id"] for line in lines] == [f"part{i}" for i in range(4)]
    suite = read_suite(str(ran / "suite"))
    answers = {item.id: answer for item, answer in Stored(ran / "layout" / "others").answers(suite.items)}
    assert answers["part1"].code == BOX.format(20, 20, 30) and answers["part3"].code in (None, "")


def test_the_page_in_a_browser(ran: Path, tmp_path: Path) -> None:
    """Charts, a sorted gallery and a turning part in headless Chromium; the screenshot is kept in tmp_path."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    place = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    with playwright.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(executable_path=place, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"there is no Chromium ({str(error).splitlines()[0]})")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        faults: list[str] = []
        asked: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto((ran / "out" / "report.html").as_uri())
        page.wait_for_selector(".part .card")
        assert page.locator("#bars rect").count() == 5 and page.locator("#rates circle").count() == 5
        assert page.locator("#scatter circle").count() == 4 and page.locator(".part").count() == 4
        page.locator("#results th", has_text="model").click()
        assert page.locator("#results tbody tr").first.inner_text().startswith("others")
        page.locator("#results th", has_text="model").click()
        assert page.locator("#results tbody tr").first.inner_text().startswith("box")
        page.select_option("#only", "others")
        assert page.locator(".part").count() == 1
        page.select_option("#only", "")
        part = page.locator(".part").first
        part.hover()
        page.wait_for_function("document.querySelector('.turns canvas') !== null")
        drawn = """() => { const c = document.querySelector('.turns canvas');
            const p = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);
            return p.filter(x => x !== 0xffffffff).length / p.length; }"""
        page.wait_for_function(f"({drawn})() > 0.05")
        before = page.evaluate("angle")
        page.wait_for_function(f"angle > {before}")
        part.locator("button").first.click()
        assert "cadquery" in page.locator("dialog pre").inner_text()
        page.screenshot(path=str(tmp_path / "report.png"), full_page=True)
        browser.close()
    assert not faults and all(url.startswith(("file:", "data:")) for url in asked)
    assert (tmp_path / "report.png").stat().st_size > 20_000


def test_a_killed_run_goes_on_and_a_budget_stops_cleanly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite, out = write_suite(tmp_path / "suite", 6), tmp_path / "out"
    with Rehearsal(slow=0.05) as house:
        ask = ["--suite", str(suite), "--model", spec_text("server", house, "at_once=1", "price=1000/1000")]
        ask += ["--out", str(out)]
        assert main(ask) == 2 and "--budget" in capsys.readouterr().err and not house.times
        assert main([*ask, "--estimate"]) == 0 and "6 calls" in capsys.readouterr().err and not house.times
        run = [sys.executable, "-m", "eval.benchmark", *ask, "--budget", "none"]
        process = subprocess.Popen(run, cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ)
        deadline = time.monotonic() + 120
        while len(house.delivered) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.5)
        kept = len(list((out / "answers").glob("??/*.json")))
        assert kept >= 1
        spent = sum(Decimal(json.loads(p.read_text())["cost"]) for p in (out / "answers").glob("??/*.json"))
        before = len(house.delivered)
        assert main([*ask, "--budget", str(spent)]) == 1  # all of it is spent: what came is measured, no more is asked
        assert "the budget is spent" in capsys.readouterr().err
        assert len(house.delivered) == before and len(read_benchmark_rows(out / "rows.jsonl")) == kept
        assert main([*ask, "--budget", "none"]) == 0
        rows = read_benchmark_rows(out / "rows.jsonl")
        assert len(rows) == 6 and len(house.delivered) == before + 6 - kept
        with RowsHeld(out), pytest.raises(ConfigError, match="another run is at work"):
            RowFile(out, {"suite": "suite", "measure": "iou"})
        assert main(["--suite", "synthetic", "--count", "1", "--model", "box", "--out", str(out)]) == 2


class RowsHeld:
    """Another run in a folder."""

    def __init__(self, out: Path) -> None:
        self.rows = RowFile(out, {"suite": "suite", "measure": "iou"})

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self.rows.close()


def test_conversations(tmp_path: Path) -> None:
    """Repair from the error, a look at one's own drawing, neighbours before, and the two turns of unseen-ops."""
    suite = write_suite(tmp_path / "suite", 1)
    good = f"```python\n{BOX.format(10, 20, 30)}```"
    round_ = good.replace("```python\n", "```python\n# rounded\n").replace(
        "\n```", "\nresult = result.edges().fillet(2)\n```"
    )
    asked: list[str] = []

    def write(question: str) -> str:
        asked.append(question)
        if "fillet" in question:
            return round_ if "result.edges" in question or "solid.edges" in question else good
        return FAILING if len(asked) == 1 else good

    with Rehearsal(write=write) as house:
        base = spec_text("server", house, "at_once=1")
        out = tmp_path / "out"
        models = [f"{base},prompt={p},label={p}" for p in ("self-repair", "look-again", "few-shot")]
        for model in models:
            assert main(["--suite", str(suite), "--model", model, "--out", str(out)]) == 0
        rows = {row["model"]: row for row in read_benchmark_rows(out / "rows.jsonl")}
        assert all(row["outcome"] == "ok" and row["metrics"]["iou_best"] > 0.99 for row in rows.values())
        assert rows["self-repair"]["trail"][0]["draft"] == "exception" and len(rows["self-repair"]["calls"]) == 2
        assert "nothing" in asked[1] and "Write the whole script again" in asked[1]  # the error was sent back
        # look-again begins as self-repair did, which was paid for; new is the look at picture and drawing.
        assert len(rows["look-again"]["calls"]) == 3 and str(house.bodies[2]).count("data:image/png") == 3
        assert str(house.bodies[3]).count("data:image/png") == 4  # three neighbours and the picture
        assert main(["--suite", "unseen-ops", "--data", str(suite), "--model", base, "--out", str(tmp_path / "u")]) == 0
    unseen = {row["group"]: row for row in read_benchmark_rows(tmp_path / "u" / "rows.jsonl")}
    assert unseen["plain"]["metrics"]["rounded"] == 0 and unseen["reminder"]["metrics"]["rounded"] == 1
    assert unseen["plain"]["calls"][0] == unseen["reminder"]["calls"][0]  # the first turn is paid for once
    assert "| rounded |" in (tmp_path / "u" / "report.md").read_text()


def test_shapes_are_measured() -> None:
    box = build(parse(BOX.format(1, 2, 3)))
    assert count_faces(box.vertices, box.faces) == 6 and sharp_length(box.vertices, box.faces) == pytest.approx(24)
    tube = build(parse('import cadquery as cq\nresult = cq.Workplane("XY").circle(2).circle(1).extrude(5)\n'))
    assert count_faces(tube.vertices, tube.faces) == 4


def test_suites_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    assert {"gencad100", "unseen-ops", "real-photos", "synthetic", "cadbench"} <= set(names())
    folder = write_suite(tmp_path / "suite", 2)
    for name in ("gencad100", "real-photos", "unseen-ops", "cadbench"):
        with pytest.raises(ConfigError, match="needs --data"):
            read_suite(name)
    with pytest.raises(InputError, match="holds 2 parts, and the suite gencad100 has 100"):
        read_suite("gencad100", folder)
    assert [item.name for item in read_suite("unseen-ops", folder).items][:2] == ["part0/plain", "part0/reminder"]
    (folder / "lost.png").write_bytes((folder / "part0_0.png").read_bytes())
    with pytest.raises(InputError, match=r"1 of 3 pictures .* lost.png"):
        read_suite(str(folder))
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: cave\nmeasure: 3\nsize: big\n")
    with pytest.raises(ConfigError, match="size is no key .* measure must be str; kind must be one of"):
        read_suite(str(bad))
    bench = tmp_path / "data"
    for place, file in (("mesh/bench0", "part0.py"), ("pics/bench0", "part0_0.png")):
        (bench / place).mkdir(parents=True)
        (bench / place / file).write_bytes((folder / file).read_bytes())
    with pytest.raises(InputError, match="BENCH/NAME.png"):
        read_suite("cadbench", bench)


def test_differences_are_paired() -> None:
    def row(model: str, part: int, iou: float | None) -> dict[str, object]:
        metrics = None if iou is None else {"iou_best": iou}
        outcome = "ok" if iou is not None else "exception"
        return {"model": model, "id": str(part), "metrics": metrics, "outcome": outcome}

    rows = [row("a", i, 0.5 + 0.01 * i) for i in range(20)] + [row("b", i, 0.4 + 0.01 * i) for i in range(20)]
    rows += [row("c", i, None if i == 0 else 0.5 + 0.01 * i) for i in range(20)]
    ab, ac, bc = pairs(rows, "iou_best")
    assert (ab["a"], ab["b"], ab["n"], ab["better"]) == ("a", "b", 20, 20)
    assert ab["difference"] == pytest.approx(0.1) and ab["low"] <= ab["difference"] <= ab["high"] and ab["p"] < 0.001
    assert ac["difference"] == pytest.approx(0.025) and ac["p"] > 0.9 and (ac["better"], ac["equal"]) == (1, 19)
    assert bc["p_holm"] >= bc["p"]
