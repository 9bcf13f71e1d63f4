// What libarawn calls: reads the input from stdin, and writes the reply to stdout. For messages of your own use
// console.error.
import { getStdin } from "wasi:cli/stdin@0.2.10";
import { getStdout } from "wasi:cli/stdout@0.2.10";
import { greet } from "./greet.js";

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

export const run = {
  run() {
    let reply;
    try {
      const { config, context } = JSON.parse(readAll());
      reply = { status: "ok", output: greet(config, context) };
    } catch (error) {
      reply = { status: "error", error: error instanceof Error ? error.message : String(error) };
    }
    writeAll(JSON.stringify(reply));
  },
};
