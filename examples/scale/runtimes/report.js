// All earthquakes in a few lines.
export default function ({ context: { each } }) {
  const strongest = each.reduce((best, one) => (one.magnitude > best.magnitude ? one : best));
  const places = {};
  for (const { place } of each) places[place] = (places[place] ?? 0) + 1;
  return { count: each.length, strong: each.filter(({ magnitude }) => magnitude >= 7).length, strongest, places };
}
