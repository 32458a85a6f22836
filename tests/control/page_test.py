#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The report's page in a headless Chromium: page_test.py GLASSBOX PAGE_OF_JSON SOURCE_ROOT PICTURES

Opens the demo's report.html, one in which everything was measured, and a comparison, in light and dark, as wide as a desk's screen and as a telephone's, and on
paper. Nothing may stand on the console, nothing may be asked of a network, every chart has to be drawn,
the page must not scroll sideways, and its text has to stand out. Leaves pictures in PICTURES.
Skips (77) without a Chromium.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import browser
import complete_report

GLASSBOX, PAGE_OF_JSON, ROOT, PICTURES = "", "", pathlib.Path(), pathlib.Path()
VIEWS = {  # name: width, dark
    "light": (1280, False),
    "dark": (1280, True),
    "phone": (390, False),
    "phone-dark": (390, True),
}

# Of every drawn chart: its name and how many colours its canvas has.
COLOURS = """[...document.querySelectorAll('figure[data-chart]:not([hidden])')].map((figure) => {
  const canvas = figure.querySelector('.canvas canvas');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set(new Uint32Array(pixels.buffer));
  return [figure.dataset.chart, seen.size, canvas.getAttribute('aria-label')];
})"""

# Text whose contrast with what is behind it is under 4.5 (WCAG 2.1, 1.4.3), large text under 3.
FAINT = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) faint.add(`${ratio.toFixed(1)} ${element.tagName} ${element.className}`);
  }
  return [...faint];
})()"""

# Who cannot see the page has to be told: of controls and pictures, those without a name.
NAMELESS = """[...document.querySelectorAll('canvas[role], input, svg, img')].filter((each) =>
  !each.getAttribute('aria-label') && !each.labels?.length && !each.getAttribute('aria-hidden'))
  .map((each) => each.outerHTML.slice(0, 80))"""


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="glassbox-page-")
        place = pathlib.Path(cls.directory.name)
        for chain in ("demo", "wire"):
            subprocess.run(
                [GLASSBOX, "replay", ROOT / f"configs/{chain}.yaml", ROOT / "configs/demo.pcap",
                 "--quiet", "--report", place / chain], check=True, timeout=120,
            )
        subprocess.run([GLASSBOX, "compare", place / "wire", place / "demo", "--report", place],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        cls.page = place / "demo/report.html"
        cls.comparison = place / "compare.html"
        report = json.loads((place / "demo/report.json").read_text(encoding="utf-8"))
        made = subprocess.run([PAGE_OF_JSON], input=json.dumps(complete_report.complete(report)),
                              text=True, check=True, timeout=60, stdout=subprocess.PIPE)
        cls.complete = place / "complete.html"
        cls.complete.write_text(made.stdout, encoding="utf-8")
        cls.browser = browser.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.directory.cleanup()

    def open(self, width=1280, dark=False, script=True, page=None):
        self.browser.open(page or self.page, width=width, height=844, dark=dark, script=script)

    def test_every_chart_is_drawn_in_every_view(self):
        for name, (width, dark) in VIEWS.items():
            self.check_view(self.page, f"report-{name}", width, dark)

    def test_everything_that_can_be_measured_is_drawn(self):
        for name, (width, dark) in VIEWS.items():
            self.check_view(self.complete, f"complete-{name}", width, dark, least=6)
        self.open(page=self.complete)
        self.browser.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
        text = self.browser.evaluate("document.querySelector('main').innerText")
        for words in ("41 of 80 live connections would break", "97 (79.5 %) deliver the same bytes",
                      "52.0 %", "52 or 49", "1.003 s", "52 of 100 break; 109 open on a wire, 107 through the box",
                      "CONTRADICTED", "UNDECLARED STATE", "hurts 2 flows that used nothing of it",
                      "≈ changed", "✗ broken", "intended by policy"):
            self.assertIn(words, text)
        self.assertNotIn("Not measured", text)
        # What a capture or a rule file put into a name is text.
        self.assertIn(complete_report.EVIL, text)
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('img').length"), 0)

    def test_every_chart_of_a_comparison_is_drawn(self):
        for name in ("light", "phone-dark"):
            self.check_view(self.comparison, f"compare-{name}", *VIEWS[name])

    def check_view(self, page, name, width, dark, least=4):
        with self.subTest(view=name):
            self.open(width, dark, page=page)
            charts = self.browser.evaluate(COLOURS)
            self.assertGreaterEqual(len(charts), least)
            self.assertEqual(self.browser.evaluate("document.documentElement.dataset.charts"),
                             f"{len(charts)} of {len(charts)}")
            for chart, colours, label in charts:
                self.assertGreater(colours, 8, chart)
                self.assertTrue(label, chart)
            self.assertLessEqual(
                self.browser.evaluate("document.documentElement.scrollWidth"), width)
            self.assertEqual(self.browser.evaluate(FAINT), [])
            self.assertEqual(self.browser.evaluate(NAMELESS), [])
            self.assertEqual(self.browser.complaints(), [])
            self.browser.screenshot(PICTURES / f"{name}.png", 4 * width)

    def test_charts_follow_the_colour_scheme(self):
        self.open()
        picture = """new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
          done(document.querySelector('canvas').toDataURL()))))"""
        light = self.browser.evaluate(picture)
        self.browser.call("Emulation.setEmulatedMedia", media="screen",
                          features=[{"name": "prefers-color-scheme", "value": "dark"}])
        self.assertTrue(self.browser.evaluate(picture) != light, "the chart kept its colours")

    def test_keys_walk_along_a_chart_and_it_is_read_out(self):
        self.open()
        self.browser.evaluate("document.querySelector('[data-chart=state] canvas').focus()")
        for _ in range(3):
            for kind in ("keyDown", "keyUp"):
                self.browser.call("Input.dispatchKeyEvent", type=kind, key="ArrowRight",
                                  code="ArrowRight")
        said = self.browser.evaluate("document.querySelector('[data-chart=state] output').textContent")
        self.assertRegex(said, r"^\d\d:\d\d:\d\d UTC, .*hard: \d.*together: ")

    def test_state_can_be_seen_by_kind_and_in_entries(self):
        self.open()
        legend = "document.querySelector('[data-chart=state] .legend').textContent"
        self.assertNotIn("nat44.mapping", self.browser.evaluate(legend))
        self.browser.evaluate("""for (const label of document.querySelectorAll('.choices label'))
          if (['by kind', 'entries'].includes(label.textContent)) label.click()""")
        self.assertIn("nat44.mapping (hard)", self.browser.evaluate(legend))
        self.assertEqual(self.browser.complaints(), [])

    def test_filter_leaves_the_rows_that_have_all_words(self):
        self.open()
        rows = "[...document.querySelectorAll('#falls-table tbody tr')]"
        self.browser.evaluate("""(() => {
          const input = document.querySelector('#falls-filter input');
          input.value = 'udp p1';
          input.dispatchEvent(new Event('input'));
        })()""")
        shown = self.browser.evaluate(rows + ".filter((row) => !row.hidden).map((row) => row.textContent)")
        every = self.browser.evaluate(rows + ".map((row) => row.textContent)")
        self.assertEqual(shown, [row for row in every if "udp" in row and "P1" in row])
        self.assertTrue(0 < len(shown) < len(every))

    def test_says_everything_without_a_script(self):
        self.open(script=False)
        self.assertEqual(self.browser.evaluate(
            "[...document.querySelectorAll('figure')].filter((each) => each.checkVisibility()).length"), 0)
        for section in ("time", "staircase", "effects", "drops"):
            self.assertGreater(self.browser.evaluate(
                f"document.querySelectorAll('#{section} table tr').length"), 2, section)
        self.assertEqual(self.browser.complaints(), [])

    def test_can_be_printed(self):
        # A4 less its margins, at 96 pixels an inch; by a reader whose screen is dark.
        self.open(width=718, dark=True, page=self.complete)
        self.browser.call("Emulation.setEmulatedMedia", media="print")
        self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), 718)
        paper = PICTURES / "report.pdf"
        self.browser.pdf(paper)
        self.assertGreater(paper.stat().st_size, 50_000)
        self.assertEqual(self.browser.complaints(), [])

    def test_is_one_file_of_moderate_size(self):
        self.assertLess(self.page.stat().st_size, 1_500_000)


if __name__ == "__main__":
    GLASSBOX, PAGE_OF_JSON, ROOT, PICTURES = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(4))
    if browser.find() is None:
        print("SKIP: no chromium here (scripts/install test)")
        sys.exit(77)
    PICTURES.mkdir(parents=True, exist_ok=True)
    unittest.main()
