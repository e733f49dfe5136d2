import type { LinkTarget } from "../../shared/link/ends.ts";

/**
 * The target that a person or a program means. The share's own name, NAME.spanway and localhost are the shared host itself;
 * everything else goes as it was typed: what it leads to the share decides.
 */
export function linkTarget(host: string, port: number, shareName: string): LinkTarget {
  const name = host.toLowerCase().replace(/\.$/, "");
  const itself = name === "localhost" || name === shareName || name === `${shareName}.spanway`;
  return { host: itself ? "" : host, port };
}

/** True for NAME.spanway of another share: a link leads to its own only. */
export function isOtherShare({ host }: LinkTarget): boolean {
  return /^[^.]+\.spanway\.?$/i.test(host);
}
