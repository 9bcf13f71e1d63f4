// Finds config.pattern, a regular expression with the flags of config.flags, everywhere in context.text. Each match has its
// index in UTF-16 code units, its text, and its groups by name.
import { getStdin } from "wasi:cli/stdin@0.2.10";
import { getStdout } from "wasi:cli/stdout@0.2.10";

function readAll() {
  const stdin = getStdin();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  for (;;) {
    let chunk;
    try {
      chunk = stdin.blockingRead(65536n);
    } catch (error) {
      if (error.payload?.tag === "closed") return text + decoder.decode();
      throw error;
    }
    text += decoder.decode(chunk, { stream: true });
  }
}

function writeAll(text) {
  const stdout = getStdout();
  const bytes = new TextEncoder().encode(text);
  // The most that WASI takes at once.
  const most = 4096;
  for (let at = 0; at < bytes.length; at += most) stdout.blockingWriteAndFlush(bytes.subarray(at, at + most));
}

function matches({ config, context }) {
  if (typeof config.pattern !== "string") throw new TypeError("config.pattern must be a string");
  if (typeof context.text !== "string") throw new TypeError("context.text must be a string");
  const flags = new Set((config.flags ?? "") + "g");
  const found = context.text.matchAll(new RegExp(config.pattern, [...flags].join("")));
  return Array.from(found, (match) => ({ index: match.index, text: match[0], groups: match.groups ?? {} }));
}

export const run = {
  run() {
    let reply;
    try {
      reply = { status: "ok", output: matches(JSON.parse(readAll())) };
    } catch (error) {
      reply = { status: "error", error: String(error) };
    }
    writeAll(JSON.stringify(reply));
  },
};
