/**
 * OpenSSH arranged like spanway: the server's machine holds ports open at the relay (`ssh -R`), the client's machine leads
 * local ports to them (`ssh -L`), and the relay runs sshd.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { freePort, Sshd } from "../../tests/support/sshd.ts";
import { eventually } from "../../tests/support/processes.ts";
import { descendantsOf, memoryOf } from "../../tests/support/spanway.ts";

export class SshChain implements Disposable {
  /** Local ports, in the order of the server's. */
  readonly ports: readonly number[];
  readonly #sshd: Sshd;
  readonly #agent: ChildProcess;
  readonly #connector: ChildProcess;

  private constructor(ports: readonly number[], sshd: Sshd, agent: ChildProcess, connector: ChildProcess) {
    this.ports = ports;
    this.#sshd = sshd;
    this.#agent = agent;
    this.#connector = connector;
  }

  static async start(servers: readonly number[]): Promise<SshChain> {
    const sshd = await Sshd.start();
    const relay = await Promise.all(servers.map(freePort));
    const local = await Promise.all(servers.map(freePort));
    const ssh = (forwards: string[]) =>
      spawn("ssh", ["-N", "-o", "ExitOnForwardFailure=yes", ...forwards, ...sshd.direct], {
        stdio: ["ignore", "inherit", "inherit"],
      });
    const agent = ssh(servers.flatMap((port, i) => ["-R", `127.0.0.1:${relay[i]}:127.0.0.1:${port}`]));
    await Promise.all(relay.map(listening));
    const connector = ssh(local.flatMap((port, i) => ["-L", `127.0.0.1:${port}:127.0.0.1:${relay[i]}`]));
    await Promise.all(local.map(listening));
    return new SshChain(local, sshd, agent, connector);
  }

  /** Resident memory in bytes of each part, with all of its processes. */
  memory(): Record<"connector" | "relay" | "share", number> {
    const all = (pid: number) =>
      [pid, ...descendantsOf(pid).map((each) => each.pid)].reduce((sum, each) => sum + memoryOf(each), 0);
    return { connector: all(this.#connector.pid!), relay: all(this.#sshd.pid), share: all(this.#agent.pid!) };
  }

  [Symbol.dispose](): void {
    this.#connector.kill();
    this.#agent.kill();
    this.#sshd[Symbol.dispose]();
  }
}

async function listening(port: number): Promise<void> {
  await eventually(`port ${port}`, async () => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => undefined);
    connection?.close();
    return connection !== undefined;
  });
}
