"""Asks a page these conditions in Chromium: `conditions.py PAGE`, a list of them on standard input. Answers with a list, in JSON: for each which
lines are shown, what is counted, and what is said of a mistake. Fails if the page complains or asks the network for anything."""

import json
import sys

from chromium import Browser, quiet

# By its address a view is asked for at once.
ASK = """(async (number, condition) => {
  const shown = new Promise((done) => addEventListener('hashchange', done, { once: true }));
  location.hash = `#n=${number}&when=${encodeURIComponent(condition)}`;
  await shown;
  const mistake = document.getElementById('mistake');
  return {
    lines: [...document.querySelectorAll('.log > li')].filter((row) => !row.hidden).map((row) => Number(row.id.slice(1))),
    count: document.getElementsByName('count')[0].value,
    mistake: mistake.hidden ? null : [...mistake.children].map((part) => part.textContent),
  };
})"""

browser = Browser(sys.argv[1])
try:
    browser.open()
    answers = [browser.ask(f"{ASK}({number}, {json.dumps(condition)})") for number, condition in enumerate(json.load(sys.stdin))]
    quiet(browser)
finally:
    browser.end()
json.dump(answers, sys.stdout)
