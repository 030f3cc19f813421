// What a page can do more where scripts may run: filter the log, and link to a view of it (#conn=1&from=server&find=FETCH).
// Without it the page is whole. It asks the network for nothing, and makes no markup of text.
'use strict';
document.addEventListener('DOMContentLoaded', () => {
  const form = document.getElementById('filter');
  const { conn, from, find, odd, fold, count } = Object.fromEntries([...form.elements].map((field) => [field.name, field]));
  const rows = [...document.querySelectorAll('.log > li')];
  form.hidden = false;

  // Whoever reads with a keyboard or an ear finds things in the order in which they are seen.
  const wrong = document.getElementById('wrong');
  const accounts = document.querySelectorAll('.conn');
  document.getElementById('accounts').after(...accounts);
  if (wrong) document.getElementById('accounts').before(wrong);

  for (const number of new Set(rows.map((row) => row.dataset.conn))) conn.add(new Option(`#${number}`, number));

  // The condition of a view: words that all must be there, in any case; from: and conn: stand for the fields beside.
  const read = (text) => {
    const wanted = { conn: conn.value, from: from.value, words: [] };
    for (const [, quoted, word] of text.toLowerCase().matchAll(/"([^"]*)"?|(\S+)/g)) {
      const [, field, value] = /^(from|conn):#?(.*)$/.exec(word ?? '') ?? [];
      if (field) wanted[field] = value;
      else if (quoted || word) wanted.words.push(quoted ?? word);
    }
    return wanted;
  };

  const highlight = (words) => {
    if (!CSS.highlights) return;
    const ranges = [];
    for (const row of words.length ? rows : []) {
      if (row.hidden) continue;
      const walker = document.createTreeWalker(row.lastChild, NodeFilter.SHOW_TEXT);
      while (walker.nextNode() && ranges.length < 2000) {
        const node = walker.currentNode;
        const text = node.data.toLowerCase();
        for (const word of words) {
          for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
            if (at + word.length <= node.length) ranges.push(new StaticRange({ startContainer: node, startOffset: at, endContainer: node, endOffset: at + word.length }));
          }
        }
      }
    }
    CSS.highlights.set('find', new Highlight(...ranges));
  };

  const show = () => {
    const wanted = read(find.value);
    let shown = 0;
    for (const row of rows) {
      const fits = (!wanted.conn || row.dataset.conn === wanted.conn)
        && (!wanted.from || row.classList[0].startsWith(wanted.from))
        && (!odd.checked || row.classList.contains('odd'));
      const text = fits && wanted.words.length ? row.textContent.toLowerCase() : '';
      row.hidden = !fits || !wanted.words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.value = shown === rows.length ? `${shown} lines` : `${shown} of ${rows.length} lines`;
    highlight(wanted.words);
  };

  // A view is what stands behind #; anything else there is a place in the page.
  const open = () => {
    const hash = location.hash.slice(1);
    if (hash.includes('=')) {
      const view = new URLSearchParams(hash);
      for (const field of [conn, from, find]) field.value = view.get(field.name) ?? '';
      // A connection that there is not has no lines.
      if (conn.selectedIndex < 0) find.value += ` conn:${view.get('conn')}`;
      odd.checked = view.get('odd') === '1';
      show();
      return document.getElementById('log').scrollIntoView();
    }
    const place = hash && document.getElementById(hash);
    if (!place) return;
    place.querySelector('details')?.setAttribute('open', '');
    if (place.hidden) {
      form.reset();
      show();
    }
    place.scrollIntoView();
  };

  let due;
  const change = () => {
    show();
    const view = new URLSearchParams();
    for (const field of [conn, from, find]) if (field.value) view.set(field.name, field.value);
    if (odd.checked) view.set('odd', '1');
    history.replaceState(null, '', view.size ? `#${view}` : location.pathname + location.search);
  };
  form.addEventListener('input', () => {
    clearTimeout(due);
    due = setTimeout(change, 120);
  });
  form.addEventListener('submit', (event) => event.preventDefault());
  fold.addEventListener('click', () => {
    const unfold = fold.getAttribute('aria-pressed') === 'false';
    fold.setAttribute('aria-pressed', unfold);
    fold.textContent = unfold ? 'Fold all' : 'Unfold all';
    for (const part of document.querySelectorAll('.log details')) part.open = unfold;
  });
  addEventListener('hashchange', open);
  show();
  open();
});
