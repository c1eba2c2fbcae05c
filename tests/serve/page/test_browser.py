"""The page in a real browser: clicks, the keyboard alone, a phone's width, no script, no word to anybody."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from matinee.testing.one_server import one_server, write_small_bundle

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")

ROW = ".cards [data-item]"
SCREENS = ["/", "/?user=v001", "/?user=v001&q=the", "/?user=v001&whatif=i010", "/title?item=i001&user=v001",
           "/title?item=long", "/title?item=quotes", "/scoreboard", "/health", "/study", "/challenge",
           "/newcomer", "/nowhere", "/v1/recommend"]  # fmt: skip

# Every text with its size, and its contrast with what lies behind it, as WCAG 2 reckons it; for a field it is
# its edge's contrast.
CONTRASTS = """
() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, under) => [0, 1, 2].map((n) => (top[n] * top[3] + under[n] * (255 - top[3])) / 255);
  const ground = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    return layers.reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const light = (colour) => {
    const linear = (n) => (n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    const part = colour.map((n) => linear(n / 255));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const ratio = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const style = getComputedStyle(one);
    if (one.closest("svg.poster, .unseen") || !one.getClientRects().length) continue;
    if (one.matches("input:not([type=hidden], [type=checkbox]), select")) {
      const edge = over(rgba(style.borderTopColor), ground(one.parentElement));
      found.push([one.name, ratio(edge, ground(one.parentElement)), true]);
    }
    const words = [...one.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim());
    if (!words.length) continue;
    const size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
    const ink = one.closest("svg") ? style.fill : style.color, behind = ground(one.closest("svg") || one);
    const large = size >= 24 || (bold && size >= 18.66);
    found.push([words[0].textContent.trim().slice(0, 40), ratio(over(rgba(ink), behind), behind), large]);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium, site):
    """A tab that writes down where it asks, what it complains of, and whether anything hostile ran."""
    with_context = []

    def opened(**options):
        context = chromium.new_context(base_url=site.server.url, reduced_motion="reduce", **options)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda said: page.complaints.append(said.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
        with_context.append((context, page))
        return page

    yield opened
    for context, page in with_context:
        hosts = {urlsplit(one).netloc for one in page.asked if not one.startswith("data:")}
        context.close()
        assert hosts <= {urlsplit(site.server.url).netloc}
        assert not [one for one in page.complaints if "404" not in one and "405" not in one]


def weak(found):
    """Of contrasts those that WCAG's level AA does not allow."""
    return [one for one in found if one[1] < (3 if one[2] else 4.5)]


def items(page):
    return page.eval_on_selector_all(ROW, "all => all.map(one => one.dataset.item)")


def wide(page):
    return page.evaluate("document.documentElement.scrollWidth")


def test_a_click_on_watched_changes_the_rows_in_place(tab, site):
    page = tab()
    page.goto("/?user=v020")
    before, kept = items(page), len(site.events_of("v020"))
    page.evaluate("window.stayed = true")
    page.locator(ROW).nth(2).get_by_role("button", name="I watched this").click()
    page.locator("#main").get_by_text("Kept: you watched").wait_for()
    assert page.evaluate("window.stayed") is True
    assert before[2] not in items(page)
    assert len(site.events_of("v020")) == kept + 1
    assert "watched=" in page.url
    assert "Kept: you watched" in page.locator("#said").inner_text()
    assert page.locator(".moved").count() > 0
    page.get_by_role("button", name="Take it back").click()
    page.locator("#main").get_by_text("Kept: you watched").wait_for(state="detached")
    assert items(page) == before
    assert len(site.events_of("v020")) == kept


def test_what_if_stores_nothing_and_back_is_back(tab, site):
    page = tab()
    page.goto("/?user=v021")
    before, kept = items(page), site.events_of("v021")
    page.locator(ROW).nth(0).get_by_role("link", name="What if").click()
    page.locator("#main").get_by_text("What if you had watched").wait_for()
    now = items(page)
    assert before[0] not in now
    page.locator(ROW).nth(1).get_by_role("link", name="What if").click()
    sync_api.expect(page.locator(".tag")).to_have_count(2)
    page.go_back()
    sync_api.expect(page.locator(".tag")).to_have_count(1)
    assert items(page) == now
    page.get_by_role("link", name="Back to what is").click()
    page.locator("#main").get_by_text("What if you had watched").wait_for(state="detached")
    assert items(page) == before
    assert site.events_of("v021") == kept


def test_everything_can_be_done_without_a_script(tab, site):
    page = tab(java_script_enabled=False)
    page.goto("/?user=v022")
    kept = len(site.events_of("v022"))
    page.locator(ROW).nth(1).get_by_role("button", name="I watched this").click()
    page.locator("#main").get_by_text("Kept: you watched").wait_for()
    assert len(site.events_of("v022")) == kept + 1
    page.reload()
    assert len(site.events_of("v022")) == kept + 1
    page.locator(ROW).nth(1).get_by_role("link", name="What if").click()
    page.locator("#main").get_by_text("What if you had watched").wait_for()
    page.get_by_label("Find a title").fill("the")
    page.get_by_role("button", name="Find").click()
    page.locator("#main").get_by_text("Titles with").wait_for()
    page.goto("/")
    page.get_by_role("link", name="Be a newcomer").click()
    page.locator("#main").get_by_text("nothing is known yet").wait_for()


def test_the_keyboard_is_enough(tab, site):
    page = tab()
    page.goto("/?user=v023")
    kept = len(site.events_of("v023"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("a/b")
    assert page.locator("#search").input_value() == "a/b"
    stops = []
    for _ in range(80):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.textContent.trim().split(':')[0]"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", stops[-1]
        if stops[-1] == "I watched this":
            break
    assert stops[-1] == "I watched this"
    page.keyboard.press("Enter")
    page.locator("#main").get_by_text("Kept: you watched").wait_for()
    assert len(site.events_of("v023")) == kept + 1


@pytest.mark.parametrize("width", [360, 1280])
def test_no_screen_is_wider_than_its_window(tab, width):
    page = tab(viewport={"width": width, "height": 800})
    for path in SCREENS:
        page.goto(path)
        assert wide(page) <= width, path
        sizes = page.eval_on_selector_all(
            "p, a, button, h1, h2, li, td, dd",
            "all => all.map(one => parseFloat(getComputedStyle(one).fontSize))",
        )
        assert min(sizes) >= 12, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_and_field_can_be_told_from_its_ground(tab, scheme):
    page = tab(color_scheme=scheme)
    for path in SCREENS:
        page.goto(path)
        found = page.evaluate(CONTRASTS)
        assert len(found) > 8, path
        assert not weak(found), path


def test_nothing_shifts_while_a_screen_is_built(tab):
    page = tab(viewport={"width": 360, "height": 740})
    page.add_init_script(
        "window.shifts = 0; new PerformanceObserver((list) => { for (const one of list.getEntries())"
        " window.shifts += one.value; }).observe({ type: 'layout-shift', buffered: true });"
    )
    for path in SCREENS:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.shifts") < 0.01, path


def test_an_experiment_begins_and_ends_without_a_script(chromium, tmp_path):
    folders = [write_small_bundle(tmp_path / name) for name in ("monday", "tuesday")]
    with one_server(folders, tmp_path / "store.db") as server:
        context = chromium.new_context(base_url=server.url, java_script_enabled=False)
        page = context.new_page()
        page.goto("/scoreboard")
        page.get_by_text("Split the viewers").click()
        fields = page.evaluate(CONTRASTS)
        assert {"name", "first", "second", "share", "alias"} <= {one[0] for one in fields}
        assert not weak(fields)
        page.locator("#split-name").fill("home <row>")
        page.locator("#split-share").fill("20")
        page.get_by_role("button", name="Begin the split").click()
        panel = page.locator("article", has_text="home <row>")
        panel.get_by_text("running", exact=True).wait_for()
        assert "20.0 %" in panel.inner_text()
        panel.get_by_text("End it").click()
        panel.get_by_role("button", name="End").click()
        page.locator("article", has_text="home <row>").get_by_text("over", exact=True).wait_for()
        context.close()


def test_hostile_titles_do_nothing(tab):
    page = tab()
    for item in (
        "script",
        "quotes",
        "turned",
        "long",
        "lines",
        "template",
        'id"><img src=x onerror=alert(1)>',
    ):
        page.goto(f"/title?item={item.replace('>', '%3E').replace('<', '%3C').replace(' ', '%20')}")
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.querySelectorAll('#main script, #main style').length") == 0
    page.goto("/title?item=script")
    assert page.locator("h1").inner_text() == '<script>alert("it ran")</script>'


def test_a_script_within_the_page_would_not_run(tab):
    page = tab()
    page.goto("/")
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); document.body.setAttribute('style', 'color: red'); }"
    )
    assert page.evaluate("window.ran") is None
    assert len(page.complaints) >= 1
    page.complaints.clear()


def test_a_round_is_played_by_two_on_one_keyboard(tab):
    page = tab()
    page.goto("/challenge")
    page.get_by_label("You are the viewer").fill("v024")
    page.get_by_role("button", name="Begin a round").click()
    page.get_by_role("link", name="They sit here").click()
    for n in range(10):
        page.get_by_role("button", name="Pick ").first.click()
        page.locator("#main").get_by_text(f"{n + 1} of 10 picked").wait_for()
    page.get_by_role("button", name="These are my ten").click()
    page.locator("#main").get_by_text("Your ten are in").wait_for()
    page.get_by_role("link", name="On to the marking").click()
    boxes = page.get_by_role("checkbox")
    assert 10 <= boxes.count() <= 20
    boxes.nth(0).focus()
    page.keyboard.press("Space")
    boxes.nth(3).check()
    page.get_by_role("button", name="That is what I would watch").click()
    page.locator("#main").get_by_text("This round").wait_for()
    assert page.locator("#main").get_by_text("you would watch it").count() >= 2
    page.get_by_role("link", name="The score over all rounds").click()
    page.locator("#main").get_by_text("After 1 round").wait_for()


def test_dark_is_dark_and_light_is_light(tab):
    grounds = []
    for scheme in ("light", "dark"):
        page = tab(color_scheme=scheme)
        page.goto("/?user=v001")
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    light, dark = (sum(map(int, one[4:-1].split(","))) for one in grounds)
    assert light > 600
    assert dark < 150
