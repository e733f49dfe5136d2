import { execFile } from "node:child_process";
import process from "node:process";
import { LISTENING_OUTPUT_MAX_BYTES, LISTENING_TIMEOUT_MS } from "../../shared/limits.ts";
import { SOCKET_LISTERS } from "../bin/permissions.js";
import { type ListeningSocket, parseNetstat, parseSs } from "./socket_list.ts";

/** Lists the listening sockets of this machine; rejects where that cannot be done. */
export type ListSockets = () => Promise<readonly ListeningSocket[]>;

interface Lister {
  readonly args: readonly string[];
  readonly parse: (text: string) => ListeningSocket[];
}

const LISTERS: Readonly<Record<string, Lister>> = {
  // Numbers, listening ones of TCP and UDP, no header, with processes: so that our own sockets are told from others.
  linux: { args: ["-Htulnp"], parse: parseSs },
  darwin: { args: ["-an"], parse: parseNetstat },
};

/**
 * Lists them with the system's own program: the fence lets the agent run it, and not read /proc, where every secret of
 * every process is. Undefined where there is none for this system.
 */
export function systemSockets(platform: string = process.platform): ListSockets | undefined {
  const lister = LISTERS[platform];
  const paths = SOCKET_LISTERS[platform];
  if (lister === undefined || paths === undefined) return undefined;
  let found: string | undefined;
  return async () => {
    let failure: unknown;
    for (const path of found === undefined ? paths : [found]) {
      try {
        const text = await outputOf(path, lister.args);
        found = path;
        return lister.parse(text);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  };
}

function outputOf(path: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      env: {},
      timeout: LISTENING_TIMEOUT_MS,
      killSignal: "SIGKILL",
      maxBuffer: LISTENING_OUTPUT_MAX_BYTES,
    } as const;
    execFile(path, args, options, (error, stdout) => error === null ? resolve(stdout) : reject(error));
  });
}
