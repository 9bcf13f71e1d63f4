'use strict';

/** How many characters have to be changed, added, removed or swapped. */
function distance(a, b) {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 0; j <= b.length; j++) rows[0][j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const differs = Number(a[i - 1] !== b[j - 1]);
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + differs);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwapped) rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[a.length][b.length];
}

/** The known name that may have been meant. */
function nearest(name, known) {
  const short = name.slice(0, 64).toLowerCase();
  const [near] = known.map((other) => [distance(short, other), other]).sort(([a], [b]) => a - b);
  return near[0] <= Math.max(1, Math.floor(near[1].length / 3)) ? near[1] : undefined;
}

/** Options must be an object with these keys alone: a typo must not become no limit. */
function checkOptions(options, known, whose) {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${whose}'s options are an object: ${known.join(', ')}`);
  }
  for (const option in options) {
    if (known.includes(option)) continue;
    const near = nearest(option, known);
    const hint = near === undefined ? '' : ` (did you mean \`${near}\`?)`;
    throw new TypeError(`${whose} has no option \`${option}\`${hint}; it has: ${known.join(', ')}`);
  }
}

module.exports = { checkOptions, nearest };
