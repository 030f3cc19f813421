// The language of conditions, as `--filter` has it: the same fields, the same signs, the same mistakes in the same words. What a line says of
// itself stands in its template. Truth has three values: what is not known may be so.
const Condition = (() => {
  const [NO, MAYBE, YES] = [0, 1, 2];
  const UNKNOWN = Symbol('unknown');
  const MOST_NESTED = 64;
  const AROUND = 60;
  // So many steps all regexes together may take for one view: a second or so.
  const EFFORT = 1e7;
  const HIDDEN = '*'.repeat(8);

  const PEERS = 'client server'.split(' ');
  const STATES = ('greeting not-authenticated authenticated selected connected ready mail rcpt authorization transaction update open logout '
    + 'opaque').split(' ');
  // As the log spells some of them.
  const SPELLED = { 'not-auth': 'not-authenticated', auth: 'authenticated', connect: 'connected', author: 'authorization',
    transact: 'transaction' };
  const CHECKS = ('any client server both path none bare-cr bare-lf before-greeting capability-bogus capability-hidden capability-not-offered '
    + 'certificate-not-verified channel-binding closed-without-answer compress-not-deflate compress-plain-text continuation-unasked '
    + 'cut-off data-without-354 done-without-idle dot-false-end enable-missing idle-command literal-as-commands literal-malformed '
    + 'literal-minus-too-large literal-plus-from-server login-disabled not-understood nul-byte old-tls quoted-string-open '
    + 'reply-code-changes reply-inside-message reply-malformed reply-unasked sasl-early-success second-login sent-too-early '
    + 'smtp-smuggling starttls-injection starttls-plain-text tag-in-use tag-unknown tls-missing wrong-protocol wrong-state').split(' ');
  const FIELDS = Object.entries({
    from: PEERS, conn: 'number', protocol: 'word', state: STATES, command: 'word', tag: 'word', status: 'OK NO BAD BYE PREAUTH'.split(' '),
    code: 'word', text: 'word', latency: 'time', size: 'number', capability: 'word', tls: 'none client server both'.split(' '), rule: 'word',
    check: CHECKS, severity: 'must should quirk'.split(' '), user: 'word', client: 'word', route: 'word',
  }).map(([name, scale]) => ({ name, scale }));
  // Of a line that goes on with another, what these are is certain.
  const COMMON = 'from conn protocol route client user state tls command'.split(' ');
  const LASTING = 'protocol client route tls user state command'.split(' ');

  const SHORT = [
    ['command', (whole) => whole.replace(/^UID /i, '')],
    ['code', (whole) => whole.split(' ')[0]],
    ['status', (whole) => whole],
  ];

  // A text as octets, each a letter.
  const octets = (text) => {
    if (!/[^\0-\x7f]/.test(text)) return text;
    return Array.from(new TextEncoder().encode(text), (octet) => String.fromCharCode(octet)).join('');
  };
  const lower = (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  const isMark = (text) => /^[+-]/.test(text) || /^[0-9]{3}$/.test(text);

  class Fault {
    constructor(at, length, what, help) { Object.assign(this, { at, length, what, help }); }
  }

  const MOST_QUOTED = 40;
  const quote = (word) => {
    const letters = [...word];
    const named = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '\0': '\\0' };
    const shown = letters.slice(0, MOST_QUOTED).map((letter) => {
      if (named[letter]) return named[letter];
      if (/^["'\\]$/.test(letter)) return `\\${letter}`;
      const odd = letter !== ' ' && /^[\p{C}\p{Z}\p{Grapheme_Extend}]$/u.test(letter);
      return odd ? `\\u{${letter.codePointAt(0).toString(16)}}` : letter;
    });
    return `\`${shown.join('')}${letters.length > MOST_QUOTED ? '…' : ''}\``;
  };

  // How many letters to insert, delete, replace or swap with the next one to make one word into the other.
  const distance = (one, other) => {
    let [before, above] = [[], Array.from({ length: other.length + 1 }, (_, at) => at)];
    for (let i = 0; i < one.length; i += 1) {
      const row = [i + 1];
      for (let j = 0; j < other.length; j += 1) {
        let least = Math.min(above[j] + (one[i] !== other[j]), above[j + 1] + 1, row[j] + 1);
        if (i > 0 && j > 0 && one[i - 1] === other[j] && other[j - 1] === one[i]) least = Math.min(least, before[j - 1] + 1);
        row.push(least);
      }
      [before, above] = [above, row];
    }
    return above[other.length];
  };
  const suggest = (word, known, all) => {
    const given = [...word].flatMap((letter) => [...letter.toUpperCase()]);
    let best = null;
    for (const candidate of given.length && given.length <= 64 ? known : []) {
      const name = [...candidate.toUpperCase()];
      const limit = Math.min(Math.max(Math.floor(Math.max(given.length, name.length) / 3), 1), given.length - 1, 4);
      if (Math.abs(given.length - name.length) > limit || name.length < 2) continue;
      const far = distance(given, name);
      if (far <= limit && (!best || far < best.far)) best = { far, candidate };
    }
    return best ? `did you mean \`${best.candidate}\`? ${all}` : all;
  };

  const TIME = 'a whole number with us, ms, s or m behind it, such as 200ms';
  const UNITS = { us: 1000n, 'µs': 1000n, ms: 1000000n, s: 1000000000n, m: 60000000000n };
  const MOST = (1n << 64n) - 1n;
  const oneOf = ({ name, scale }) => `\`${name}\` is one of ${scale.join(' ')}`;
  const words = (field) => oneOf(field) + (field.name === 'status' ? ', or what the reply begins with: three digits, +OK, -ERR or +' : '');

  // Reads a condition; what is wrong is thrown.
  const parse = (written) => {
    const letters = [...written];
    let at = 0;
    const rest = () => letters.slice(at).join('');
    const starts = (text) => rest().startsWith(text);
    const take = (text) => letters.slice(at, at + text.length).join('') === text && ((at += text.length), true);
    const blanks = () => { while (letters[at] === ' ' || letters[at] === '\t') at += 1; };
    const wrong = (length, what, help = '', place = at) => { throw new Fault(place, length, what, help); };
    const word = () => {
      let end = at;
      while (end < letters.length && !' \t,'.includes(letters[end])) end += 1;
      return letters.slice(at, Math.max(end, at + 1)).join('');
    };
    const long = (text) => [...text].length;

    const joined = (sign, part, kind) => {
      const parts = [part()];
      for (;;) {
        blanks();
        if (!take(sign)) return parts.length > 1 ? { kind, parts } : parts[0];
        parts.push(part());
      }
    };
    const any = (depth) => joined('||', () => joined('&&', () => not(depth), 'all'), 'any');
    const not = (depth) => {
      blanks();
      if (depth > MOST_NESTED) wrong(1, `this is nested more than ${MOST_NESTED} deep`);
      if (take('!')) return { kind: 'not', part: not(depth + 1) };
      if (!take('(')) return test();
      const inner = any(depth + 1);
      blanks();
      if (take(')')) return inner;
      if (at >= letters.length) wrong(0, 'here a ) is missing', 'each ( needs its )');
      return wrong(long(word()), `${quote(word())} cannot stand here`, 'here && or || or ) is possible');
    };

    const test = () => {
      const start = at;
      while (at < letters.length && /^[\p{Alphabetic}\p{N}_-]$/u.test(letters[at])) at += 1;
      if (at === start) wrong(long(word()), 'here a comparison is missing', 'for example: from == server');
      const name = letters.slice(start, at).join('');
      const field = FIELDS.find((known) => known.name === lower(name));
      if (!field) {
        const known = FIELDS.map((one) => one.name);
        wrong(at - start, `${quote(name)} is no field`, suggest(name, known, `the fields are ${known.join(' ')}`), start);
      }
      blanks();
      return { kind: 'test', field, ...relation(field) };
    };

    const relation = (field) => {
      const { name, scale } = field;
      if (scale === 'time' && letters[at] !== '<' && letters[at] !== '>') {
        const help = `times are compared with < and >, such as ${name} > 200ms`;
        wrong(long(word()), `\`${name}\` is a time, which is never met exactly`, help);
      }
      if (/^in[ \t{]/i.test(rest())) {
        at += 2;
        return { sign: '==', values: list(field) };
      }
      for (const sign of ['==', '!=']) if (take(sign)) return { sign, values: [value(field)] };
      if (starts('~')) {
        if (scale === 'number') wrong(1, `\`${name}\` is a number`, 'numbers are compared with == != < > and in');
        at += 1;
        return { sign: '~', machine: regex(field) };
      }
      const sign = letters[at];
      if (sign === '<' || sign === '>') {
        if (scale !== 'number' && scale !== 'time') {
          wrong(1, `\`${name}\` is not a number`, '< and > compare numbers: conn and size; words are compared with == != ~ and in');
        }
        if (letters[at + 1] === '=') {
          const help = scale === 'time' ? 'write latency > 200ms' : 'to include the number itself, take the next one: size < 101';
          wrong(2, `there is no ${sign}=`, help);
        }
        at += 1;
        return { sign, values: [value(field)] };
      }
      const [length, help] = sign === '=' ? [1, 'to compare, write =='] : [long(word()), 'comparisons are == != < > ~ (regex) and in {A, B}'];
      return wrong(length, `here a comparison with \`${name}\` is missing`, help);
    };

    const list = (field) => {
      blanks();
      const example = 'for example: in {client, server}';
      if (!take('{')) wrong(Math.min(1, letters.length - at), 'here a list is missing', example);
      const values = [];
      for (;;) {
        values.push(value(field));
        blanks();
        if (take('}')) return values;
        if (at >= letters.length) wrong(0, 'here a } is missing', 'each { needs its }');
        if (!take(',')) wrong(1, 'here , or } is missing', example);
      }
    };

    const value = (field) => {
      blanks();
      const start = at;
      const said = raw(field).replace(/\\(["\\])/g, '$1');
      const text = (field.name === 'state' && SPELLED[lower(said)]) || said;
      const odd = (what, help) => wrong(at - start, `${quote(text)} ${what}`, help, start);
      if (field.scale === 'number') {
        const number = /^\+?[0-9]+$/.test(text) ? BigInt(text.replace('+', '')) : MOST + 1n;
        return number <= MOST ? number : odd('is no number', `\`${field.name}\` is a number`);
      }
      if (field.scale === 'time') {
        const [, digits, unit] = /^([0-9]+)(us|µs|ms|s|m)$/.exec(text) ?? [];
        const time = digits ? BigInt(digits) * UNITS[unit] : MOST + 1n;
        return time <= MOST ? time : odd('is no time', TIME);
      }
      const mark = field.name === 'status' && isMark(text);
      if (Array.isArray(field.scale) && !mark && !field.scale.some((known) => lower(known) === lower(text))) {
        odd(`is no value of \`${field.name}\``, suggest(text, field.scale, words(field)));
      }
      return lower(octets(text));
    };

    // A string without its quotes, its escapes as they are; or a bare word.
    const raw = (field) => {
      if (letters[at] === '"') return delimited('"');
      const start = at;
      while (at < letters.length && !' \t(){},"\'&|!<>'.includes(letters[at])) at += 1;
      if (at > start) return letters.slice(start, at).join('');
      let help = 'a word, or a string in "double quotes"';
      if (letters[at] === "'") help = 'strings stand in "double quotes"';
      else if (Array.isArray(field.scale)) help = words(field);
      else if (field.scale === 'number') help = `\`${field.name}\` is a number`;
      else if (field.scale === 'time') help = TIME;
      return wrong(at < letters.length ? 1 : 0, 'here a value is missing', help);
    };

    const delimited = (close) => {
      const start = at;
      for (let end = at + 1; end < letters.length; end += 1) {
        if (letters[end] === '\\') end += 1;
        else if (letters[end] === close) {
          at = end + 1;
          return letters.slice(start + 1, end).join('');
        }
      }
      return wrong(letters.length - start, 'this has no end', `close it with ${close}`);
    };

    // Names have no case, so only `text` is matched with case.
    const regex = (field) => {
      blanks();
      const start = at;
      let blind = field.name !== 'text';
      const pattern = letters[at] === '/' ? delimited('/') : raw(field);
      if (letters[start] === '/' && take('i')) blind = true;
      try {
        return new Regex.Machine(pattern, blind);
      } catch (fault) {
        if (!(fault instanceof Regex.Unusable)) throw fault;
        const help = 'groups are ( ), alternatives |, and what should stand for itself has a backslash before it';
        return wrong(at - start, `this regex cannot be used: ${fault.message}`, help, start);
      }
    };

    const whole = any(0);
    blanks();
    if (at < letters.length) {
      const help = word().startsWith(')') ? 'there is no ( for this )' : 'conditions are joined with && and ||';
      wrong(long(word()), `${quote(word())} does not belong here`, help);
    }
    return whole;
  };

  // A mistake in words: what is wrong, the condition with the place under it, and what would be right.
  const draw = (written, { at, length, what, help }) => {
    const letters = [...written].map((letter) => (letter === '\t' ? ' ' : letter.replace(/\p{Cc}/u, '\ufffd')));
    const from = Math.max(0, at - AROUND);
    const marked = Math.min(Math.max(Math.min(length, letters.length - at), 1), AROUND);
    const to = at + marked + AROUND;
    const shown = (from > 0 ? '…' : '') + letters.slice(from, to).join('') + (to < letters.length ? '…' : '');
    return { place: at + 1, what, help, drawn: `${shown}\n${' '.repeat(at - from + (from > 0))}${'^'.repeat(marked)}` };
  };

  // The octets that an element shows: escapes are what they stand for, secrets have one length.
  const shown = (element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    let text = '';
    while (walker.nextNode()) {
      const { data, parentNode } = walker.currentNode;
      if (parentNode.matches('b.h')) text += HIDDEN;
      else if (parentNode.localName !== 'i') text += octets(data).replaceAll('\n', '\r\n');
      else {
        text += data.replace(/\\(?:u\{([0-9a-f]+)\}|x(..)|([nrt]))/g, (_, code, octet, letter) => {
          if (code) return octets(String.fromCodePoint(parseInt(code, 16)));
          return octet ? String.fromCharCode(parseInt(octet, 16)) : { n: '\n', r: '\r', t: '\t' }[letter];
        });
      }
    }
    return text;
  };

  // What the lines of the log say of themselves.
  const read = (rows) => {
    const lasting = new Map();
    return rows.map((element) => {
      const { conn } = element.dataset;
      const lines = element.lastElementChild.content?.textContent.split('\n');
      // A line without facts tells no more than whose it is.
      if (!lines) return { conn, part: 'around', facts: Object.fromEntries(FIELDS.map(({ name }) => [name, name === 'conn' ? [conn] : UNKNOWN])) };
      const own = new Map([['conn', [conn]]]);
      const line = { conn, element, begins: '', ends: '\r\n' };
      [line.part, line.frame] = lines[0].split(' ');
      if (line.part !== 'around') own.set('from', [element.classList[0]]);
      for (const said of lines.slice(1)) {
        const [, name, word] = /^([^ ]*)(?: (.*))?$/.exec(said);
        if (name === 'new') line.fresh = true;
        else if (name === 'led') line.begins = '\r\n';
        else if (name === 'ends') line.ends = word === 'lf' ? '\n' : '';
        else if (name === '?') for (const unknown of word.trim().split(' ')) own.set(unknown, UNKNOWN);
        else if (name.startsWith('-')) own.set(name.slice(1), undefined);
        else {
          if (!own.has(name)) own.set(name, []);
          if (word !== undefined) own.get(name).push(word.replace(/\\x(..)/g, (_, octet) => String.fromCharCode(parseInt(octet, 16))));
        }
      }
      // Words that are a part of others are not written.
      for (const [name, short] of SHORT) if (Array.isArray(own.get(name)) && own.get(name).length === 1) own.get(name).push(short(own.get(name)[0]));
      const before = line.fresh ? {} : lasting.get(conn) ?? {};
      lasting.set(conn, Object.fromEntries(LASTING.map((name) => [name, own.has(name) ? own.get(name) : before[name]])));
      line.facts = { ...lasting.get(conn), ...Object.fromEntries(own) };
      return line;
    });
  };

  const textOf = (line) => {
    // Walked through by hand: selectors that begin at a line take the longer the more lines there are.
    let text = '';
    for (const part of line.element.querySelector('div').children) {
      if (part.matches('details.data')) return shown(part.querySelector('pre'));
      if (part.localName === 'code') text += shown(part);
      if (part.matches('details.long')) for (const code of part.querySelectorAll('code')) text += shown(code);
    }
    return line.begins + text + line.ends;
  };

  const body = (text) => text.replace(/\n$/, '').replace(/\r$/, '');
  const linesOf = (text) => (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).map(body);

  const compare = ({ field: { name, scale }, sign, values, machine }, fact, effort) => {
    if (fact === undefined) return false;
    const same = (word) => values.includes(lower(word));
    const matches = (word) => machine.matches(word, effort);
    if (scale === 'number' || scale === 'time') {
      const number = BigInt(fact[0]);
      if (sign === '<') return number < values[0];
      if (sign === '>') return number > values[0];
      return values.includes(number) === (sign === '==');
    }
    if (name === 'status') {
      const [status, mark] = fact;
      const found = (wanted) => (isMark(wanted) ? mark : status);
      if (sign === '==') return values.some((wanted) => wanted === lower(found(wanted)));
      if (sign === '!=') return values.every((wanted) => found(wanted) && wanted !== lower(found(wanted)));
      // A lone `+` is no status that a regex should find.
      return (status.length > 0 && matches(status)) || (mark.length > 1 && matches(mark));
    }
    if (name === 'text') {
      const lines = linesOf(fact[0]);
      if (sign === '~') return lines.some(matches);
      return [body(fact[0]), ...lines].some(same) === (sign === '==');
    }
    if (sign === '~') return name === 'capability' || name === 'rule' || name === 'check' || name === 'severity' ? fact.some(matches) : matches(fact[0]);
    let found = fact.some(same);
    if (name === 'rule' || name === 'check') found ||= values.includes('any');
    // The number of a route may be written as numbers may be.
    if (name === 'route') found ||= values.some((value) => /^\+?[0-9]+$/.test(value) && BigInt(value.replace('+', '')) === BigInt(fact[1]));
    return found === (sign === '==');
  };

  const factOf = (line, name) => {
    if (name === 'text' && !('text' in line.facts)) line.facts.text = [textOf(line)];
    return line.facts[name];
  };

  const evaluate = (condition, line, seen) => {
    switch (condition.kind) {
      case 'all': {
        let all = YES;
        for (const part of condition.parts) if ((all = Math.min(all, evaluate(part, line, seen))) === NO) break;
        return all;
      }
      case 'any': {
        let any = NO;
        for (const part of condition.parts) if ((any = Math.max(any, evaluate(part, line, seen))) === YES) break;
        return any;
      }
      case 'not': return YES - evaluate(condition.part, line, seen);
      default: {
        const { name } = condition.field;
        const fact = factOf(line, name);
        if (fact === UNKNOWN) {
          seen.unknown = true;
          return MAYBE;
        }
        if (compare(condition, fact, seen)) return YES;
        const partial = line.part === 'later' ? !COMMON.includes(name) : line.part === 'around' && (name === 'check' || name === 'rule' || name === 'severity');
        return partial ? MAYBE : NO;
      }
    }
  };

  // Which lines are to be shown: an array of them, and how many hold something that they would have to be asked for and that is not here.
  const choose = (condition, lines) => {
    const frames = new Map();
    const seen = { left: EFFORT, unknown: false };
    let unjudged = 0;
    const chosen = lines.map((line) => {
      seen.unknown = false;
      const truth = evaluate(condition, line, seen);
      if (line.fresh) for (const peer of PEERS) frames.delete(`${line.conn} ${peer}`);
      if (line.part === 'around') return truth !== NO;
      const lane = `${line.conn} ${line.facts.from[0]}`;
      const before = frames.get(lane);
      const follows = line.part === 'later' && before?.frame === line.frame && before.shown;
      const fits = truth === YES || follows;
      if (!fits && truth === MAYBE && seen.unknown) unjudged += 1;
      frames.set(lane, { frame: line.frame, shown: fits });
      return fits;
    });
    return { chosen, unjudged };
  };

  // A condition at work: which lines it chooses; or what is wrong with it.
  const of = (written, lines) => {
    try {
      const condition = parse(written);
      return choose(condition, lines());
    } catch (fault) {
      if (fault instanceof Regex.Unusable) return { fault: draw(written, new Fault(0, [...written].length, `this cannot be asked here: ${fault.message}`, '')) };
      if (!(fault instanceof Fault)) throw fault;
      return { fault: draw(written, fault) };
    }
  };
  return { of, read };
})();
