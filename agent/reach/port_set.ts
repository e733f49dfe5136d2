/** Sets of ports, as people write them: `22,80,3000-3010,53/udp`. */
import { UsageError } from "../errors.ts";

export type Protocol = "tcp" | "udp";

/** Ports of both protocols. */
export interface PortSet {
  readonly tcp: readonly PortRange[];
  readonly udp: readonly PortRange[];
}

/** Both ends belong to it. Ranges of a set are in order and do not touch. */
export type PortRange = readonly [first: number, last: number];

const EVERY: readonly PortRange[] = [[1, 65_535]];
export const ALL_PORTS: PortSet = { tcp: EVERY, udp: EVERY };
export const NO_PORTS: PortSet = { tcp: [], udp: [] };

/**
 * Reads `all`, `none`, or ports and ranges with commas between them; `/tcp` or `/udp` behind one restricts it to that
 * protocol.
 * @throws {UsageError}
 */
export function parsePorts(text: string): PortSet {
  if (text.trim().toLowerCase() === "none") return NO_PORTS;
  const set = { tcp: [] as PortRange[], udp: [] as PortRange[] };
  for (const item of text.split(",")) {
    const { range, protocol } = parseItem(item.trim().toLowerCase(), text);
    if (protocol !== "udp") set.tcp.push(range);
    if (protocol !== "tcp") set.udp.push(range);
  }
  return { tcp: merged(set.tcp), udp: merged(set.udp) };
}

export function hasPort(set: PortSet, protocol: Protocol, port: number): boolean {
  return set[protocol].some(([first, last]) => first <= port && port <= last);
}

export function isEmpty({ tcp, udp }: PortSet): boolean {
  return tcp.length === 0 && udp.length === 0;
}

export function isAll({ tcp, udp }: PortSet): boolean {
  return [tcp, udp].every(([range]) => range?.[0] === 1 && range[1] === 65_535);
}

/** The set as {@link parsePorts} reads it, in order. */
export function formatPorts(set: PortSet): string {
  if (isEmpty(set)) return "none";
  if (isAll(set)) return "all";
  const tcp = set.tcp.map(formatRange);
  const udp = set.udp.map(formatRange);
  const items = [
    ...set.tcp.map((range) => ({ range, suffix: udp.includes(formatRange(range)) ? "" : "/tcp" })),
    ...set.udp.filter((range) => !tcp.includes(formatRange(range))).map((range) => ({ range, suffix: "/udp" })),
  ];
  items.sort((a, b) => a.range[0] - b.range[0]);
  return items.map(({ range, suffix }) => formatRange(range) + suffix).join(", ");
}

const FORMS = "Give ports and ranges like 22,80,3000-3010 or 53/udp; or all, or none.";

function parseItem(item: string, text: string): { range: PortRange; protocol: Protocol | undefined } {
  if (item === "") {
    throw new UsageError(text.trim() === "" ? "The list of ports is empty." : "A port is missing.", FORMS);
  }
  const match = /^(?:(all)|(\d{1,9})(?:-(\d{1,9}))?)(?:\/(tcp|udp))?$/.exec(item);
  if (match === null) {
    if (item.startsWith("none")) throw new UsageError(`"none" stands alone.`, FORMS);
    throw new UsageError(`"${item}" is not a port.`, FORMS);
  }
  const [, all, firstText, lastText = firstText, protocol] = match;
  const first = all === undefined ? port(firstText) : 1;
  const last = all === undefined ? port(lastText) : 65_535;
  if (first > last) throw new UsageError(`The range ${item} runs backwards.`, `Write it as ${last}-${first}.`);
  return { range: [first, last], protocol: protocol as Protocol | undefined };
}

function port(text: string | undefined): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 65_535)) throw new UsageError(`${text} is not a port.`, "Ports go from 1 to 65535.");
  return value;
}

function merged(ranges: readonly PortRange[]): PortRange[] {
  const out: PortRange[] = [];
  for (const [first, last] of ranges.toSorted(([a], [b]) => a - b)) {
    const before = out.at(-1);
    if (before !== undefined && first <= before[1] + 1) out[out.length - 1] = [before[0], Math.max(before[1], last)];
    else out.push([first, last]);
  }
  return out;
}

function formatRange([first, last]: PortRange): string {
  if (first === 1 && last === 65_535) return "all";
  return first === last ? String(first) : `${first}-${last}`;
}
