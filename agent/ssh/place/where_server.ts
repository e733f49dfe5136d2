/** Where the SSH server of a place is, seen from this machine, as the owner's own programs say. */
import { SSH_PLACE_REMOTE_TIMEOUT_MS, SSH_PLACE_TIMEOUT_MS } from "../../../shared/limits.ts";
import { isSshUser } from "../../../shared/ssh/messages.ts";
import { firstLine, lastLine, runProgram } from "./run_program.ts";
import { failure } from "./shells.ts";
import { isHostWord, isPort } from "./words.ts";

/** Where an SSH server is, and the user to log in as. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** @param words that lead ssh there @throws {SshError} `ssh-missing`, `ssh-place-failed` */
export async function serverOfHost(ssh: string, words: readonly string[], label: string): Promise<ServerAddress> {
  const ended = await runProgram({ program: ssh, words: ["-G", ...words], timeoutMs: SSH_PLACE_TIMEOUT_MS });
  const found = parseSshG(ended.stdout);
  if (/^proxy(jump|command) (?!none$)/m.test(ended.stdout)) {
    throw failure(
      `Your ssh reaches ${label} by way of another`,
      "ProxyJump or ProxyCommand",
      "The share has to reach its SSH server itself: run spanway on that host, or on one that reaches it.",
    );
  }
  if (ended.code === 0 && found !== undefined) return found;
  throw failure(`Your ssh cannot say where ${label} is`, lastLine(ended.stderr), `See what \`ssh -G ${label}\` says.`);
}

/** @throws {SshError} `ssh-missing`, `ssh-place-failed` */
export async function serverOfVagrant(
  vagrant: string,
  folder: string,
  machine: string | undefined,
): Promise<ServerAddress & { readonly name: string }> {
  const words = ["ssh-config", ...(machine === undefined ? [] : [machine])];
  const ended = await runProgram({ program: vagrant, words, cwd: folder, timeoutMs: SSH_PLACE_REMOTE_TIMEOUT_MS });
  const found = parseVagrantConfig(ended.stdout);
  const [first, ...others] = found;
  if (ended.code !== 0 || first === undefined) {
    const name = machine ?? "of this folder";
    throw failure(`The Vagrant machine ${name} is not ready`, firstLine(ended.stderr), "Start it: `vagrant up`.");
  }
  if (others.length === 0) return first;
  const names = found.map(({ name }) => name).join(", ");
  throw failure(
    `There are ${found.length} Vagrant machines in this folder`,
    names,
    "Name one: --target vagrant:MACHINE",
  );
}

/** What `ssh -G` prints, `keyword value` on each line; undefined when it is not that. */
export function parseSshG(text: string): ServerAddress | undefined {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf(" ");
    const keyword = line.slice(0, at);
    if (at > 0 && !values.has(keyword)) values.set(keyword, line.slice(at + 1));
  }
  return address(values.get("hostname"), values.get("port"), values.get("user"));
}

/** What `vagrant ssh-config` prints: a Host block for each machine that runs. */
export function parseVagrantConfig(text: string): readonly (ServerAddress & { readonly name: string })[] {
  const found: (ServerAddress & { readonly name: string })[] = [];
  for (const block of text.split(/^(?=Host )/m)) {
    const value = (keyword: string) => new RegExp(`^\\s*${keyword}\\s+"?([^"\\r\\n]*?)"?\\s*$`, "m").exec(block)?.[1];
    const name = value("Host");
    const server = address(value("HostName"), value("Port"), value("User"));
    if (name !== undefined && server !== undefined) found.push({ ...server, name });
  }
  return found;
}

function address(host = "", portText = "", user = ""): ServerAddress | undefined {
  const port = Number(portText);
  return isHostWord(host) && isPort(port) && isSshUser(user) ? { host, port, user } : undefined;
}
