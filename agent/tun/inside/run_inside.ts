/** `connect --exec` and `--shell`: a command in namespaces of its own, where the share has an address. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  HOSTS_FILE_MAX_BYTES,
  INSIDE_GRACE_MS,
  INSIDE_SETTLE_MS,
  INSIDE_START_TIMEOUT_MS,
  RESOLV_CONF_MAX_BYTES,
} from "../../../shared/limits.ts";
import type { InsideOptions } from "../../cli/options.ts";
import { TunError } from "../../errors.ts";
import { readText } from "../../home/files.ts";
import { launched } from "../../launched.ts";
import { addressKind } from "../../reach/address_kind.ts";
import { parseIp } from "../../reach/ip.ts";
import { formatAddressBytes } from "../addresses.ts";
import { FdDevice } from "../device/fd_device.ts";
import { type Libc, linuxCalls, loadLibc } from "../device/libc.ts";
import { receiveFds, sendFds, socketPair } from "../device/pass_fds.ts";
import { type PingTunnel, TunFront } from "../tun_front.ts";
import { type DnsServer, serveDns } from "../names/dns_server.ts";
import { dnsForwarder } from "../names/forwarder.ts";
import { INSIDE, INSIDE_IPS, INSIDE_VARIABLE, type InsidePlan } from "./inside_plan.ts";
import { Outside } from "./outside.ts";
import { shellPlan } from "./shell_plan.ts";

/** Where names are looked up. */
const DNS_PORT = 53;
/** New user, network and mount namespaces in which we are who we are, with all rights as long as we do not give them up. */
const UNSHARE = ["--user", "--map-current-user", "--net", "--mount", "--keep-caps", "--"];

export interface InsideSurroundings {
  readonly tunnel: PingTunnel;
  readonly name: string;
  /** Aborted: the command is asked to end, and then made to. */
  readonly signal: AbortSignal;
  /** From here on Ctrl-C is for the command. */
  leaveInterrupts(): void;
}

/**
 * Runs it on this terminal, until it ends.
 * @returns its exit code; 128 and more when a signal ended it
 * @throws {TunError} when there can be no namespace
 */
export async function runInside(options: InsideOptions, around: InsideSurroundings): Promise<number> {
  const { programs, runDir, tun } = launched();
  const unshare = programs["unshare"];
  if (
    !("Deno" in globalThis) || unshare === undefined || runDir === undefined || tun?.libc === undefined || !tun.deno
  ) {
    throw new TunError("tun-unsupported", "--exec and --shell need Linux with unshare, and Deno to run on.", {
      hint: "Install util-linux and leave SPANWAY_RUNTIME unset, or use SOCKS or --map.",
    });
  }
  await checkNamespaces(unshare);
  const libc = loadLibc(tun.libc);
  const { ours, theirs } = socketPair(libc);
  const stop = new AbortController();
  const opened: { close(): void }[] = [];
  try {
    const hosts = join(runDir, "hosts");
    const resolvConf = join(runDir, "resolv.conf");
    const planFile = join(runDir, "plan.json");
    await writeFile(hosts, "");
    await writeFile(resolvConf, `nameserver ${INSIDE.resolver}\noptions edns0\n`);
    const { command, env } = options.command.length > 0
      ? { command: options.command, env: {} }
      : await shellPlan(around.name, runDir);
    const plan: InsidePlan = {
      libc: tun.libc,
      socket: theirs,
      internet: options.internet,
      files: [[hosts, "/etc/hosts"], [resolvConf, "/etc/resolv.conf"]],
      command,
      env: { ...tun.env, SPANWAY_SHARE: around.name, ...env },
    };
    await writeFile(planFile, JSON.stringify(plan), { mode: 0o600 });
    const child = new Deno.Command(unshare, {
      args: [...UNSHARE, tun.deno, ...denoWords(), tun.entry],
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
      env: { [INSIDE_VARIABLE]: planFile },
    }).spawn();
    libc.close(theirs);
    const ended = child.status.then(({ code }) => code);
    const inside = await Promise.race([openedInside(libc, ours), ended.then(() => undefined)]);
    if (inside === undefined) throw cannotStart();
    const v6 = inside.listener6 !== undefined;
    await writeFile(hosts, await hostsText(around.name, v6));
    const resolver = await insideResolver(around.name, options.internet, v6);
    opened.push(resolver);
    const outside = new Outside((target) => {
      if (target.host === INSIDE.resolver) return target.port === DNS_PORT ? resolver.address : undefined;
      return options.internet && isOrdinary(target.host) ? target : undefined;
    }, stop.signal);
    const front = await serve(libc, inside, around.tunnel, outside);
    opened.push(front);
    around.leaveInterrupts();
    const end = endOnSignal(child, around.signal);
    sendFds(libc, ours, "go", []);
    try {
      const code = await ended;
      // What the command has closed is said to the far side, too.
      await front.settled(INSIDE_SETTLE_MS);
      return code;
    } finally {
      end.cancel();
    }
  } finally {
    stop.abort();
    for (const each of opened) each.close();
    libc.close(ours);
  }
}

/** What the process in the namespace has opened. */
interface Opened {
  readonly device: number;
  readonly listener4: number;
  readonly listener6: number | undefined;
}

async function openedInside(libc: Libc, socket: number): Promise<Opened | undefined> {
  const message = await receiveFds(libc, socket);
  if (message === undefined) return undefined;
  const { error } = JSON.parse(message.text) as { readonly error?: TunError };
  if (error !== undefined) {
    throw new TunError(error.code, error.message, { hint: error.hint ?? "Use SOCKS or --map instead." });
  }
  const [device, listener4, listener6] = message.fds;
  return { device: device!, listener4: listener4!, listener6 };
}

function serve(
  libc: Libc,
  { device, listener4, listener6 }: Opened,
  tunnel: PingTunnel,
  outside: Outside,
): Promise<TunFront> {
  const listen = (fd: number) => ({ host: "", port: 0, fd });
  return TunFront.open({
    device: new FdDevice(linuxCalls(libc), "spanway0", device),
    v4: { own: INSIDE_IPS.own4, share: INSIDE_IPS.share4, listen: listen(listener4) },
    v6: listener6 === undefined
      ? undefined
      : { own: INSIDE_IPS.own6, share: INSIDE_IPS.share6, listen: listen(listener6) },
    tunnel,
    outside,
  });
}

/** Neither this machine's own loopback addresses nor others that lead somewhere special, such as a cloud's metadata. */
function isOrdinary(host: string): boolean {
  const ip = parseIp(host);
  return ip !== undefined && addressKind(ip) === "ordinary";
}

/** Answers questions for the share's name, and, where everything can be reached, hands on all others. */
async function insideResolver(name: string, internet: boolean, v6: boolean): Promise<DnsServer> {
  const { share4, share6 } = INSIDE_IPS;
  const text = internet ? await readText("/etc/resolv.conf", RESOLV_CONF_MAX_BYTES).catch(() => undefined) : undefined;
  const forward = text === undefined ? undefined : dnsForwarder(text);
  return await serveDns({ host: "127.0.0.1", port: 0 }, { name, v4: share4, v6: v6 ? share6 : undefined }, forward);
}

/** Whether this system lets us make namespaces. */
function checkNamespaces(unshare: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(
      unshare,
      [...UNSHARE, "/bin/true"],
      { env: {}, timeout: INSIDE_START_TIMEOUT_MS },
      (error) => {
        if (error === null) resolve();
        else {
          reject(
            new TunError(
              "tun-not-permitted",
              "This system lets you make no namespaces, which --exec and --shell need.",
              {
                hint: "An administrator can: sysctl user.max_user_namespaces=10000, and on Ubuntu " +
                  "kernel.apparmor_restrict_unprivileged_userns=0. Or use --map.",
                cause: error,
              },
            ),
          );
        }
      },
    );
  });
}

/** The command ends with us: asked first. */
function endOnSignal(child: Deno.ChildProcess, signal: AbortSignal): { cancel(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const kill = (how: Deno.Signal) => {
    try {
      child.kill(how);
    } catch {
      // It has ended.
    }
  };
  const end = () => {
    // What interactive shells end by, and what all others do.
    kill("SIGHUP");
    kill("SIGTERM");
    timer = setTimeout(() => kill("SIGKILL"), INSIDE_GRACE_MS);
  };
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  return {
    cancel() {
      signal.removeEventListener("abort", end);
      clearTimeout(timer);
    },
  };
}

/** This machine's file of host names, and the share's. */
async function hostsText(name: string, v6: boolean): Promise<string> {
  const text = await readText("/etc/hosts", HOSTS_FILE_MAX_BYTES).catch(() => undefined) ?? "127.0.0.1 localhost\n";
  const { share4, share6 } = INSIDE_IPS;
  const names = `${name}.spanway ${name}`;
  const lines = [share4, ...(v6 ? [share6] : [])].map((address) => `${formatAddressBytes(address)} ${names}\n`);
  return `${lines.join("")}${text}`;
}

function denoWords(): string[] {
  return [
    "run",
    "--quiet",
    "--no-config",
    "--no-lock",
    "--no-remote",
    "--no-prompt",
    "--node-modules-dir=manual",
    "--unstable-net",
    // It becomes the person's command in a moment, which no fence is around.
    "--allow-all",
  ];
}

function cannotStart(): TunError {
  return new TunError("tun-failed", "The namespace ended before its command could start.", {
    hint: "Use SOCKS or --map instead.",
  });
}
