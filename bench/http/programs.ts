/** Starts and measures the programs of a benchmark. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import process from "node:process";
import { findDeno } from "../../agent/bin/runtime.js";

const children: ChildProcess[] = [];

/** Starts a program and resolves with its first line of standard output that `pick` takes. */
export function start<T>(
  program: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  pick: (line: string) => T | undefined,
) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return new Promise<{ child: ChildProcess; picked: T }>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${program} ${args[0]} ended with ${code}`)));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const picked = pick(line);
      if (picked !== undefined) resolve({ child, picked });
    });
  });
}

/** Starts a script of this folder in Deno. */
export function startScript<T>(path: string, args: string[], pick: (line: string) => T | undefined) {
  return start(
    findDeno() ?? "deno",
    ["run", "-A", "--unstable-net", "--v8-flags=--expose-gc", path, ...args],
    {},
    pick,
  );
}

/** Ends everything that was started. */
export function stopAll(): void {
  for (const child of children) child.kill("SIGINT");
}

/** The process ids of a program and all under it. */
export function tree(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It ended meanwhile.
    }
  }
  const found = [pid];
  for (const one of found) for (const [child, parent] of parents) if (parent === one) found.push(child);
  return found;
}

/** Name and resident memory in MiB of each process of a tree. */
export function memory(pid: number): { name: string; pid: number; mib: number }[] {
  return tree(pid).map((one) => {
    const status = readFileSync(`/proc/${one}/status`, "utf8");
    const kib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
    return { name: /Name:\s+(.*)/.exec(status)?.[1] ?? "?", pid: one, mib: kib / 1024 };
  });
}

/** What wrk measured: requests a second, latencies in milliseconds, answers that were no success. */
export interface Load {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly bad: number;
}

/** Loads a URL with wrk, which looks no `*.localhost` up: they all go to 127.0.0.1. */
export function load(url: string, connections: number, seconds: number): Load {
  const { host, port, pathname } = new URL(url);
  const address = `http://127.0.0.1:${port}${pathname}`;
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "-H", `Host: ${host}`, address];
  const { stdout, error } = spawnSync("wrk", args, { encoding: "utf8" });
  if (error !== undefined) throw new Error("wrk is missing; on Debian: apt-get install wrk");
  const ms = (percent: number) => {
    const [, value = "0", unit = "ms"] = new RegExp(`${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(stdout) ?? [];
    return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit as "us" | "ms" | "s"];
  };
  const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? 0);
  return {
    rate: number(/Requests\/sec:\s+([\d.]+)/),
    p50: ms(50),
    p99: ms(99),
    bad: number(/Non-2xx or 3xx responses: (\d+)/) +
      (/Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? [])
        .reduce((sum, count) => sum + Number(count), 0),
  };
}

/** MB/s of one transfer with curl. */
export function transfer(args: string[], direction: "download" | "upload"): number {
  const { stdout, status } = spawnSync("curl", ["-sS", "-o", "/dev/null", "-w", `%{speed_${direction}}`, ...args], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`curl ended with ${status}`);
  return Number(stdout) / 1e6;
}
