// Regular expressions as conditions have them: the language of the Rust crate `regex`, over octets and without Unicode. A browser's own
// would read another language, and could be made to search for ever; here all states are followed at once, and their
// number, their nesting and the work are bounded. A text is a string of which each letter is an octet.
'use strict';
const Regex = (() => {
  const MOST_NESTED = 250;
  const MOST_STATES = 20000;
  // So many numbers of states are remembered, and no more.
  const MOST_KEPT = 1e6;
  const END = 256;

  // A regex that is wrong, or that a page cannot follow; the message says why.
  class Unusable extends Error {}
  const fail = (why) => { throw new Unusable(why); };
  const elsewhere = (what) => fail(`${what} is not for a page; \`imapscope read -f\` can do it`);

  const octets = (text) => Array.from(new TextEncoder().encode(text));
  const set = (...ranges) => {
    const members = new Uint8Array(256);
    for (const [first, last] of ranges) members.fill(1, first, last + 1);
    return members;
  };
  const among = (letters) => set(...octets(letters).map((octet) => [octet, octet]));
  const join = (one, other) => one.map((member, at) => member | other[at]);
  const negated = (members) => members.map((member) => 1 - member);
  const blindly = (members) => {
    const both = Uint8Array.from(members);
    for (let octet = 65; octet <= 90; octet += 1) both[octet] = both[octet + 32] = members[octet] | members[octet + 32];
    return both;
  };

  const [upper, lower, digit, blank] = [set([65, 90]), set([97, 122]), set([48, 57]), among(' \t')];
  const alpha = join(upper, lower);
  const alnum = join(alpha, digit);
  const word = join(alnum, among('_'));
  const space = join(blank, set([10, 13]));
  const graph = set([33, 126]);
  const punct = graph.map((member, at) => member & ~alnum[at]);
  const NAMED = {
    alnum, alpha, blank, digit, graph, lower, punct, space, upper, word, ascii: set([0, 127]), cntrl: join(set([0, 31]), set([127, 127])),
    print: set([32, 126]), xdigit: join(digit, among('abcdefABCDEF')),
  };
  const SHORT = { d: digit, s: space, w: word, D: negated(digit), S: negated(space), W: negated(word) };
  const LETTERS = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
  const LOOKS = { A: 'start', z: 'end', b: 'border', B: 'inside', '<': 'word', '>': 'behind' };
  const BORDERS = { start: 'word', end: 'behind', 'start-half': 'no word before', 'end-half': 'no word next' };

  // The parts of a regex, each with how deep it is and how many states it makes.
  const part = (kind, depth, states, more) => {
    if (depth > MOST_NESTED) fail(`it is nested more than ${MOST_NESTED} deep`);
    if (states > MOST_STATES) elsewhere('a regex of this size');
    return { kind, depth, states, ...more };
  };
  const members = (found, depth = 0) => part('set', depth, 1, { members: found });
  const look = (at) => part('look', 0, 1, { at });
  const deepest = (parts) => Math.max(0, ...parts.map(({ depth }) => depth));
  const all = (parts) => parts.reduce((sum, { states }) => sum + states, 0);
  const row = (parts) => (parts.length === 1 ? parts[0] : part('row', deepest(parts) + (parts.length > 0), all(parts), { parts }));
  const either = (parts) => part('either', deepest(parts) + 1, all(parts) + 1, { parts });
  const repeated = (inner, least, most) => {
    const more = most === Infinity ? inner.states + 1 : (most - least) * (inner.states + 1);
    return part('repeated', inner.depth + 1, least * inner.states + more, { inner, least, most });
  };

  const parse = (pattern, blind) => {
    const letters = [...pattern];
    const names = new Set();
    let at = 0;
    let flags = { i: blind, m: false, s: false };
    const over = () => at >= letters.length;
    const starts = (text) => letters.slice(at, at + text.length).join('') === text;
    const take = (text) => starts(text) && ((at += text.length), true);

    const hex = (count) => {
      at += 1;
      let digits = '';
      const braced = take('{');
      while (!over() && (braced ? letters[at] !== '}' : digits.length < count)) {
        if (!/^[0-9a-fA-F]$/.test(letters[at])) fail(`${letters[at]} is no hexadecimal digit`);
        digits += letters[at];
        at += 1;
      }
      if (braced ? !take('}') : digits.length < count) fail('a number in hexadecimal digits has no end');
      const code = parseInt(digits || 'none', 16);
      if (!(code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) fail('this number stands for no letter');
      return { code, octet: !braced && count === 2 };
    };

    // What stands behind a backslash: a letter, a set or a look.
    const escape = () => {
      at += 1;
      if (over()) fail('nothing is behind the last backslash');
      const letter = letters[at];
      if (/^[0-9]$/.test(letter)) fail('what a group has found cannot be asked for again');
      const digits = { x: 2, u: 4, U: 8 }[letter];
      if (digits) return hex(digits);
      if (letter === 'p' || letter === 'P') fail('classes of Unicode are not for octets');
      at += 1;
      if (Object.hasOwn(SHORT, letter)) return { found: SHORT[letter] };
      if (Object.hasOwn(LETTERS, letter)) return { code: LETTERS[letter] };
      if (letter === 'b' && starts('{')) {
        if (at + 1 >= letters.length) fail('nothing is behind {');
        if (/^[A-Za-z-]$/.test(letters[at + 1])) {
          const [whole, name] = /^\{([A-Za-z-]+)\}/.exec(letters.slice(at).join('')) ?? fail('what \\b{ begins has no end');
          at += whole.length;
          return { look: Object.hasOwn(BORDERS, name) ? BORDERS[name] : fail(`there is no border of the kind ${name}`) };
        }
      }
      if (Object.hasOwn(LOOKS, letter)) return { look: LOOKS[letter] };
      if (/^[\0-\x7f]$/.test(letter) && !/^[0-9A-Za-z<>]$/.test(letter)) return { code: letter.charCodeAt(0) };
      return fail(`\\${letter} means nothing`);
    };

    const single = ({ code, octet }) => {
      const found = code < 128 || octet ? [code] : octets(String.fromCodePoint(code));
      return row(found.map((one) => members(flags.i && one < 128 ? blindly(set([one, one])) : set([one, one]))));
    };

    // A class in brackets; the bracket that opens it stands here.
    const bracketed = (depth) => {
      const unclosed = 'a [ has no ]';
      const next = () => { at += 1; if (over()) fail(unclosed); };
      if (depth > MOST_NESTED / 2) fail(`it is nested more than ${MOST_NESTED} deep`);
      next();
      const not = letters[at] === '^';
      if (not) next();
      let [before, sign, found] = [null, null, set()];
      const add = (more) => { found = join(found, more); };
      const byte = ({ code, octet }) => (code < 128 || octet ? code : fail('in [ ] stand octets: ASCII, or \\x and two digits'));
      const close = () => {
        if (!sign) return found;
        const [one, other] = flags.i ? [blindly(before), blindly(found)] : [before, found];
        return one.map((member, octet) => ({ '&': member & other[octet], '-': member & ~other[octet], '~': member ^ other[octet] })[sign] & 1);
      };
      let first = true;
      for (; letters[at] === '-'; next()) {
        first = false;
        add(among('-'));
      }
      if (first && letters[at] === ']') {
        add(among(']'));
        next();
      }
      const item = () => {
        if (letters[at] === '\\') return escape();
        at += 1;
        return { code: letters[at - 1].codePointAt(0) };
      };
      for (;;) {
        if (over()) fail(unclosed);
        const named = letters[at] === '[' && /^\[:(\^?)([a-z]+):\]/.exec(letters.slice(at, at + 16).join(''));
        if (named && Object.hasOwn(NAMED, named[2])) {
          at += named[0].length;
          const inner = flags.i ? blindly(NAMED[named[2]]) : NAMED[named[2]];
          add(named[1] ? negated(inner) : inner);
        } else if (letters[at] === '[') {
          add(bracketed(depth + 1));
        } else if (take(']')) {
          const whole = flags.i ? blindly(close()) : close();
          return not ? negated(whole) : whole;
        } else if (['&&', '--', '~~'].some(starts)) {
          [before, sign, found] = [close(), letters[at], set()];
          at += 2;
        } else {
          const from = item();
          if (over()) fail(unclosed);
          if (letters[at] !== '-' || [']', '-'].includes(letters[at + 1])) {
            if (from.look) fail('a class in [ ] has octets only');
            add(from.found ?? set([byte(from), byte(from)]));
            continue;
          }
          next();
          const to = item();
          if (from.code === undefined || to.code === undefined) fail('a range in [ ] is from one octet to another');
          if (from.code > to.code) fail('a range in [ ] is from the smaller octet to the larger one');
          add(set([byte(from), byte(to)]));
        }
      }
    };

    const group = (depth) => {
      if (depth > MOST_NESTED) fail(`it is nested more than ${MOST_NESTED} deep`);
      at += 1;
      if (['?=', '?!', '?<=', '?<!'].some(starts)) fail('looking ahead or back is not possible');
      const outside = flags;
      if (take('?P<') || take('?<')) {
        const start = at;
        while (!over() && letters[at] !== '>') {
          const fits = at === start ? /^[\p{Alphabetic}_]$/u : /^[\p{Alphabetic}\p{N}_.[\]]$/u;
          if (!fits.test(letters[at])) fail(`${letters[at]} cannot stand in the name of a group`);
          at += 1;
        }
        const name = letters.slice(start, at).join('');
        if (!take('>')) fail('the name of a group has no end');
        if (!name || names.has(name)) fail(name ? 'two groups have one name' : 'a group has no name');
        names.add(name);
      } else if (take('?')) {
        const given = [];
        for (; !over() && letters[at] !== ':' && letters[at] !== ')'; at += 1) {
          if (!/^[-imsUuRx]$/.test(letters[at])) fail(`${letters[at]} is no flag`);
          if (given.includes(letters[at])) fail(`the flag ${letters[at]} stands there twice`);
          given.push(letters[at]);
        }
        if (over()) fail('a ( has no )');
        if (given.at(-1) === '-') fail('no flag is behind the -');
        const off = given.includes('-') ? given.indexOf('-') : given.length;
        for (const [place, flag] of given.entries()) {
          if (place < off && 'uRx'.includes(flag)) elsewhere(`the flag ${flag}`);
          flags = { ...flags, [flag]: place < off };
        }
        at += 1;
        if (letters[at - 1] === ')') return given.length ? part('flags', 0, 0) : fail('? repeats nothing');
      }
      const inner = alternatives(depth + 1);
      if (!take(')')) fail('a ( has no )');
      flags = outside;
      return part('group', inner.depth + 1, inner.states, { inner });
    };

    const number = () => {
      while (!over() && /^\s$/.test(letters[at])) at += 1;
      let digits = '';
      for (; !over() && /^[0-9]$/.test(letters[at]); at += 1) digits += letters[at];
      while (!over() && /^\s$/.test(letters[at])) at += 1;
      if (Number(digits) > 0xffffffff) fail('this number is too large');
      return digits ? Number(digits) : null;
    };

    const repetition = (inner) => {
      if (!inner || inner.kind === 'flags') fail(`${letters[at]} repeats nothing`);
      const sign = letters[at];
      at += 1;
      let [least, most] = { '?': [0, 1], '*': [0, Infinity], '+': [1, Infinity] }[sign] ?? [];
      if (sign === '{') {
        least = most = number();
        if (take(',')) most = starts('}') ? Infinity : number();
        if (!take('}')) fail('a { has no }');
        if (least === null || most === null) fail('in { } a number is missing');
        if (least > most) fail('in { } the smaller number comes first');
      }
      take('?');
      return repeated(inner, least, most);
    };

    const primitive = () => {
      if (letters[at] === '\\') {
        const found = escape();
        if (found.look) return look(found.look);
        return found.found ? members(found.found) : single(found);
      }
      const letter = letters[at];
      at += 1;
      if (letter === '.') return members(flags.s ? set([0, 255]) : negated(among('\n')));
      if (letter === '^') return look(flags.m ? 'start of line' : 'start');
      if (letter === '$') return look(flags.m ? 'end of line' : 'end');
      return single({ code: letter.codePointAt(0) });
    };

    const alternatives = (depth) => {
      const branches = [];
      let parts = [];
      while (!over() && letters[at] !== ')') {
        if (take('|')) {
          branches.push(row(parts));
          parts = [];
        } else if (letters[at] === '(') parts.push(group(depth));
        else if (letters[at] === '[') parts.push(members(bracketed(0), 1));
        else if ('?*+{'.includes(letters[at])) parts.push(repetition(parts.pop()));
        else parts.push(primitive());
      }
      if (!branches.length) return row(parts);
      return either([...branches, row(parts)]);
    };

    const whole = alternatives(0);
    if (!over()) fail('a ) has no (');
    return whole;
  };

  // The states that a part becomes, in front of those that come next.
  const build = (states, found, next) => {
    const add = (state) => states.push(state) - 1;
    switch (found.kind) {
      case 'set': return add({ members: found.members, next });
      case 'look': return add({ look: found.at, next });
      case 'group': return build(states, found.inner, next);
      case 'row': return found.parts.reduceRight((after, inner) => build(states, inner, after), next);
      case 'either': return add({ either: found.parts.map((inner) => build(states, inner, next)) });
      case 'repeated': {
        let first = next;
        if (found.most === Infinity) {
          first = add({ either: [next] });
          states[first].either.push(build(states, found.inner, first));
        } else {
          for (let left = found.most - found.least; left > 0; left -= 1) first = add({ either: [build(states, found.inner, first), next] });
        }
        for (let left = found.least; left > 0; left -= 1) first = build(states, found.inner, first);
        return first;
      }
      default: return next;
    }
  };

  const [NOTHING, BREAK, LETTER, OTHER] = [0, 1, 2, 3];
  const holds = (wanted, before, octet) => {
    const [left, right] = [before === LETTER, octet !== END && word[octet] === 1];
    switch (wanted) {
      case 'start': return before === NOTHING;
      case 'end': return octet === END;
      case 'start of line': return before === NOTHING || before === BREAK;
      case 'end of line': return octet === END || octet === 10;
      case 'border': return left !== right;
      case 'inside': return left === right;
      case 'word': return !left && right;
      case 'behind': return left && !right;
      case 'no word before': return !left;
      default: return !right;
    }
  };

  class Machine {
    constructor(pattern, blind) {
      this.states = [{ found: true }];
      this.first = build(this.states, parse(pattern, blind), 0);
      this.marks = new Uint32Array(this.states.length);
      this.turn = 0;
      this.kept = new Map();
      this.weight = 0;
    }

    // A set of states that are next, behind an octet of this kind. What follows from it is remembered.
    place(before, next) {
      const key = `${before} ${next.sort((a, b) => a - b).join(' ')}`;
      if (!this.kept.has(key)) {
        if (this.weight > MOST_KEPT) [this.kept, this.weight] = [new Map(), 0];
        this.weight += next.length + END;
        this.kept.set(key, { before, next, after: [] });
      }
      return this.kept.get(key);
    }

    // Where an octet leads, or the end; true if a match is complete before it.
    step(place, octet, effort) {
      this.turn += 1;
      const due = [this.first, ...place.next];
      const next = [];
      while (due.length) {
        const at = due.pop();
        if (this.marks[at] === this.turn) continue;
        this.marks[at] = this.turn;
        effort.left -= 1;
        const state = this.states[at];
        if (state.found) return true;
        if (state.either) due.push(...state.either);
        else if (state.look) { if (holds(state.look, place.before, octet)) due.push(state.next); }
        else if (octet !== END && state.members[octet]) next.push(state.next);
      }
      if (effort.left < 0) elsewhere('so much work');
      return this.place(octet === 10 ? BREAK : octet !== END && word[octet] ? LETTER : OTHER, [...new Set(next)]);
    }

    // True if a part of the text matches. The effort is for all texts together.
    matches(text, effort) {
      let place = this.place(NOTHING, []);
      for (let at = 0; at <= text.length; at += 1) {
        const octet = at < text.length ? text.charCodeAt(at) : END;
        place.after[octet] ??= this.step(place, octet, effort);
        place = place.after[octet];
        if (place === true) return true;
      }
      return false;
    }
  }
  return { Machine, Unusable };
})();
