// A chart as an SVG: a group of bars for each size of batch, a bar for each number of workers.
const COLORS = ['#9db8d9', '#4a7ab5', '#1d3f6e'];
const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [720, 400, 80, 48, 56];

/** A round number that is at least as large. */
function roundUp(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * unit).find((round) => round >= value);
}

export function picture(batches, figures) {
  const most = roundUp(Math.max(...[...figures.values()].flat()));
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
  const text = (x, at, words, anchor = 'middle', more = '') =>
    `<text x="${x}" y="${at}" text-anchor="${anchor}"${more}>${words}</text>`;
  const number = (value) => value.toLocaleString('en');
  const parts = [];
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(
      `<path d="M${LEFT} ${y(part * most)}H${WIDTH - 16}" stroke="#ddd"/>`,
      text(LEFT - 8, y(part * most) + 4, number(part * most), 'end'),
    );
  }
  const group = (WIDTH - LEFT - 16) / batches.length;
  const bar = (group - 28) / figures.size;
  batches.forEach((items, place) => {
    const left = LEFT + place * group + 14;
    parts.push(text(left + (group - 28) / 2, HEIGHT - BOTTOM + 20, number(items)));
    [...figures].forEach(([, values], index) => {
      const [x, top] = [left + index * bar, y(values[place])];
      parts.push(
        `<rect x="${x}" y="${top}" width="${bar - 3}" height="${HEIGHT - BOTTOM - top}" fill="${COLORS[index]}"/>`,
      );
      parts.push(text(x + bar / 2 - 1, top - 4, number(values[place]), 'middle', ' font-size="10"'));
    });
  });
  [...figures.keys()].forEach((count, index) => {
    const x = LEFT + index * 110;
    parts.push(`<rect x="${x}" y="18" width="12" height="12" fill="${COLORS[index]}"/>`);
    parts.push(text(x + 18, 28, count === 1 ? '1 worker' : `${count} workers`, 'start'));
  });
  parts.push(
    text(LEFT + (WIDTH - LEFT - 16) / 2, HEIGHT - 12, 'items a batch'),
    text(WIDTH - 16, 28, 'items a second', 'end'),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}
