import { statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import process from "node:process";
import { SpanwayError } from "../../shared/errors.ts";

/**
 * The path of the workerd binary: `SPANWAY_WORKERD` if set, else the npm package `workerd` beside or above this one, else
 * `workerd` in the PATH.
 * @throws {SpanwayError} `workerd-missing`
 */
export function findWorkerd(): string {
  const chosen = process.env["SPANWAY_WORKERD"];
  if (chosen !== undefined && chosen !== "") {
    if (executable(chosen)) return chosen;
    throw new SpanwayError("workerd-missing", `SPANWAY_WORKERD names no program: ${chosen}`, {
      hint: "Correct it, or unset it to use the npm package workerd.",
    });
  }
  const found = fromPackage() ?? fromPath();
  if (found !== undefined) return found;
  throw new SpanwayError(
    "workerd-missing",
    "workerd, which runs the share service on this machine, is not installed.",
    {
      hint: "Install it with `npm install -g workerd`. Only `spanway relay` and `spanway up` need it.",
    },
  );
}

function fromPackage(): string | undefined {
  try {
    // The package exports the path of the binary for this platform.
    const exported: { default?: unknown } = createRequire(import.meta.url)("workerd");
    return typeof exported.default === "string" && executable(exported.default) ? exported.default : undefined;
  } catch {
    return undefined;
  }
}

function fromPath(): string | undefined {
  const file = process.platform === "win32" ? "workerd.exe" : "workerd";
  return (process.env["PATH"] ?? "").split(delimiter).filter((dir) => dir !== "").map((dir) => join(dir, file))
    .find(executable);
}

/** True when `path` is a file. Whether it can be run is seen when it is: asking needs more rights than running it. */
export function executable(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
