/** Standard input and output as the local end of a tunnelled connection. */
import { createReadStream, createWriteStream, fstatSync } from "node:fs";
import { Socket } from "node:net";
import process from "node:process";
import { Readable, Writable } from "node:stream";
import type { TcpEnd } from "../../shared/link/ends.ts";
import { StreamEnd } from "./stream_end.ts";

export interface StdioEnd {
  readonly end: TcpEnd;
  /** Once the output is closed, which `reset` and `close` see to: whoever reads it has everything. Never rejects. */
  readonly closed: Promise<void>;
}

/**
 * What this process was started with as its input and output. To be called once; nothing else may use them.
 *
 * Deno keeps a copy of both descriptors for as long as it runs, so that closing them tells nobody. Therefore the launcher
 * hands pipes and sockets over under other numbers (`SPANWAY_STDIN_FD`, `SPANWAY_STDOUT_FD`): those can be closed. A
 * file or a terminal needs no closing.
 */
export function stdioEnd(env: NodeJS.ProcessEnv = process.env): StdioEnd {
  const input = openInput(env.SPANWAY_STDIN_FD);
  const output = openOutput(env.SPANWAY_STDOUT_FD);
  const close = () => {
    input.destroy();
    output.destroy();
  };
  const closed = new Promise<void>((resolve) => output.once("close", resolve));
  const end = new StreamEnd({
    input,
    output,
    doubtEnds: false,
    breakOff: close,
    giveUp(ended) {
      input.destroy();
      if (!ended || output.writableFinished) output.destroy();
      else output.once("finish", () => output.destroy());
    },
  });
  return { end, closed };
}

function openInput(handedOver: string | undefined): Readable {
  const fd = handedOver === undefined ? undefined : Number(handedOver);
  if (fd !== undefined) return new Socket({ fd, readable: true, writable: false });
  if ("Deno" in globalThis) return Readable.fromWeb(Deno.stdin.readable as Parameters<typeof Readable.fromWeb>[0]);
  return isPipe(0) ? new Socket({ fd: 0, readable: true, writable: false }) : createReadStream("", { fd: 0 });
}

function openOutput(handedOver: string | undefined): Writable {
  const fd = handedOver === undefined ? undefined : Number(handedOver);
  if (fd !== undefined) return new Socket({ fd, readable: false, writable: true });
  if ("Deno" in globalThis) return Writable.fromWeb(Deno.stdout.writable as Parameters<typeof Writable.fromWeb>[0]);
  return isPipe(1) ? new Socket({ fd: 1, readable: false, writable: true }) : createWriteStream("", { fd: 1 });
}

/** Pipes and sockets can wait without holding the whole process up; Node's own process.stdout does not. */
function isPipe(fd: number): boolean {
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket();
}
