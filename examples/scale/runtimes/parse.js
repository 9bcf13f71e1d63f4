// The lines of a CSV as records.
const cells = (line) => [...line.matchAll(/"((?:[^"]|"")*)"|([^,]+)/g)].map(([, quoted, plain]) => quoted ?? plain);

export default function ({ context }) {
  const [head, ...lines] = context.read.content.trim().split('\n');
  const keys = cells(head);
  return lines.map((line) => Object.fromEntries(cells(line).map((cell, index) => [keys[index], cell])));
}
