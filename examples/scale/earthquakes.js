// A catalog of earthquakes as public ones are: a CSV with a line for each. It is made up, the same each time, with
// magnitudes by Gutenberg and Richter's law, on the rim of the Pacific.
const PLACES = [
  ['Honshu, Japan', 38, 142],
  ['Kuril Islands', 46, 152],
  ['Aleutian Islands', 52, -174],
  ['Southern Alaska', 60, -152],
  ['Cascadia', 45, -125],
  ['Oaxaca, Mexico', 16, -97],
  ['Northern Peru', -6, -79],
  ['Atacama, Chile', -24, -70],
  ['Kermadec Islands', -30, -178],
  ['Vanuatu', -16, 168],
  ['Banda Sea', -6, 130],
  ['Mindanao, Philippines', 6, 126],
];

function* numbers(seed) {
  for (let state = seed; ;) yield (state = (state * 48271) % 2147483647) / 2147483647;
}

export function catalog(count) {
  const source = numbers(2026);
  const next = () => source.next().value;
  const lines = ['time,latitude,longitude,depth,mag,place'];
  for (let index = 0; index < count; index++) {
    const [place, latitude, longitude] = PLACES[Math.floor(next() * PLACES.length)];
    const time = new Date(Date.UTC(2025, 0, 1) + Math.floor((index + next()) * (31_536_000_000 / count))).toISOString();
    const magnitude = Math.min(4.5 - Math.log10(next()), 9.1).toFixed(1);
    const around = (center, width) => (center + (next() - 0.5) * width).toFixed(4);
    lines.push(
      `${time},${around(latitude, 6)},${around(longitude, 6)},${(next() * 120).toFixed(2)},${magnitude},"${place}"`,
    );
  }
  return `${lines.join('\n')}\n`;
}
