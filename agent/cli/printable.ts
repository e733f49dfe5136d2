/** Text from strangers, made safe for a terminal. */

// C0 and C1 controls, line and paragraph separators, and what turns or hides the direction of writing.
// deno-lint-ignore no-control-regex -- control characters are what this is about
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/;
const UNPRINTABLE_ALL = new RegExp(UNPRINTABLE.source, "g");

/** `text` with everything that could steer a terminal written as `\xHH` or `\uHHHH`. */
export function printable(text: string): string {
  return UNPRINTABLE.test(text) ? text.replace(UNPRINTABLE_ALL, escapeChar) : text;
}

// A colour or another single rendition, as those of picocolors.
// deno-lint-ignore no-control-regex -- control characters are what this is about
const PAINT = /(\x1b\[\d{1,2}m)/;

/** One painted line of ours: as {@link printable}, but with `colors` what only paints stays. */
export function printableLine(text: string, colors: boolean): string {
  if (!UNPRINTABLE.test(text)) return text;
  if (!colors) return printable(text);
  return text.split(PAINT).map((part, index) => index % 2 === 1 ? part : printable(part)).join("");
}

function escapeChar(char: string): string {
  const code = char.charCodeAt(0);
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** One line of JSON that is safe on a terminal too: JSON itself escapes only C0. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value);
  return UNPRINTABLE.test(text) ? text.replace(UNPRINTABLE_ALL, escapeJsonChar) : text;
}

function escapeJsonChar(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** At most `width` characters of `text`: the start and the end stay, as both tell paths apart. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  const tail = Math.floor((width - 1) / 3);
  return `${text.slice(0, width - 1 - tail)}…${tail > 0 ? text.slice(-tail) : ""}`;
}
