/**
 * Writes docs/limits.md from shared/limits.ts: every constant with its value, unit and reason.
 *
 *     deno run --allow-read --allow-write scripts/limits_doc.ts
 */
import { readFile, writeFile } from "node:fs/promises";
import * as limits from "../shared/limits.ts";

const SOURCE = new URL("../shared/limits.ts", import.meta.url);
/** Where the document lies. */
export const LIMITS_DOC = new URL("../docs/limits.md", import.meta.url);

const INTRO = `# Limits

Every bound of spanway, from [\`shared/limits.ts\`](../shared/limits.ts): what a queue may hold, how long a wait may last,
how much a stranger may send. A limit that is reached gives a clear error or a cut, and costs nobody else anything.

This file is made by \`scripts/limits_doc.ts\`, and a test fails when it is out of date. 1 KiB is 1024 bytes.
`;

interface Limit {
  readonly name: string;
  readonly reason: string;
}

interface Section {
  readonly title: string;
  readonly limits: Limit[];
}

/** The document's text for the limits as they are now. */
export async function limitsDoc(): Promise<string> {
  const values: Readonly<Record<string, unknown>> = { ...limits };
  const sections = parse(await readFile(SOURCE, "utf8"));
  const described = new Set(sections.flatMap((section) => section.limits.map(({ name }) => name)));
  const missed = Object.keys(values).filter((name) => !described.has(name));
  if (missed.length > 0) throw new Error(`shared/limits.ts has limits without a reason: ${missed.join(", ")}`);
  const parts = sections.map(({ title, limits }) => {
    const rows = limits.map(({ name, reason }) => [code(name), inUnits(name, values[name]), link(reason, described)]);
    return `\n## ${title}\n\n${table(["limit", "value", "reason"], rows)}`;
  });
  return INTRO + parts.join("");
}

/** Sections and limits in the order of the source. A limit without a comment of its own belongs to the one above. */
function parse(source: string): Section[] {
  const sections: Section[] = [];
  const pattern = /^\/\/ --- (.+?) -+$|^\/\*\*([^]*?)\*\/$|^export const ([A-Z0-9_]+)\b/gm;
  let reason = "";
  for (const [, title, comment, name] of source.matchAll(pattern)) {
    if (title !== undefined) {
      sections.push({ title, limits: [] });
      reason = "";
    } else if (comment !== undefined) {
      reason = comment.replaceAll(/\s*\n\s*\*\s?/g, " ").trim();
    } else if (name !== undefined) {
      if (reason === "") throw new Error(`shared/limits.ts gives no reason for ${name}`);
      const section = sections.at(-1);
      if (section === undefined) throw new Error(`${name} stands above the first section of shared/limits.ts`);
      const above = section.limits.at(-1);
      section.limits.push({ name, reason: above?.reason === reason ? "Belongs to the limit above." : reason });
    }
  }
  return sections.filter((section) => section.limits.length > 0);
}

const SIZES = [["PiB", 2 ** 50], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const;
const TIMES = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]] as const;

/** A value with its unit, which is the last word of its name. */
function inUnits(name: string, value: unknown): string {
  if (typeof value !== "number") throw new Error(`${name} is no number`);
  if (name.endsWith("_BYTES")) return inLargest(value, SIZES, "bytes");
  if (name.endsWith("_MS")) return inLargest(value, TIMES, "ms");
  if (name.endsWith("_CHARS")) return `${grouped(value)} characters`;
  return grouped(value);
}

/** In the largest unit of which it is a whole number. */
function inLargest(value: number, units: readonly (readonly [string, number])[], base: string): string {
  const unit = units.find(([, size]) => value >= size && value % size === 0);
  return unit === undefined ? `${grouped(value)} ${base}` : `${grouped(value / unit[1])} ${unit[0]}`;
}

function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

/** Names of limits in a reason as code; nothing in it is taken for a mark of Markdown. */
function link(reason: string, names: ReadonlySet<string>): string {
  return reason.replaceAll(/[A-Z0-9_]{4,}|[|*<>`]/g, (found) => {
    if (names.has(found)) return code(found);
    return found.length === 1 ? `\\${found}` : found;
  });
}

function code(text: string): string {
  return `\`${text}\``;
}

/** A Markdown table as \`deno fmt\` aligns it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |\n`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |\n`;
  return line(head) + rule + rows.map(line).join("");
}

if (import.meta.main) await writeFile(LIMITS_DOC, await limitsDoc());
