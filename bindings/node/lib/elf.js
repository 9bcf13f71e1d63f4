'use strict';
// What a library for Linux is for: the dynamic linkers' own errors seldom say that it is for another system.
const { readFileSync } = require('node:fs');

/** By the numbers of ELF, as Node.js names them. */
const MACHINES = { 22: 's390x', 62: 'x64', 183: 'arm64', 243: 'riscv64' };
// Kinds of segments, and tags of the dynamic one.
const [LOAD, DYNAMIC, NEEDED, STRINGS] = [1, 2, 1, 5];

/** The names of the libraries that one of 64 bits needs, with the lowest byte of numbers first. */
function needed(elf) {
  const word = (at) => Number(elf.readBigUInt64LE(at));
  const segments = Array.from({ length: elf.readUInt16LE(56) }, (_, index) => {
    const at = word(32) + index * elf.readUInt16LE(54);
    return { kind: elf.readUInt32LE(at), offset: word(at + 8), address: word(at + 16), length: word(at + 32) };
  });
  const dynamic = segments.find(({ kind }) => kind === DYNAMIC);
  if (dynamic === undefined) return [];
  const entries = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.length; at += 16) entries.push([word(at), word(at + 8)]);
  const strings = entries.find(([tag]) => tag === STRINGS)[1];
  // A string has an address, which is in one of the segments that are loaded.
  const { offset, address } = segments.find(({ kind, address, length }) =>
    kind === LOAD && address <= strings && strings < address + length);
  return entries.filter(([tag]) => tag === NEEDED).map(([, name]) => {
    const start = strings - address + offset + name;
    return elf.toString('latin1', start, elf.indexOf(0, start));
  });
}

function libcOf(names) {
  if (names.includes('libc.so.6')) return 'glibc';
  return names.some((name) => name === 'libc.so' || name.startsWith('libc.musl-')) ? 'musl' : undefined;
}

/** Why the library at this path is not for this system, if that is the reason. */
function misfit(path) {
  if (process.platform !== 'linux') return undefined;
  try {
    const elf = readFileSync(path);
    if (elf.toString('latin1', 0, 4) !== '\x7fELF') return 'it is no library for Linux';
    const number = elf[5] === 2 ? elf.readUInt16BE(18) : elf.readUInt16LE(18);
    const machine = MACHINES[number] ?? `another processor (number ${number} of ELF)`;
    if (machine !== process.arch) return `it is for ${machine}, and this Node.js is for ${process.arch}`;
    const libc = elf[4] === 2 && elf[5] === 1 ? libcOf(needed(elf)) : undefined;
    const own = process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
    if (libc !== undefined && libc !== own) return `it is for Linux with ${libc}, and this Node.js is for ${own}`;
  } catch {
    // Not there, or torn: the linker's error says so.
  }
  return undefined;
}

module.exports = { misfit };
