'use strict';
// What a library for Linux is for: the dynamic linkers' own errors seldom say that it is for another system.
const { readFileSync } = require('node:fs');

/** By the numbers of ELF, as Node.js names them. */
const MACHINES = { 22: 's390x', 62: 'x64', 183: 'arm64', 243: 'riscv64' };
// Kinds of segments, tags of the dynamic one, and the flag of a version that may be missing.
const [LOAD, DYNAMIC, NEEDED, STRINGS, VERSIONS, WEAK] = [1, 2, 1, 5, 0x6ffffffe, 2];

/** A library of 64 bits, with the lowest byte of numbers first. */
class Elf {
  constructor(content) {
    this.content = content;
    const segments = Array.from({ length: content.readUInt16LE(56) }, (_, index) => {
      const at = this.word(32) + index * content.readUInt16LE(54);
      const [offset, address, length] = [8, 16, 32].map((field) => this.word(at + field));
      return { kind: content.readUInt32LE(at), offset, address, length };
    });
    this.loaded = segments.filter(({ kind }) => kind === LOAD);
    this.dynamic = [];
    for (const { offset, length } of segments.filter(({ kind }) => kind === DYNAMIC)) {
      for (let at = offset; at < offset + length; at += 16) this.dynamic.push([this.word(at), this.word(at + 8)]);
    }
  }

  word(at) {
    return Number(this.content.readBigUInt64LE(at));
  }

  /** Where the file has a table. The table has an address, which is in one of the segments that are loaded. */
  place(tag) {
    const [, wanted] = this.dynamic.find(([found]) => found === tag);
    const { offset, address } = this.loaded.find(({ address, length }) => address <= wanted && wanted < address + length);
    return wanted - address + offset;
  }

  text(number) {
    const start = this.place(STRINGS) + number;
    return this.content.toString('latin1', start, this.content.indexOf(0, start));
  }

  needed() {
    return this.dynamic.filter(([tag]) => tag === NEEDED).map(([, name]) => this.text(name));
  }

  /** Those of other libraries' symbols that must be there. */
  versions() {
    const found = [];
    let library = this.dynamic.some(([tag]) => tag === VERSIONS) ? this.place(VERSIONS) : undefined;
    while (library !== undefined) {
      const following = this.content.readUInt32LE(library + 12);
      let version = library + this.content.readUInt32LE(library + 8);
      for (let left = this.content.readUInt16LE(library + 2); left > 0; left -= 1) {
        const [flags, name] = [this.content.readUInt16LE(version + 4), this.content.readUInt32LE(version + 8)];
        if ((flags & WEAK) === 0) found.push(this.text(name));
        version += this.content.readUInt32LE(version + 12);
      }
      library = following === 0 ? undefined : library + following;
    }
    return found;
  }
}

function libcOf(names) {
  if (names.includes('libc.so.6')) return 'glibc';
  return names.some((name) => name === 'libc.so' || name.startsWith('libc.musl-')) ? 'musl' : undefined;
}

/** Less than 0 where version `a`, such as '2.9', is older than `b`. */
function compare(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  const differs = left.findIndex((number, index) => number !== (right[index] ?? 0));
  return differs === -1 ? left.length - right.length : left[differs] - (right[differs] ?? 0);
}

/** The version of this system's glibc; undefined where it has musl. */
function glibcVersion() {
  return process.report.getReport().header.glibcVersionRuntime;
}

function libcMisfit(elf) {
  const [libc, glibc] = [libcOf(elf.needed()), glibcVersion()];
  const own = glibc === undefined ? 'musl' : 'glibc';
  if (libc !== undefined && libc !== own) return `it is for Linux with ${libc}, and this Node.js is for ${own}`;
  if (libc === undefined || glibc === undefined) return undefined;
  const versions = elf.versions().map((version) => /^GLIBC_(\d+(?:\.\d+)+)$/.exec(version)?.[1]);
  const newest = versions.filter((version) => version !== undefined).sort(compare).at(-1);
  if (newest === undefined || compare(newest, glibc) <= 0) return undefined;
  return `it needs glibc ${newest}, and this system has ${glibc}`;
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
    return elf[4] === 2 && elf[5] === 1 ? libcMisfit(new Elf(elf)) : undefined;
  } catch {
    // Not there, or torn: the linker's error says so.
    return undefined;
  }
}

module.exports = { glibcVersion, misfit };
