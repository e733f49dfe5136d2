/** The line that a request leaves in the terminal. */
import type { Colors } from "./output.ts";
import { printable, shorten } from "./printable.ts";

/** A request of a visitor, once it has ended. */
export interface RequestLog {
  readonly method: string;
  /** Path and query, as the visitor sent them. */
  readonly path: string;
  /** Undefined when there was no response at all. */
  readonly status: number | undefined;
  /** From the request's head to the end of the response. */
  readonly ms: number;
  /** Why it went wrong, in a word or two of ours, such as the code of an error. */
  readonly note?: string;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
}

const METHOD_WIDTH = 7;
const TIME_WIDTH = 9;
/** Two of indentation, the other columns, two spaces between all. */
const FIXED_WIDTH = 2 + METHOD_WIDTH + 2 + 2 + 3 + 2 + TIME_WIDTH;
const PATH_MIN_WIDTH = 16;
/** Wider columns are harder to read, not easier. */
const PATH_MAX_WIDTH = 72;

/** Method, path, status and time in columns that fit into `columns` characters (as far as 16 for the path allow). */
export function requestLine(log: RequestLog, colors: Colors, columns: number): string {
  const note = log.note === undefined ? "" : `  ${printable(log.note)}`;
  const width = Math.min(Math.max(columns - FIXED_WIDTH - note.length, PATH_MIN_WIDTH), PATH_MAX_WIDTH);
  const method = shorten(printable(log.method), METHOD_WIDTH).padEnd(METHOD_WIDTH);
  // Cut before escaping as well: a path may be 16 KiB long, and only its ends are shown.
  const path = shorten(printable(shorten(log.path, width)), width).padEnd(width);
  const status = log.status === undefined ? "---" : String(log.status);
  return `  ${method}  ${path}  ${paint(log.status, colors)(status)}  ` +
    colors.dim(formatMs(log.ms).padStart(TIME_WIDTH)) + (note === "" ? "" : colors.red(note));
}

function paint(status: number | undefined, colors: Colors): (text: string) => string {
  if (status === undefined || status >= 500) return colors.red;
  if (status >= 400) return colors.yellow;
  if (status >= 300) return colors.cyan;
  return status >= 200 ? colors.green : colors.dim;
}

/** A time as people read it: `0.4 ms`, `12 ms`, `3.2 s`, `5 min`. */
export function formatMs(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}
