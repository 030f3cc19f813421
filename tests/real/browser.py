"""Looks at a page with Chromium: `browser.py PAGE FOLDER whole|cut`. Fails with a sentence unless it loads without an error and without
asking the network for anything, filters as it should, and is whole without its script. Pictures of it go into FOLDER."""

import os
import sys

from chromium import Browser, quiet

page, folder, whole = sys.argv[1], sys.argv[2], sys.argv[3] == "whole"


# Every element that a page may have.
ELEMENTS = set(
    "html head meta title style script body a header p h1 nav strong span div form h2 label select option input button output ol li b em i u"
    " code pre del ins cite details summary small section dl dt dd br h3 ul table thead tbody tr th td figure figcaption svg line text"
    " circle footer template".split()
)


def fits_in_width(browser):
    wide = browser.ask("document.documentElement.scrollWidth - innerWidth")
    beyond = "[...document.querySelectorAll('body *')].filter((part) => !part.closest('.scroll, figure') && part.getBoundingClientRect().right > innerWidth)"
    assert wide <= 0, f"it is {wide} pixels too wide: {browser.ask(beyond + '.map((part) => part.outerHTML.slice(0, 200))')}"


SHOWN = "[...document.querySelectorAll('.log > li')].filter((row) => !row.hidden).map((row) => [row.dataset.conn, row.classList[0], row.textContent])"


def look(browser, name, **metrics):
    browser.look(os.path.join(folder, name + ".png"), **metrics)


def check(browser):
    browser.open()
    quiet(browser)
    every = browser.ask(SHOWN)
    assert len(every) > 10, f"{len(every)} lines"
    assert {side for _, side, _ in every} == {"client", "server", "imapscope"}
    order = "[...document.querySelectorAll('#wrong, .conn, #filter, .log')].map((part) => part.getBoundingClientRect().top)"
    tops = browser.ask(order)
    cut = browser.ask("getComputedStyle(document.querySelector('.unfinished')).display")
    assert (cut == "none") == whole, f"it tells that it was cut off: {cut}"
    assert whole == (len(tops) > 2), f"its parts: {tops}"
    assert tops == sorted(tops), f"read in the order in which it is seen: {tops}"
    fits_in_width(browser)

    names = set(browser.ask("[...document.querySelectorAll('*')].map((element) => element.localName)"))
    assert names <= ELEMENTS, f"elements that are not ours: {names - ELEMENTS}"
    counts = browser.ask("['script', 'style', 'title:not(svg title)'].map((name) => document.querySelectorAll(name).length)")
    assert counts == [1, 1, 1], f"scripts, styles, titles: {counts}"
    foreign = browser.ask("[...document.querySelectorAll('*')].flatMap((element) => element.getAttributeNames()).filter((name) => /^(on|src|style)/.test(name))")
    assert not foreign, f"attributes: {foreign}"

    for fragment, fits in [
        ("#from=client", lambda conn, side, text: side == "client"),
        ("#conn=1&from=server&find=FETCH", lambda conn, side, text: (conn, side) == ("1", "server") and "fetch" in text.lower()),
        ("#when=from+%3D%3D+server&find=ok", lambda conn, side, text: side == "server" and "ok" in text.lower()),
        ("#conn=99", lambda *_: False),
    ]:
        browser.open(fragment)
        quiet(browser)
        shown, wanted = browser.ask(SHOWN), [row for row in every if fits(*row)]
        # What is folded is searched too, so that more may be found.
        lost = [row for row in wanted if row not in shown]
        assert not lost, f"{fragment}: {lost}"
        strict = "find" not in fragment
        wrong = [row for row in shown if not (fits(*row) if strict else row[1] != "client")]
        assert not wrong and (shown or not wanted), f"{fragment}: {wrong}"
        assert len(shown) < len(every), f"{fragment} filters"

    # A link to a line takes the filter away; typing puts it into the address.
    browser.open("#conn=99")
    browser.ask("location.hash = 'e1'; new Promise((done) => setTimeout(done, 300))")
    assert browser.ask(SHOWN) == every
    browser.ask("const field = document.getElementsByName('find')[0]; field.value = 'login'; field.dispatchEvent(new Event('input', { bubbles: true })); new Promise((done) => setTimeout(done, 400))")
    assert "find=login" in browser.ask("location.hash"), browser.ask("location.hash")
    assert 0 < len(browser.ask(SHOWN)) < len(every)
    quiet(browser)


def pictures(browser):
    for scheme in ["light", "dark"]:
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open()
        ground = browser.ask("getComputedStyle(document.documentElement).backgroundColor")
        assert (int(ground[4:].split(",")[0]) > 128) == (scheme == "light"), f"{scheme}: {ground}"
        look(browser, scheme)
        browser.ask("document.getElementById('log').scrollIntoView()")
        look(browser, scheme + "-log")
        browser.open("#e9")
        look(browser, scheme + "-line")
        look(browser, scheme + "-narrow", width=390, height=844)
        fits_in_width(browser)
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.open()
    bar = browser.ask("getComputedStyle(document.getElementById('filter')).display")
    assert bar == "none", "there is nothing to filter on paper"
    look(browser, "print", height=2000)
    browser.call("Emulation.setEmulatedMedia", media="")


def without_script(browser):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open()
    quiet(browser)
    tops = {}
    for name in ["#wrong", ".conn", ".log"] if whole else []:
        root = browser.call("DOM.getDocument")["root"]["nodeId"]
        node = browser.call("DOM.querySelector", nodeId=root, selector=name)["nodeId"]
        tops[name] = browser.call("DOM.getBoxModel", nodeId=node)["model"]["content"][1]
    assert not whole or tops["#wrong"] < tops[".conn"] < tops[".log"], f"what is wrong stands above: {tops}"
    look(browser, "no-script")


browser = Browser(page)
try:
    check(browser)
    pictures(browser)
    without_script(browser)
finally:
    browser.end()
print("fine")
