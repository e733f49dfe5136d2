import { errorCode, type LinkError, type LinkErrorCode } from "../../shared/errors.ts";
import { TROUBLE_TOLD_AFTER_MS } from "../../shared/limits.ts";
import type { LinkTarget } from "../../shared/link/ends.ts";
import type { Fallback } from "../../shared/transport/connect.ts";
import { formatBytes } from "../cli/format_bytes.ts";
import type { Output, Pair } from "../cli/output.ts";
import { printable } from "../cli/printable.ts";
import { hostPort } from "../target/target.ts";
import type { PathEvent } from "./path_controller.ts";
import { Repeats } from "./repeats.ts";

/** What is known once a share is reached. */
export interface ConnectReady {
  readonly name: string;
  readonly fingerprint: string;
  /** True when its identity was seen for the first time, and not given beforehand. */
  readonly firstUse: boolean;
  /** Where SOCKS5 is served, as host:port. */
  readonly socks: string | undefined;
  /** Where the share itself is, or where its ports are mirrored. */
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  /** The network device behind the address, where this connection carries it. */
  readonly device: string | undefined;
  /** By which this machine knows the address, and how it can come to. */
  readonly hostname: string | undefined;
  readonly hint: string | undefined;
  readonly forwards: readonly { readonly local: string; readonly target: string }[];
}

const MUTE: Pick<Output, "line" | "note" | "warn" | "pairs"> = { line() {}, note() {}, warn() {}, pairs() {} };

/** Says what happens to a connection, to people and to programs. */
export class ConnectReport {
  readonly #output: Output;
  readonly #name: string;
  readonly #say: Pick<Output, "line" | "note" | "warn" | "pairs">;
  #path: Extract<PathEvent, { event: "attached" }> | undefined;
  #measured = 0;
  readonly #repeats = new Repeats(() => performance.now());
  /** What is told unless something final follows at once. */
  #trouble:
    | { readonly message: string; readonly hint: string | undefined; readonly timer: ReturnType<typeof setTimeout> }
    | undefined;
  #ready = false;
  /** There is a link whose connections a new path can save. */
  #linked = false;
  #streams = 0;
  #bytesIn = 0;
  #bytesOut = 0;

  /** @param silent say nothing to people that is no error: another program has the terminal */
  constructor(output: Output, name: string, silent: boolean) {
    this.#output = output;
    this.#say = silent ? MUTE : output;
    this.#name = name;
  }

  /** The share is reached and everything local listens. */
  ready(ready: ConnectReady): void {
    const output = this.#output;
    const path = this.#path;
    output.event("ready", {
      socks: ready.socks ?? null,
      ip: ready.ip ?? null,
      ip6: ready.ip6 ?? null,
      device: ready.device ?? null,
      hostname: ready.hostname ?? null,
      path: "relay",
      transport: path?.transport ?? null,
      edge: path?.edge.id ?? null,
      region: path?.edge.region ?? null,
      name: ready.name,
      fingerprint: ready.fingerprint,
      forwards: ready.forwards,
    });
    this.#ready = true;
    if (path !== undefined) this.#tellPath(path);
    const pairs: Pair[] = [["Share", ready.name], ["Identity", ready.fingerprint]];
    if (ready.socks !== undefined) pairs.push(["SOCKS address", ready.socks, output.colors.cyan]);
    if (ready.ip !== undefined) pairs.push(["Machine IP", ready.ip, output.colors.cyan]);
    if (ready.ip6 !== undefined) pairs.push(["", ready.ip6, output.colors.cyan]);
    if (ready.hostname !== undefined) pairs.push(["Machine name", ready.hostname, output.colors.cyan]);
    for (const { local, target } of ready.forwards) pairs.push(["Forward", `${local} -> ${target}`]);
    if (path !== undefined) pairs.push(["Path", pathText(path)]);
    this.#say.line();
    this.#say.pairs(pairs);
    this.#say.line();
    if (ready.firstUse) {
      output.warn(
        "This identity is seen for the first time and is remembered from now on.",
        `Compare it with what the owner sees, or connect with the whole code: ${ready.name}#FINGERPRINT`,
      );
    }
    if (ready.hint !== undefined) this.#say.note(ready.hint);
    this.#say.note("Encrypted from end to end. Ctrl-C ends the connection.");
    if (!output.quiet) this.#say.line();
  }

  /** The person's code was right, and what was remembered of the share was not. */
  remembersAnew(): void {
    this.#say.note("Another identity was remembered of this share; from now on it is the one of the code.");
  }

  /** A change of the path, the link or a connection. `warns`: a connection's failure is told to people, too. */
  event(event: PathEvent, warns = true): void {
    const output = this.#output;
    switch (event.event) {
      case "attached":
        this.#path = event;
        // What programs read first is that everything is ready.
        if (this.#ready) this.#tellPath(event);
        this.#tellTrouble();
        if (event.fallback !== undefined) this.#warnOfFallback(event.fallback);
        if (this.#ready) this.#say.line(output.colors.green(`Connected again, ${pathText(event)}.`));
        return;
      case "linked":
        this.#linked = true;
        return;
      case "lost":
        if (this.#ready) output.event("path", { state: "lost", code: event.code, message: event.message });
        if (this.#linked) this.#hold(`${event.message} Looking for another way; connections are kept.`);
        return;
      case "waiting":
        if (this.#ready) output.event("path", { state: "waiting", code: event.code, message: event.message });
        this.#tellTrouble();
        this.#say.note(`${printable(event.message)} Trying again.`);
        return;
      case "broken":
        return this.#broken(event.error);
      case "roundTrip":
        return this.#roundTrip(event.ms);
      case "ports":
        output.event("ports", { tcp: event.ports.tcp, udp: event.ports.udp });
        return;
      case "stream":
        return this.#stream(event, warns);
    }
  }

  /** Nothing that is still held back is told. Idempotent. */
  close(): void {
    clearTimeout(this.#trouble?.timer);
    this.#trouble = undefined;
  }

  /** The command is over: somebody interrupted it, or its only connection has ended. */
  ended(reason: "interrupted" | "ended" = "interrupted"): void {
    this.close();
    const output = this.#output;
    output.event("closed", {
      reason,
      streams: this.#streams,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    });
    const count = `${this.#streams} connection${this.#streams === 1 ? "" : "s"}`;
    this.#say.line(
      `Disconnected from ${printable(this.#name)}; ${count}, ${formatBytes(this.#bytesIn)} in, ${
        formatBytes(this.#bytesOut)
      } out.`,
    );
  }

  #tellPath({ transport, edge, resumed, fallback }: Extract<PathEvent, { event: "attached" }>): void {
    this.#output.event("path", {
      state: "attached",
      transport,
      edge: edge.id,
      region: edge.region,
      resumed,
      ...(fallback === undefined ? {} : { fallback: fallback.message }),
    });
  }

  #broken(error: LinkError): void {
    this.#linked = false;
    const { code, message } = error;
    if (this.#ready) this.#output.event("path", { state: "broken", code: errorCode(error), message });
    if (code !== "link-closed" || this.#ready) this.#hold(message, error.hint);
  }

  /** Something broke. It may be that the share has ended, which is known in a moment and is then all there is to say. */
  #hold(message: string, hint?: string): void {
    clearTimeout(this.#trouble?.timer);
    const timer = setTimeout(() => this.#tellTrouble(), TROUBLE_TOLD_AFTER_MS);
    this.#trouble = { message, hint, timer };
  }

  #tellTrouble(): void {
    const trouble = this.#trouble;
    this.close();
    if (trouble !== undefined) this.#say.warn(trouble.message, trouble.hint);
  }

  #roundTrip(ms: number): void {
    const rttMs = Math.round(ms * 100) / 100;
    if (this.#ready) this.#output.event("path", { state: "measured", rttMs });
    // The first one is taken while everything is being set up.
    if (++this.#measured === 2) this.#say.note(`Round trip to the share: ${rttMs} ms.`);
  }

  #stream({ protocol, target, end, duration }: Extract<PathEvent, { event: "stream" }>, warns: boolean): void {
    this.#streams++;
    this.#bytesIn += end.bytesIn;
    this.#bytesOut += end.bytesOut;
    const name = `${targetText(target, this.#name)}${protocol === "udp" ? "/udp" : ""}`;
    if (!this.#output.quiet) {
      this.#output.event("stream", {
        protocol,
        target: name,
        bytesIn: end.bytesIn,
        bytesOut: end.bytesOut,
        ms: Math.round(duration),
        resumed: end.resumed,
        ...(end.code === undefined ? {} : { code: end.code }),
      });
    }
    if (end.code === undefined || !TOLD.has(end.code) || !warns && LOCALLY_TOLD.has(end.code)) return;
    const message = `${name}: ${STREAM_FAILURES[end.code]}`;
    const hint = end.code === "not-allowed" ? "They can, with --ports or --allow-host." : undefined;
    // A browser tries again and again.
    if (this.#repeats.isNew(message)) this.#say.warn(message, hint);
  }

  #warnOfFallback({ message }: Fallback): void {
    this.#say.warn(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`, "It works, with more delay.");
  }
}

/** Why a connection through a link failed, in words. */
export const STREAM_FAILURES: Readonly<Record<LinkErrorCode, string>> = {
  "not-allowed": "the owner of the share does not allow this host or port.",
  "connection-refused": "nothing listens there.",
  "host-unreachable": "the shared machine cannot reach the host.",
  "network-unreachable": "the shared machine has no way to this network.",
  "timed-out": "there was no answer.",
  "name-unknown": "the shared machine does not know this name.",
  "reset": "it was reset by the other end.",
  "resume-expired": "there was no way to the share for too long.",
  "too-many-streams": "there are too many connections at once.",
  "link-closed": "the link to the share was closed.",
  "tampered": "somebody on the way changed its bytes.",
  "identity-changed": "the share is another one.",
  "refused": "the share did not take it.",
  "internal": "something went wrong inside the share's spanway.",
};

/** Those that a person should hear of although a program was told: the others may be its everyday. */
const TOLD: ReadonlySet<LinkErrorCode> = new Set<LinkErrorCode>([
  "not-allowed",
  "connection-refused",
  "host-unreachable",
  "network-unreachable",
  "timed-out",
  "name-unknown",
  "too-many-streams",
  "resume-expired",
  "tampered",
  "internal",
]);

/** Those that a program is told by its own kernel. */
const LOCALLY_TOLD: ReadonlySet<LinkErrorCode> = new Set<LinkErrorCode>([
  "connection-refused",
  "host-unreachable",
  "network-unreachable",
  "timed-out",
]);

function pathText({ transport, edge }: Extract<PathEvent, { event: "attached" }>): string {
  return `${transport === "h3" ? "QUIC" : "WebSocket"} through the relay in ${printable(edge.region)}`;
}

function targetText(target: LinkTarget, name: string): string {
  return hostPort(target.host || name, target.port);
}
