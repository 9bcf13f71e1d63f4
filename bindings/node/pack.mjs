// Makes the two packages that `npm install` takes: `arawn`, and the one of this platform with the library and the add-on.
//
//     node bindings/node/pack.mjs LIBRARY DIRECTORY
//
// It prints the names of the files. LIBRARY is a libarawn.so for this platform; symbols that no linker needs are removed.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = resolve(here, '../..');
const [library, directory] = process.argv.slice(2).map((path) => resolve(path));
if (directory === undefined) throw new Error('node pack.mjs LIBRARY DIRECTORY');

const libc = process.report.getReport().header.glibcVersionRuntime === undefined ? '-musl' : '-gnu';
const platform = `${process.platform}-${process.arch}${process.platform === 'linux' ? libc : ''}`;
const platforms = readdirSync(join(here, 'platforms'));
if (!platforms.includes(platform)) throw new Error(`bindings/node/platforms has no ${platform}: ${platforms.join(', ')}`);

const json = (file) => JSON.parse(readFileSync(file, 'utf8'));
const version = /^version = "(.*)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1];
const run = (command, ...words) => execFileSync(command, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** Packs what `fill` puts into a directory of its own, with the licences. */
function pack(manifest, fill) {
  const stage = mkdtempSync(join(directory, 'stage-'));
  try {
    for (const licence of ['LICENSE-APACHE', 'LICENSE-MIT']) cpSync(join(root, licence), join(stage, licence));
    fill(stage);
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify({ ...manifest, version }, null, 2)}\n`);
    const packed = run('npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', directory, stage);
    const [{ filename }] = Object.values(JSON.parse(packed));
    console.log(join(directory, filename));
  } finally {
    rmSync(stage, { recursive: true });
  }
}

mkdirSync(directory, { recursive: true });

const { scripts: _, devDependencies: __, ...manifest } = json(join(here, 'package.json'));
// Here and not in the repository, where npm would look for packages that are not there yet. npm installs the one that fits.
manifest.optionalDependencies = Object.fromEntries(platforms.map((name) => [`@arawn/${name}`, version]));
pack(manifest, (stage) => {
  const files = readdirSync(here).filter((name) => name.startsWith('index.'));
  for (const file of ['README.md', 'lib', 'native', ...files]) cpSync(join(here, file), join(stage, file), { recursive: true });
});

pack(json(join(here, 'platforms', platform, 'package.json')), (stage) => {
  const name = 'libarawn.so.0';
  if (!existsSync(library)) throw new Error(`${library} is missing: run make`);
  run('strip', '--strip-unneeded', '-o', join(stage, name), library);
  run(join(here, 'native/build.sh'), join(stage, 'arawn.node'));
  run('strip', '--strip-unneeded', join(stage, 'arawn.node'));
  cpSync(join(here, 'platforms', platform, 'README.md'), join(stage, 'README.md'));
});
