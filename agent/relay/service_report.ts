import { EARLY_EVENTS_MAX } from "../../shared/limits.ts";
import type { Output } from "../cli/output.ts";
import { printable } from "../cli/printable.ts";
import type { ServiceEvent } from "./service.ts";

/** Says what happens in a service, to people and to programs, from the moment on that it was said to be ready. */
export class ServiceReport {
  readonly #output: Output;
  readonly #alone: boolean;
  /** Agents may be back before the relay has told that it is; undefined once it has. */
  #early: ServiceEvent[] | undefined = [];

  /** @param alone the Worker has no edge in front */
  constructor(output: Output, alone = false) {
    this.#output = output;
    this.#alone = alone;
  }

  /** The first line has been written: now the others. */
  ready(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) this.tell(event);
  }

  readonly tell = (event: ServiceEvent): void => {
    const output = this.#output;
    if (this.#early !== undefined) {
      if (this.#early.length < EARLY_EVENTS_MAX) this.#early.push(event);
      return;
    }
    switch (event.event) {
      case "attached": {
        const { name, session } = event.share;
        const from = session.remoteAddress ?? "unknown";
        output.event("attached", { name, transport: session.transport, from, shares: event.shares });
        if (!output.quiet) {
          output.line(`  ${output.colors.green("+")} ${printable(name)}  ${output.colors.dim(via(session))}`);
        }
        return;
      }
      case "detached":
        output.event("detached", { name: event.share.name, reason: event.reason, shares: event.shares });
        if (!output.quiet) {
          output.line(`  ${output.colors.dim("-")} ${printable(event.share.name)}  ${output.colors.dim("left")}`);
        }
        return;
      case "connected": {
        const { name, session, fingerprint } = event.connector;
        const from = session.remoteAddress ?? "unknown";
        const { connectors, lanes } = event;
        output.event("connected", { name, fingerprint, transport: session.transport, from, connectors, lanes });
        if (!output.quiet) {
          output.line(`  ${output.colors.green(">")} ${printable(name)}  ${output.colors.dim(via(session))}`);
        }
        return;
      }
      case "disconnected": {
        const { connector: { name, fingerprint }, reason, connectors, lanes } = event;
        output.event("disconnected", { name, fingerprint, reason, connectors, lanes });
        if (!output.quiet) output.line(`  ${output.colors.dim("<")} ${printable(name)}  ${output.colors.dim("left")}`);
        return;
      }
      case "refused":
        output.event("refused", { reason: event.reason, count: event.count });
        return;
      case "registered":
        output.event("edge", { registered: event.problem === undefined, ...withProblem(event.problem) });
        return;
      case "worker-exit":
        output.event("worker", { state: "restarting", reason: event.reason, restartInMs: event.restartInMs });
        output.warn(
          `The Worker ended (${event.reason}); it is started again.`,
          this.#alone ? "Shares come back by themselves." : "Attached shares go on being served.",
        );
        return;
      case "worker-ready":
        output.event("worker", { state: "ready" });
        output.note("The Worker runs again.");
        return;
      case "worker-log":
        output.event("worker-log", { line: event.line });
        return;
    }
  };
}

function via(session: { readonly transport: string; readonly remoteAddress: string | undefined }): string {
  return `${session.transport === "h3" ? "WebTransport" : "WebSocket"} from ${
    printable(session.remoteAddress ?? "unknown")
  }`;
}

function withProblem(problem: string | undefined): { problem?: string } {
  return problem === undefined ? {} : { problem };
}
