"""Chromium without a window, and a page in it."""

import base64
import json
import os
import subprocess
import sys
import tempfile


class Browser:
    """Chromium, told what to do through a pair of pipes: messages in JSON, each ended by NUL."""

    def __init__(self, page):
        self.address = "file://" + os.path.abspath(page)
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
        for address in ["about:blank", self.address + fragment]:
            del self.events[:]
            self.call("Page.navigate", url=address)
            while not any(event["method"] == "Page.loadEventFired" for event in self.events):
                self.events.append(self.message())

    def ask(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            sys.exit(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def look(self, file, **metrics):
        """A picture of the page as it is."""
        size = {"width": 1300, "height": 1000, "deviceScaleFactor": 1, "mobile": False} | metrics
        self.call("Emulation.setDeviceMetricsOverride", **size)
        picture = self.call("Page.captureScreenshot", format="png")["data"]
        with open(file, "wb") as out:
            out.write(base64.b64decode(picture))

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
            assert address == browser.address, f"it asks for {address}"
        assert method not in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"), event
