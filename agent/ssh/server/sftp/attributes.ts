/** What SFTP says about a file, and how a client changes it. */
import type { Stats } from "node:fs";
import { constants } from "node:fs";
import type { Fields, Packet } from "./codec.ts";

const SIZE = 1;
const OWNER = 2;
const PERMISSIONS = 4;
const TIMES = 8;
const EXTENDED = 0x80000000;

/** Pairs of words that nobody here understands; more of them are an attack. */
const EXTENDED_MAX = 16;
const HALF_A_YEAR_MS = 182 * 24 * 3600 * 1000;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** What a client wants to change; undefined stays as it is. */
export interface Change {
  readonly size: number | undefined;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** The lower twelve bits. */
  readonly mode: number | undefined;
  /** Seconds since 1970. */
  readonly times: { readonly accessed: number; readonly modified: number } | undefined;
}

/** @throws {SftpError} */
export function readChange(fields: Fields): Change {
  const flags = fields.uint32();
  const size = flags & SIZE ? fields.uint64() : undefined;
  const owner = flags & OWNER ? { uid: fields.uint32(), gid: fields.uint32() } : undefined;
  const mode = flags & PERMISSIONS ? fields.uint32() & 0o7777 : undefined;
  const times = flags & TIMES ? { accessed: fields.uint32(), modified: fields.uint32() } : undefined;
  if (flags & EXTENDED) {
    const count = Math.min(fields.uint32(), EXTENDED_MAX);
    for (let i = 0; i < 2 * count; i++) fields.bytes();
  }
  return { size, owner, mode, times };
}

export function writeAttributes(packet: Packet, stats: Stats): Packet {
  return packet
    .uint32(SIZE | OWNER | PERMISSIONS | TIMES)
    .uint64(stats.size)
    .uint32(stats.uid).uint32(stats.gid)
    .uint32(stats.mode)
    .uint32(seconds(stats.atimeMs)).uint32(seconds(stats.mtimeMs));
}

/** A line as `ls -l` writes it, which is what `ls -l` of sftp shows. */
export function longName(name: string, stats: Stats, now: number): string {
  const date = new Date(stats.mtimeMs);
  const pad = (value: number | string, width: number, fill = " ") => String(value).padStart(width, fill);
  const old = Math.abs(now - stats.mtimeMs) > HALF_A_YEAR_MS;
  const time = old ? pad(date.getFullYear(), 5) : `${pad(date.getHours(), 2, "0")}:${pad(date.getMinutes(), 2, "0")}`;
  const day = `${MONTHS[date.getMonth()]} ${pad(date.getDate(), 2)} ${time}`;
  const owner = `${String(stats.uid).padEnd(8)} ${String(stats.gid).padEnd(8)}`;
  return `${modeText(stats.mode)} ${pad(stats.nlink, 4)} ${owner} ${pad(stats.size, 8)} ${day} ${name}`;
}

function modeText(mode: number): string {
  const kinds: readonly (readonly [number, string])[] = [
    [constants.S_IFDIR, "d"],
    [constants.S_IFLNK, "l"],
    [constants.S_IFCHR, "c"],
    [constants.S_IFBLK, "b"],
    [constants.S_IFIFO, "p"],
    [constants.S_IFSOCK, "s"],
  ];
  const kind = kinds.find(([bits]) => (mode & constants.S_IFMT) === bits)?.[1] ?? "-";
  const triple = (bits: number, special: boolean, letter: string) => {
    const last = bits & 1 ? (special ? letter : "x") : special ? letter.toUpperCase() : "-";
    return (bits & 4 ? "r" : "-") + (bits & 2 ? "w" : "-") + last;
  };
  return kind + triple(mode >> 6, (mode & 0o4000) !== 0, "s") + triple(mode >> 3, (mode & 0o2000) !== 0, "s") +
    triple(mode, (mode & 0o1000) !== 0, "t");
}

/** Whole seconds, as SFTP has no others; within 32 bits. */
function seconds(ms: number): number {
  return Math.min(Math.max(Math.floor(ms / 1000), 0), 0xffffffff);
}
