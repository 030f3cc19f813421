"""Looks at a page with Chromium: `browser.py PAGE FOLDER whole|cut`. Fails with a sentence unless it loads without an error and without
asking the network for anything, filters as it should, and is whole without its script. Pictures of it go into FOLDER."""

import base64
import json
import os
import subprocess
import sys
import tempfile

page, folder, whole = sys.argv[1], sys.argv[2], sys.argv[3] == "whole"
ADDRESS = "file://" + os.path.abspath(page)


# Every element that a page may have.
ELEMENTS = set(
    "html head meta title style script body a header p h1 nav strong span div form h2 label select option input button output ol li b em i u"
    " code pre del ins cite details summary small section dl dt dd br h3 ul table thead tbody tr th td figure figcaption svg line text"
    " circle footer template".split()
)


class Browser:
    """Chromium, told what to do through a pair of pipes: messages in JSON, each ended by NUL."""

    def __init__(self):
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        hear, told = os.pipe()
        said, say = os.pipe()
        flags = ["--headless", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={self.home.name}"]
        if os.getuid() == 0:
            flags.append("--no-sandbox")

        def pipes():
            os.dup2(said, 103)
            os.dup2(told, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        self.child = subprocess.Popen(["chromium", *flags, "about:blank"], preexec_fn=pipes, pass_fds=(3, 4), stderr=subprocess.DEVNULL)
        os.close(told)
        os.close(said)
        self.read, self.write = os.fdopen(hear, "rb"), os.fdopen(say, "wb")
        self.number, self.events, self.session = 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")

    def message(self):
        octets = bytearray()
        while (octet := self.read.read(1)) != b"\0":
            if not octet:
                sys.exit("Chromium has gone")
            octets += octet
        return json.loads(octets)

    def call(self, method, **params):
        self.number += 1
        asked = {"id": self.number, "method": method, "params": params}
        if self.session:
            asked["sessionId"] = self.session
        self.write.write(json.dumps(asked).encode() + b"\0")
        self.write.flush()
        while (answer := self.message()).get("id") != self.number:
            self.events.append(answer)
        if "error" in answer:
            sys.exit(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, fragment=""):
        """Opens the page anew, and waits until it has loaded."""
        # Another fragment alone would not load it.
        for address in ["about:blank", ADDRESS + fragment]:
            del self.events[:]
            self.call("Page.navigate", url=address)
            while not any(event["method"] == "Page.loadEventFired" for event in self.events):
                self.events.append(self.message())

    def ask(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            sys.exit(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def look(self, name, **metrics):
        """A picture of the page as it is."""
        size = {"width": 1300, "height": 1000, "deviceScaleFactor": 1, "mobile": False} | metrics
        self.call("Emulation.setDeviceMetricsOverride", **size)
        picture = self.call("Page.captureScreenshot", format="png")["data"]
        with open(os.path.join(folder, name + ".png"), "wb") as file:
            file.write(base64.b64decode(picture))

    def end(self):
        self.number += 1
        self.write.write(json.dumps({"id": self.number, "method": "Browser.close"}).encode() + b"\0")
        self.write.flush()
        self.child.wait(timeout=30)


def quiet(browser):
    """Nothing was asked of the network, and nothing complained."""
    for event in browser.events:
        method, params = event["method"], event.get("params", {})
        if method == "Network.requestWillBeSent":
            address = params["request"]["url"].split("#")[0]
            assert address == ADDRESS, f"it asks for {address}"
        assert method not in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"), event


def fits_in_width(browser):
    wide = browser.ask("document.documentElement.scrollWidth - innerWidth")
    beyond = "[...document.querySelectorAll('body *')].filter((part) => !part.closest('.scroll, figure') && part.getBoundingClientRect().right > innerWidth)"
    assert wide <= 0, f"it is {wide} pixels too wide: {browser.ask(beyond + '.map((part) => part.outerHTML.slice(0, 200))')}"


SHOWN = "[...document.querySelectorAll('.log > li')].filter((row) => !row.hidden).map((row) => [row.dataset.conn, row.classList[0], row.textContent])"


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
        ("#find=from:server+ok", lambda conn, side, text: side == "server" and "ok" in text.lower()),
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
    browser.ask("const field = document.getElementsByName('find')[0]; field.value = 'conn:1 login'; field.dispatchEvent(new Event('input', { bubbles: true })); new Promise((done) => setTimeout(done, 400))")
    assert "find=conn" in browser.ask("location.hash"), browser.ask("location.hash")
    assert 0 < len(browser.ask(SHOWN)) < len(every)
    quiet(browser)


def pictures(browser):
    for scheme in ["light", "dark"]:
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open()
        ground = browser.ask("getComputedStyle(document.documentElement).backgroundColor")
        assert (int(ground[4:].split(",")[0]) > 128) == (scheme == "light"), f"{scheme}: {ground}"
        browser.look(scheme)
        browser.ask("document.getElementById('log').scrollIntoView()")
        browser.look(scheme + "-log")
        browser.open("#e9")
        browser.look(scheme + "-line")
        browser.look(scheme + "-narrow", width=390, height=844)
        fits_in_width(browser)
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.open()
    bar = browser.ask("getComputedStyle(document.getElementById('filter')).display")
    assert bar == "none", "there is nothing to filter on paper"
    browser.look("print", height=2000)
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
    browser.look("no-script")


browser = Browser()
try:
    check(browser)
    pictures(browser)
    without_script(browser)
finally:
    browser.end()
print("fine")
