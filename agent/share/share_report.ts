import { formatDuration } from "../cli/duration.ts";
import type { ShareOptions } from "../cli/options.ts";
import type { Output, Pair } from "../cli/output.ts";
import { printable } from "../cli/printable.ts";
import type { OpenTarget } from "../target/open_target.ts";
import type { Fallback } from "../../shared/transport/connect.ts";
import { hostPort } from "../target/target.ts";
import { PEERS_REMEMBERED_MAX } from "../../shared/limits.ts";
import { allowsNothing } from "../reach/policy.ts";
import type { RequestRecord } from "./observe.ts";
import { peerLine, streamLine } from "./peer_line.ts";
import type { PeerEvent, PeerReport, StreamReport } from "./peers.ts";
import { connectText, loginText, reachText } from "./reach_text.ts";
import { isSshTarget } from "../../shared/ssh/messages.ts";
import type { Landing } from "../ssh/share/landing.ts";
import type { SshSessionEvent } from "../ssh/share/login_gate.ts";
import type { SshReport } from "../ssh/share/ssh_share.ts";
import { sshLine } from "../ssh/share/ssh_line.ts";
import { placeText } from "./place_text.ts";
import type { Registration } from "../attach/service_api.ts";
import type { ShareEnd, ShareEvent } from "./share_controller.ts";

/** Says what happens to a share, to people and to programs. */
export class ShareReport implements PeerReport, SshReport {
  readonly #output: Output;
  readonly #options: Omit<ShareOptions, "target">;
  readonly #target: OpenTarget;
  /** The fingerprint of the device, the second half of the share's code. */
  readonly #fingerprint: string;
  /** What people log in to, if they may. */
  readonly #login: Pick<Landing, "user" | "label"> | undefined;
  #ready = false;
  /** Nothing follows the line that says so. */
  #over = false;
  #requests = 0;
  #name = "";
  /** Fingerprints of connectors that were here before; the first that came is forgotten first. */
  readonly #met = new Set<string>();
  #connectors = 0;
  #connections = 0;

  constructor(
    output: Output,
    options: Omit<ShareOptions, "target">,
    target: OpenTarget,
    fingerprint: string,
    login?: Pick<Landing, "user" | "label">,
  ) {
    this.#login = login;
    this.#output = output;
    this.#options = options;
    this.#target = target;
    this.#fingerprint = fingerprint;
  }

  /** A change in the state of the share. */
  event(event: ShareEvent): void {
    if (this.#over) return;
    const output = this.#output;
    switch (event.event) {
      case "registered":
        return;
      case "attached":
        if (!this.#ready) this.#announce(event.registration, event.edge.id);
        else output.line(output.colors.green(`Back on the air: ${printable(event.registration.url)}`));
        output.event("path", {
          state: "attached",
          transport: event.transport,
          edge: event.edge.id,
          region: event.edge.region,
          ...(event.fallback === undefined ? {} : { fallback: event.fallback.message }),
        });
        if (event.fallback !== undefined) this.#warnOfFallback(event.fallback);
        return;
      case "unreached":
        output.event("path", { state: "unreached", code: event.code, message: event.message });
        output.warn(`Somebody came, and could not be let in: ${event.message}.`, "It is tried again for the next one.");
        return;
      case "lost":
        output.event("path", { state: "lost", code: event.code, message: event.message, retryInMs: event.retryInMs });
        output.warn(`${lossText(event)} Trying again in ${(event.retryInMs / 1000).toFixed(1)} s.`);
        return;
    }
  }

  /** A request that has ended. */
  request(record: RequestRecord): void {
    if (this.#over) return;
    this.#requests++;
    this.#output.request({
      method: record.method,
      path: record.path,
      status: record.status,
      ms: Math.round(record.ms * 1000) / 1000,
      bytesIn: record.bytesIn,
      bytesOut: record.bytesOut,
      ...(record.error === undefined ? {} : { note: record.error }),
    });
  }

  /** Something happened to a connector. */
  peer(event: PeerEvent): void {
    if (this.#over) return;
    const first = event.state === "connected" && this.#meet(event.fingerprint);
    if (event.state === "connected") this.#connectors++;
    const fields = event.state === "connected" ? { ...event, first } : event;
    // Programs are told even with --quiet, as a path that is lost is.
    if (this.#output.json) this.#output.event("peer", { ...fields });
    else this.#output.record("peer", {}, () => peerLine(event, first, this.#output.colors));
  }

  /** A connection of a connector has ended. */
  stream(stream: StreamReport): void {
    if (this.#over) return;
    this.#connections++;
    const { target, ...rest } = stream;
    // Logins have lines of their own, unless they came to nothing.
    if (isSshTarget(target) && stream.code !== "not-allowed") return;
    const place = isSshTarget(target)
      ? "SSH"
      : `${hostPort(target.host || this.#name, target.port)}${stream.protocol === "udp" ? "/udp" : ""}`;
    this.#output.record("stream", { target: place, ...rest }, () => streamLine(stream, place, this.#output.colors));
  }

  sshSession(event: SshSessionEvent): void {
    if (this.#over) return;
    const { state, session, origin: { device, from }, ms, bytesIn, bytesOut, kicked } = event;
    const counts = state === "closed" ? { ms, bytesIn, bytesOut, kicked } : {};
    // As with connectors, programs are told even with --quiet.
    const fields = { state, session, fingerprint: device, from, ...counts };
    if (this.#output.json) this.#output.event("ssh", fields);
    else this.#output.record("ssh", {}, () => sshLine(event, this.#output.colors));
  }

  sshUsed(): void {
    if (this.#over) return;
    this.#output.event("ssh", { state: "used" });
    this.#output.line("The one login is taken: its key is deleted, and nobody else gets in.");
  }

  sshTrouble(message: string, hint?: string): void {
    this.#output.warn(message, hint);
  }

  /** The share is over. */
  ended(end: ShareEnd): void {
    this.#over = true;
    const output = this.#output;
    output.event("closed", {
      reason: end,
      requests: this.#requests,
      connectors: this.#connectors,
      connections: this.#connections,
    });
    const served = `${counted(this.#requests, "request")} served${
      this.#connectors === 0
        ? ""
        : `, ${counted(this.#connections, "connection")} of ${counted(this.#connectors, "connector")}`
    }`;
    output.line(end === "expired" ? `The share has expired; ${served}.` : `The share has ended; ${served}.`);
  }

  /** True for one that was not here before. */
  #meet(fingerprint: string): boolean {
    if (this.#met.has(fingerprint)) return false;
    const [oldest] = this.#met;
    if (oldest !== undefined && this.#met.size >= PEERS_REMEMBERED_MAX) this.#met.delete(oldest);
    this.#met.add(fingerprint);
    return true;
  }

  #warnOfFallback({ why, message }: Fallback): void {
    this.#output.warn(
      `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
      why === "unsupported"
        ? "It works, with more delay."
        : "It works, with more delay. Let UDP out to the relay's port for full speed.",
    );
  }

  #announce(registration: Registration, edge: string): void {
    this.#ready = true;
    const output = this.#output;
    const { name, url, expiresAt, place } = registration;
    this.#name = name;
    const { reach, relay, disableHttp } = this.#options;
    const code = `${name}#${this.#fingerprint}`;
    const ports = reachText(reach, this.#target.host);
    const closed = allowsNothing(reach);
    const login = this.#login;
    const ssh = login === undefined
      ? null
      : { user: login.user, target: login.label, once: this.#options.ssh?.once ?? false };
    output.event("ready", {
      name,
      code,
      url,
      expiresAt,
      edge,
      relay: relay.origin,
      ports,
      http: !disableHttp,
      ssh,
      ...(place === undefined ? {} : { place }),
    });
    const until = new Date(expiresAt);
    const pairs: Pair[] = [
      ["URL", url, output.colors.cyan],
      ["Shared", this.#target.label],
      ["Until", `${untilText(until)} (${formatDuration(this.#options.expires)} from now)`],
    ];
    if (place !== undefined) pairs.push(["Lives", placeText(place)]);
    const found = (protocol: string) =>
      this.#target.found.filter((server) => server.protocol === protocol).map(({ host, port }) => hostPort(host, port));
    const http = found("http:");
    const https = found("https:");
    if (http.length > 0) pairs.push(["Local HTTP", http.join(", ")]);
    if (https.length > 0) pairs.push(["Local HTTPS", https.join(", ")]);
    if (!closed) pairs.push(["Connect", connectText(code, { relay }), output.colors.cyan]);
    pairs.push(["Ports", ports]);
    if (login !== undefined) {
      pairs.push(["Log in", loginText(code, { relay }), output.colors.cyan]);
      pairs.push(["SSH", `${login.label}${ssh?.once ? ", one login only" : ""}`]);
    }
    output.line();
    output.pairs(pairs);
    output.line();
    if (!this.#target.listening) {
      output.warn(`Nothing answers at ${this.#target.label} yet.`, "Visitors see an error page until it does.");
    }
    const remark = disableHttp ? whoCanConnect(url) : whoCanOpen(url);
    if (remark !== undefined) output.note(remark);
    if (!closed) output.note("Anyone who knows its name, which the URL says, can connect to these ports.");
    output.note("Ctrl-C ends the share.");
    if (this.#options.qr) void output.qr(url);
    if (!output.quiet) output.line();
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** The code of an error says enough here; what each transport had to say is in the JSON event. */
function lossText({ code, message }: { readonly code: string; readonly message: string }): string {
  return code === "connect-failed" || code === "connect-timeout" ? "The relay cannot be reached." : message;
}

function untilText(until: Date): string {
  const today = until.toDateString() === new Date().toDateString();
  return today ? until.toLocaleTimeString() : until.toLocaleString();
}

/** Names below `localhost` lead everybody to his own machine. */
function isForThisMachine(url: string): boolean {
  return /(^|\.)localhost$/.test(new URL(url).hostname);
}

function whoCanConnect(url: string): string | undefined {
  return isForThisMachine(url) ? "This relay is for this machine only: nobody connects from elsewhere." : undefined;
}

function whoCanOpen(url: string): string {
  return isForThisMachine(url)
    ? "This relay is for this machine only: its localhost URL opens here and nowhere else."
    : "Anyone with the URL can open it.";
}
