/** A real DNS server of the test's own (dnsmasq) on 127.0.0.1, with answers of its own. */
import { spawn } from "node:child_process";
import process from "node:process";
import { eventually } from "./processes.ts";
import { whyNoProgram } from "./needs.ts";
import { freePort } from "./sshd.ts";

/** Why there can be no DNS server, or nobody to ask it; undefined when there can. */
export function whyNoDns(): string | undefined {
  return whyNoProgram("dnsmasq", "dig");
}

/** What it knows. */
export const DNS = {
  /** Has the address 192.0.2.53. */
  name: "db.share.test",
  address: "192.0.2.53",
  /** Has texts of `largeBytes` in all: more than any datagram of a path through a relay carries. */
  large: "large.share.test",
  largeBytes: 3000,
} as const;

export class DnsServer implements Disposable {
  readonly port: number;
  readonly #stop: () => void;

  private constructor(port: number, stop: () => void) {
    this.port = port;
    this.#stop = stop;
  }

  /** Starts it, behind the words `via` (such as `ip netns exec NAME`) where given. */
  static async start(via: readonly string[] = []): Promise<DnsServer> {
    const port = await freePort();
    const texts = Array.from({ length: DNS.largeBytes / 250 }, (_, i) => `"${String(i % 10).repeat(250)}"`);
    const args = [
      "--no-daemon",
      "--conf-file=/dev/null",
      "--pid-file",
      "--no-resolv",
      "--no-hosts",
      `--port=${port}`,
      "--listen-address=127.0.0.1",
      "--bind-interfaces",
      "--edns-packet-max=4096",
      `--address=/${DNS.name}/${DNS.address}`,
      `--txt-record=${DNS.large},${texts.join(",")}`,
      ...(process.getuid?.() === 0 ? ["--user=root"] : []),
    ];
    const [program = "", ...words] = [...via, "dnsmasq", ...args];
    const child = spawn(program, words, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    });
    let said = "";
    child.stderr!.on("data", (chunk) => said += chunk);
    const server = new DnsServer(port, () => void child.kill());
    try {
      await eventually("dnsmasq", () => {
        if (child.exitCode !== null) throw new Error(said);
        return /started, version/.test(said);
      }, 5000);
      return server;
    } catch (error) {
      server[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}
