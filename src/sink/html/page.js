// What a page can do more where scripts may run: filter the log, and link to a view of it (#conn=1&when=status+%3D%3D+NO).
// Without it the page is whole. It asks the network for nothing, and makes no markup of text.
document.addEventListener('DOMContentLoaded', () => {
  const form = document.getElementById('filter');
  const { conn, from, when, find, odd, fold, count } = Object.fromEntries([...form.elements].map((field) => [field.name, field]));
  const rows = [...document.querySelectorAll('.log > li')];
  const fields = [conn, from, when, find];
  const mistake = document.getElementById('mistake');
  let lines = null;
  form.hidden = false;

  // Whoever reads with a keyboard or an ear finds things in the order in which they are seen.
  const first = ['run', 'wrong'].map((id) => document.getElementById(id)).filter(Boolean);
  const accounts = document.querySelectorAll('.conn');
  document.getElementById('accounts').after(...accounts);
  document.getElementById('accounts').before(...first);

  for (const number of new Set(rows.map((row) => row.dataset.conn))) conn.add(new Option(`#${number}`, number));

  // Words that all must be there, in any case; what stands in quotes is one.
  const read = (text) => Array.from(text.toLowerCase().matchAll(/"([^"]*)"?|(\S+)/g), ([, quoted, word]) => quoted ?? word).filter(Boolean);

  const highlight = (words) => {
    if (!CSS.highlights) return;
    const ranges = [];
    for (const row of words.length ? rows : []) {
      if (row.hidden) continue;
      const walker = document.createTreeWalker(row.querySelector('div'), NodeFilter.SHOW_TEXT);
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

  // What is wrong with a condition, with its place and what would be right.
  const complain = (fault) => {
    mistake.hidden = !fault;
    when.setAttribute('aria-invalid', Boolean(fault));
    const said = fault ? [`Not a condition, from letter ${fault.place} on: ${fault.what}. It filters nothing.`, fault.drawn, fault.help] : ['', '', ''];
    for (const [at, part] of [...mistake.children].entries()) part.textContent = said[at];
  };

  const show = () => {
    const wanted = read(find.value);
    // What a condition can ask is read when there is one.
    const { chosen, unjudged, fault } = when.value.trim() ? Condition.of(when.value, () => (lines ??= Condition.read(rows))) : {};
    complain(fault);
    let shown = 0;
    for (const [at, row] of rows.entries()) {
      const fits = (!conn.value || row.dataset.conn === conn.value)
        && (!from.value || row.classList[0] === from.value)
        && (!odd.checked || row.classList.contains('odd'))
        && (!chosen || chosen[at]);
      const text = fits && wanted.length ? row.textContent.toLowerCase() : '';
      row.hidden = !fits || !wanted.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    const left = unjudged ? `; ${unjudged} cannot be judged: what is asked is not in this page` : '';
    count.value = (shown === rows.length ? `${shown} lines` : `${shown} of ${rows.length} lines`) + left;
    highlight(wanted);
  };

  // A view is what stands behind #; anything else there is a place in the page.
  const open = () => {
    const hash = location.hash.slice(1);
    if (hash.includes('=')) {
      const view = new URLSearchParams(hash);
      // A connection that there is not has no lines.
      const number = view.get('conn');
      if (number && ![...conn.options].some((option) => option.value === number)) conn.add(new Option(`#${number}`, number));
      for (const field of fields) field.value = view.get(field.name) ?? '';
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
    for (const field of fields) if (field.value) view.set(field.name, field.value);
    if (odd.checked) view.set('odd', '1');
    history.replaceState(null, '', view.size ? `#${view}` : location.pathname + location.search);
  };
  form.addEventListener('input', ({ target }) => {
    clearTimeout(due);
    // Half a condition is a wrong one.
    due = setTimeout(change, target === when ? 500 : 120);
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
