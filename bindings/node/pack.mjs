// Makes the two packages that `npm install` takes: `arawn`, and the one of a platform with the library and the add-on.
//
//     node bindings/node/pack.mjs [--alone] LIBRARY DIRECTORY [TARGET]
//
// It prints the names of the files. LIBRARY is a libarawn.so for this system; symbols that no linker needs are removed. With
// TARGET, Rust's name of a platform, LIBRARY is for that and packed as it is. The add-on is built by the C compiler $CC. $PYTHON
// and cargo write the licences of the crates that the library links. --alone makes the package of the platform alone.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { glibcVersion } from './lib/elf.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = resolve(here, '../..');
const isAlone = process.argv[2] === '--alone';
const [file, into, target] = process.argv.slice(isAlone ? 3 : 2);
if (into === undefined) throw new Error('node pack.mjs [--alone] LIBRARY DIRECTORY [TARGET]');
const [library, directory] = [file, into].map((path) => resolve(path));

/** As Node.js names them, by Rust's names, with the number that ELF has for them. */
const PROCESSORS = { aarch64: ['arm64', 183], x86_64: ['x64', 62] };

function platformOf(target) {
  const [, processor, libc] = /^(\w+)-unknown-linux-(gnu|musl)$/.exec(target) ?? [];
  return `linux-${PROCESSORS[processor]?.[0] ?? processor}-${libc}`;
}

function ownPlatform() {
  const libc = glibcVersion() === undefined ? '-musl' : '-gnu';
  return `${process.platform}-${process.arch}${process.platform === 'linux' ? libc : ''}`;
}

const platform = target === undefined ? ownPlatform() : platformOf(target);
const platforms = readdirSync(join(here, 'platforms'));
if (!platforms.includes(platform)) {
  throw new Error(`bindings/node/platforms has no ${target ?? platform}: ${platforms.join(', ')}`);
}

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

const [, processor, libc] = platform.split('-');
const [processorOfRust, [, processorNumber]] = Object.entries(PROCESSORS).find(([, [name]]) => name === processor);

/** What is for another processor than the package is not packed. */
function checkProcessor(file) {
  if (readFileSync(file).readUInt16LE(18) !== processorNumber) throw new Error(`${file} is not for ${processor}, as ${platform} is`);
}

mkdirSync(directory, { recursive: true });

const { scripts: _, devDependencies: __, ...manifest } = json(join(here, 'package.json'));
// Here and not in the repository, where npm would look for packages that are not there yet. npm installs the one that fits.
manifest.optionalDependencies = Object.fromEntries(platforms.map((name) => [`@arawn/${name}`, version]));
if (!isAlone) {
  pack(manifest, (stage) => {
    const files = readdirSync(here).filter((name) => name.startsWith('index.'));
    for (const file of ['README.md', 'lib', 'native', ...files]) cpSync(join(here, file), join(stage, file), { recursive: true });
  });
}

/** Writes the licences of all that the library contains, as a release archive has them. */
function writeNotices(out) {
  const words = ['--target', target ?? `${processorOfRust}-unknown-linux-${libc}`, '--package', 'arawn', '--out', out, library];
  run(process.env.PYTHON || 'python3', '-B', join(root, 'packaging/dist/notices.py'), ...words);
}

/** Of what the library contains. */
const CONTAINED = { 'LICENSE-QUICKJS': 'runtimes/javascript/LICENSE', 'LICENSE-LUA': 'runtimes/lua/LICENSE' };

pack(json(join(here, 'platforms', platform, 'package.json')), (stage) => {
  const [packed, addon] = ['libarawn.so.0', 'arawn.node'].map((name) => join(stage, name));
  if (!existsSync(library)) throw new Error(`${library} is missing: run make`);
  if (target === undefined) run('strip', '--strip-unneeded', '-o', packed, library);
  else copyFileSync(library, packed);
  process.env.CFLAGS = `${process.env.CFLAGS ?? ''} -s`;
  run(join(here, 'native/build.sh'), addon);
  for (const file of [packed, addon]) checkProcessor(file);
  cpSync(join(here, 'platforms', platform, 'README.md'), join(stage, 'README.md'));
  for (const [name, path] of Object.entries(CONTAINED)) cpSync(join(root, path), join(stage, name));
  writeNotices(join(stage, 'THIRD-PARTY-NOTICES.txt'));
});
