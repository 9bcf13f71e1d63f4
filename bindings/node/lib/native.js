'use strict';
// The library and the add-on that calls it. Both come with the package of the platform, such as @arawn/linux-x64-gnu,
// of which npm installs the one that fits. The add-on may also be built here, by native/build.sh.
const { existsSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { misfit } = require('./elf.js');
const host = require('./host.js');

const INSTALLED = { darwin: 'libarawn.0.dylib', win32: 'arawn.dll' }[process.platform] ?? 'libarawn.so.0';
/** On Linux npm chooses by the C library. An npm that does not know of it installs both. */
const PLATFORMS = process.platform === 'linux' ? ['gnu', 'musl'].map((libc) => `linux-${process.arch}-${libc}`)
  : [`${process.platform}-${process.arch}`];

/** The functions of the library by number, as native/library.h has them. */
const FUNCTIONS = [
  'cancel', 'catalogInspect', 'catalogList', 'catalogRegister', 'catalogRemove', 'configure', 'executePipeline',
  'executeRuntime', 'executorClose', 'executorNew', 'hostReply', 'poll', 'pollDescriptor', 'stats', 'submit',
];

function directories() {
  const found = [join(__dirname, '..', 'build')];
  for (const platform of PLATFORMS) {
    try {
      found.push(dirname(require.resolve(`@arawn/${platform}/package.json`)));
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return found.filter((directory) => existsSync(join(directory, 'arawn.node')));
}

/** The linker's error, after the reason where that is that the file is for another system. */
function explained(error, path) {
  const why = misfit(path);
  return why === undefined ? error.message : `${why}: ${error.message}`;
}

function addonOf(directories) {
  const problems = [];
  for (const directory of directories) {
    try {
      return require(join(directory, 'arawn.node'));
    } catch (error) {
      problems.push(explained(error, join(directory, 'arawn.node')));
    }
  }
  const why = problems.length > 0 ? problems.join('; ') : 'optional dependencies may have been left out';
  throw new Error(`arawn has no add-on for this system: install @arawn/${PLATFORMS.join(' or @arawn/')} (${why})`);
}

/** ARAWN_LIBRARY names another library; without a package of the platform it is the one that the system has. */
function libraryIn(directories) {
  if (process.env.ARAWN_LIBRARY) return process.env.ARAWN_LIBRARY;
  return directories.map((directory) => join(directory, INSTALLED)).find(existsSync) ?? INSTALLED;
}

const found = directories();
const native = addonOf(found);
const library = libraryIn(found);
try {
  native.load(library, host.dispatch);
} catch (error) {
  throw new Error(`the library ${library} cannot be loaded: ${explained(error, library)}`, { cause: error });
}

const number = Object.fromEntries(FUNCTIONS.map((name, index) => [name, index]));
host.answerBy((text) => native.call(number.hostReply, text));

module.exports = { native, number };
