// An earthquake with its energy, and the city that is nearest.
const CITIES = [
  ['Tokyo', 35.7, 139.7],
  ['Anchorage', 61.2, -149.9],
  ['Seattle', 47.6, -122.3],
  ['Lima', -12, -77],
  ['Santiago', -33.4, -70.7],
  ['Wellington', -41.3, 174.8],
  ['Manila', 14.6, 121],
  ['Jakarta', -6.2, 106.8],
  ['Mexico City', 19.4, -99.1],
];
const radians = Math.PI / 180;

function kilometers(a, b, c, d) {
  const half =
    Math.sin(((c - a) * radians) / 2) ** 2 +
    Math.cos(a * radians) * Math.cos(c * radians) * Math.sin(((d - b) * radians) / 2) ** 2;
  return 12742 * Math.asin(Math.sqrt(half));
}

export default function ({ context: { item, index } }) {
  const [latitude, longitude, magnitude] = [Number(item.latitude), Number(item.longitude), Number(item.mag)];
  const distances = CITIES.map(([city, ...at]) => ({ city, km: Math.round(kilometers(latitude, longitude, ...at)) }));
  const nearest = distances.reduce((best, one) => (one.km < best.km ? one : best));
  return { number: index, place: item.place, magnitude, joules: 10 ** (1.5 * magnitude + 4.8), nearest };
}
