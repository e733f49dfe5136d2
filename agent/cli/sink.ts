/**
 * Standard output and error as asynchronous byte sinks. Under Deno the functions of Node (`process.stdout.write`,
 * `fs.write`) block the whole process while a pipe is full, so Deno's own are used there.
 */
import process from "node:process";

/** Takes all of `bytes`. Rejects once the reader is gone. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

interface DenoStream {
  write(bytes: Uint8Array): Promise<number>;
}

/** The sink of one standard stream in this runtime. */
export function standardSink(name: "stdout" | "stderr"): Sink {
  const deno = (globalThis as { Deno?: Record<"stdout" | "stderr", DenoStream> }).Deno;
  return deno === undefined ? nodeSink(process[name]) : denoSink(deno[name]);
}

function denoSink(stream: DenoStream): Sink {
  return async (bytes) => {
    for (let at = 0; at < bytes.length;) at += await stream.write(bytes.subarray(at));
  };
}

function nodeSink(stream: NodeJS.WriteStream): Sink {
  // The callback of write reports errors; without a listener the event of the same error would end the process.
  stream.on("error", () => {});
  return (bytes) => new Promise((resolve, reject) => stream.write(bytes, (error) => error ? reject(error) : resolve()));
}
