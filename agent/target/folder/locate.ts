/**
 * From the path of a request to a file of the shared folder, or to nothing. Everything that is not plainly a visible file
 * or folder inside the root is "nothing": visitors cannot tell hidden from absent.
 */
import { realpath, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import process from "node:process";
import { FOLDER_PATH_DEPTH_MAX } from "../../../shared/limits.ts";

/** What a path leads to. `path` is real: absolute, without symbolic links. */
export type Located =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "folder"; readonly path: string; readonly segments: readonly string[] }
  /** A folder asked for without the slash at its end; relative links in it need the slash. */
  | { readonly kind: "add-slash" }
  | { readonly kind: "bad" }
  | { readonly kind: "nothing" };

const NOTHING = { kind: "nothing" } as const;
const BAD = { kind: "bad" } as const;

// No control characters, and no backslash: some systems take it for a slash.
// deno-lint-ignore no-control-regex -- control characters are what this is about
const FORBIDDEN = /[\x00-\x1f\x7f\\/]/;
// Drive letters, alternate streams, and names that Windows shortens to others.
const FORBIDDEN_ON_WINDOWS = /[:*?"<>|]|[. ]$/;

/**
 * The names in the path of a request target, decoded; the last is empty after a slash. Undefined when it is not an
 * absolute path, or has a name in it that no visible file can have.
 */
export function pathSegments(requestTarget: string): readonly string[] | undefined {
  const path = requestTarget.split(/[?#]/, 1)[0] ?? "";
  if (!path.startsWith("/")) return undefined;
  const raw = path.slice(1).split("/");
  if (raw.length > FOLDER_PATH_DEPTH_MAX) return undefined;
  const segments: string[] = [];
  for (const [index, part] of raw.entries()) {
    let segment: string;
    try {
      segment = decodeURIComponent(part);
    } catch {
      return undefined;
    }
    const last = index === raw.length - 1;
    if (segment === "" && !last) return undefined;
    if (FORBIDDEN.test(segment) || isHidden(segment)) return undefined;
    if (process.platform === "win32" && FORBIDDEN_ON_WINDOWS.test(segment)) return undefined;
    segments.push(segment);
  }
  return segments;
}

/** Dot files, and with them `.` and `..`. */
export function isHidden(name: string): boolean {
  return name.startsWith(".");
}

/** What may be shown, as real paths. */
export interface Bounds {
  readonly root: string;
  /** Paths inside which nothing is shown. */
  readonly excluded: readonly string[];
}

/**
 * The real paths behind a root and what is excluded from it. To be asked for anew with every request: build tools delete
 * and remake the folder that is shared.
 * @throws when the root does not exist
 */
export async function findBounds(root: string, excluded: readonly string[]): Promise<Bounds> {
  const real = await Promise.all(excluded.map((path) => realpath(path).catch(() => undefined)));
  return { root: await realpath(root), excluded: real.filter((path) => path !== undefined) };
}

/** Finds what `requestTarget` (as in the request line) means. Never rejects. */
export async function locate(bounds: Bounds, requestTarget: string): Promise<Located> {
  if (!requestTarget.startsWith("/")) return BAD;
  const segments = pathSegments(requestTarget);
  if (segments === undefined) return NOTHING;
  const wantsFolder = segments.at(-1) === "";
  try {
    const path = await realpath(join(bounds.root, ...segments));
    if (!isVisible(bounds, path)) return NOTHING;
    const info = await stat(path);
    if (info.isDirectory()) {
      return wantsFolder ? { kind: "folder", path, segments: segments.slice(0, -1) } : { kind: "add-slash" };
    }
    // Pipes, sockets and devices are no files to hand out; opening one can hang.
    return info.isFile() && !wantsFolder ? { kind: "file", path } : NOTHING;
  } catch {
    return NOTHING;
  }
}

/** Whether a real path may be shown: inside the root, nothing hidden on the way, not excluded. */
export function isVisible(bounds: Bounds, path: string): boolean {
  return isInside(bounds.root, path) && !relative(bounds.root, path).split(sep).some(isHidden) &&
    !bounds.excluded.some((excluded) => isInside(excluded, path));
}

function isInside(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}
