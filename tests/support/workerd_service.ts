/** The service on plain workerd, with no process of ours around it: on a port that it keeps when it is started again. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningWorkerd, startWorkerd } from "../../worker/host/workerd.ts";

export class WorkerdService implements AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** What the Worker has logged. */
  readonly log: string[] = [];
  readonly #dir = mkdtempSync(join(tmpdir(), "spanway-workerd-"));
  #workerd: RunningWorkerd | undefined;

  private constructor(port: number) {
    this.port = port;
    this.url = `http://localhost:${port}`;
  }

  static async start(): Promise<WorkerdService> {
    const service = new WorkerdService(await freePort());
    await service.start();
    return service;
  }

  async start(): Promise<void> {
    this.#workerd = await startWorkerd({
      dataDir: this.#dir,
      listen: { host: "127.0.0.1", port: this.port },
      bindings: {
        SPANWAY_SERVICE_KEY: SERVICE_KEY,
        SPANWAY_DOMAIN: "localhost",
        SPANWAY_ORIGINS: `${this.url},http://127.0.0.1:${this.port}`,
        SPANWAY_TRACE: "objects",
      },
      onLog: (line) => this.log.push(line),
    });
  }

  /** Ends workerd as an update does. */
  async stop(): Promise<void> {
    await this.#workerd?.stop();
  }

  /** How often the object of a share was loaded so far. */
  get loads(): number {
    return this.log.filter((line) => line.includes('"object-loaded"')).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** For edges of this service. */
export const SERVICE_KEY = "the-service-key-of-these-tests";

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
