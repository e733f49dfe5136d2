import type { EdgeReport } from "../../shared/edge_info.ts";
import { errorMessage } from "../../shared/errors.ts";
import { EDGE_HEARTBEAT_MS, RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from "../../shared/limits.ts";
import type { ServiceClient } from "./service_client.ts";

/** Keeps an edge known to the service: at once, at every heartbeat, sooner after a failure, and when told to. */
export class Registrar {
  readonly #client: ServiceClient;
  readonly #describe: () => EdgeReport;
  readonly #tell: (problem: string | undefined) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retry = RECONNECT_FIRST_MS;
  #known: boolean | undefined;
  #stopped = false;

  /** `tell` hears of each change: undefined when the edge became known, else why it is not. */
  constructor(client: ServiceClient, describe: () => EdgeReport, tell: (problem: string | undefined) => void) {
    this.#client = client;
    this.#describe = describe;
    this.#tell = tell;
  }

  /** Registers now. Resolves after the attempt, however it went. Never rejects. */
  async now(): Promise<void> {
    clearTimeout(this.#timer);
    let next = EDGE_HEARTBEAT_MS;
    try {
      await this.#client.register(this.#describe());
      this.#retry = RECONNECT_FIRST_MS;
      this.#change(true, undefined);
    } catch (error) {
      next = this.#retry;
      this.#retry = Math.min(this.#retry * 2, RECONNECT_MAX_MS);
      this.#change(false, errorMessage(error));
    }
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.now(), next);
  }

  /** Takes the edge off the service's list, if it is on it: agents would try it in vain. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.#known) await this.#client.unregister(this.#describe().instance).catch(() => {});
  }

  #change(known: boolean, problem: string | undefined): void {
    if (this.#stopped || this.#known === known) return;
    this.#known = known;
    this.#tell(problem);
  }
}
