/**
 * The process that `unshare` has started in new namespaces, with all rights in them and none outside. It makes the device
 * and the listeners there, hands them to the agent, which stays outside, gives up its rights, and becomes the command.
 */
import process from "node:process";
import { configureLinuxDevice, openLinuxDevice, routeLinuxDevice, startLoopback } from "../device/linux_device.ts";
import { listenOn } from "../device/raw_listener.ts";
import { cString, cStrings, ERRNO, errno, type Libc, loadLibc } from "../device/libc.ts";
import { receiveFds, sendFds } from "../device/pass_fds.ts";
import { TunError } from "../../errors.ts";
import { parseIp } from "../../reach/ip.ts";
import { addressBytes } from "../addresses.ts";
import { INSIDE, INSIDE_IPS, INSIDE_VARIABLE, type InsidePlan } from "./inside_plan.ts";

const MS_BIND = 4096n;
const PR_SET_PDEATHSIG = 1;
const PR_SET_SECUREBITS = 28;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4n;
/** Root gets nothing for being root, now and later (capabilities(7)). */
const SECBITS_NOROOT = 0b11n;
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const SIGKILL = 9n;
const SIGPIPE = 13;
const SIG_DFL = 0n;

/** Becomes the command; returns its exit code where it cannot be started. */
export async function enter(): Promise<number> {
  const plan: InsidePlan = JSON.parse(Deno.readTextFileSync(process.env[INSIDE_VARIABLE]!));
  const libc = loadLibc(plan.libc);
  const parent = libc.getppid();
  // An agent that was killed serves nothing any more: neither shall this go on.
  libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0n, 0n, 0n);
  try {
    const opened = await open(libc, plan);
    if (!sendFds(libc, plan.socket, JSON.stringify({ v6: opened.v6 }), opened.fds)) return 1;
  } catch (error) {
    const { code, message, hint } = TunError.from(error);
    sendFds(libc, plan.socket, JSON.stringify({ error: { code, message, hint } }), []);
    return 1;
  }
  // The agent has them and serves them.
  if (await receiveFds(libc, plan.socket) === undefined) return 1;
  libc.close(plan.socket);
  giveUpRights(libc);
  closeWithExec(libc);
  // It may have died before that was asked for.
  if (libc.getppid() !== parent) return 1;
  return become(libc, plan);
}

async function open(libc: Libc, plan: InsidePlan): Promise<{ fds: number[]; v6: boolean }> {
  startLoopback(libc);
  const device = openLinuxDevice(libc, "spanway%d");
  const { v6 } = await configureLinuxDevice(libc, device.name, INSIDE_IPS);
  routeLinuxDevice(libc, device.name, plan.internet ? "everything" : addressBytes(parseIp(INSIDE.resolver)!));
  allowPing();
  for (const [ours, theirs] of plan.files) {
    if (libc.mount(cString(ours), cString(theirs), 0n, MS_BIND, 0n) < 0 && errno(libc) !== ERRNO.ENOENT) {
      throw new Error(`${theirs} cannot be replaced in the namespace (error ${errno(libc)})`);
    }
  }
  const listeners = [listenOn(libc, INSIDE_IPS.own4), ...(v6 ? [listenOn(libc, INSIDE_IPS.own6)] : [])];
  return { fds: [device.fd, ...listeners], v6 };
}

/** Everybody may ping without rights (icmp(7)); where that cannot be, ping says so itself. */
function allowPing(): void {
  try {
    const group = process.getgid!();
    Deno.writeTextFileSync("/proc/sys/net/ipv4/ping_group_range", `${group} ${group}`);
  } catch {
    // A system that shows no such file.
  }
}

function giveUpRights(libc: Libc): void {
  libc.prctl(PR_SET_SECUREBITS, SECBITS_NOROOT, 0n, 0n, 0n);
  libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0n, 0n, 0n);
  // Whoever has rights in files gets none of them.
  libc.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n);
  // struct __user_cap_header_struct, and two of __user_cap_data_struct.
  const header = new Uint8Array(new Uint32Array([LINUX_CAPABILITY_VERSION_3, 0]).buffer);
  libc.capset(header, new Uint8Array(24));
}

/** The command gets the standard streams only: not the channel to the launcher, nor what a runtime keeps open. */
function closeWithExec(libc: Libc): void {
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    if (Number(name) > 2) libc.fcntl(Number(name), F_SETFD, FD_CLOEXEC);
  }
}

function become(libc: Libc, { command, env }: InsidePlan): number {
  const all: Record<string, string | null> = { ...Deno.env.toObject(), [INSIDE_VARIABLE]: null, ...env };
  const variables = Object.entries(all).flatMap(([name, value]) => value === null ? [] : [`${name}=${value}`]);
  // Runtimes ignore it, and what is ignored stays so.
  libc.signal(SIGPIPE, SIG_DFL);
  const words = cStrings(libc, command);
  const environment = cStrings(libc, variables);
  const places = placesOf(command[0]!, all["PATH"] ?? "/usr/local/bin:/usr/bin:/bin");
  for (const place of places) libc.execve(cString(place), words.list, environment.list);
  const missing = places.length === 0;
  process.stderr.write(`spanway: ${command[0]}: ${missing ? "there is no such command" : "it cannot be started"}\n`);
  // As shells have it.
  return missing ? 127 : 126;
}

/** The files that a command may be, in the order of the directories. */
function placesOf(command: string, path: string): string[] {
  const places = command.includes("/") ? [command] : path.split(":").map((dir) => `${dir || "."}/${command}`);
  return places.filter((place) => {
    try {
      return Deno.statSync(place).isFile;
    } catch {
      return false;
    }
  });
}
