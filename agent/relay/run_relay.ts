import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ServiceError, SpanwayError } from "../../shared/errors.ts";
import { COMMAND } from "../command_name.ts";
import { boundedText } from "../../shared/http/bounded_text.ts";
import { API_BODY_MAX_BYTES, API_TIMEOUT_MS } from "../../shared/limits.ts";
import { Edge } from "../../worker/edge/edge.ts";
import type { FrontTls } from "../../worker/edge/http_front.ts";
import { WORKER_REGION } from "../../worker/edges/worker_edge.ts";
import type { CommandContext } from "../cli/context.ts";
import type { EdgeOptions, RelayOptions, TlsFiles } from "../cli/options.ts";
import { startService } from "./service.ts";
import { isLoopback } from "./service_origins.ts";
import { ServiceReport } from "./service_report.ts";

/**
 * `spanway relay`: the share service on this machine, until the signal aborts.
 * @throws {SpanwayError}
 */
export async function runRelay(options: RelayOptions, { output, signal }: CommandContext): Promise<void> {
  needDeno();
  const tls = await readTls(options.tls);
  const report = new ServiceReport(output, options.noEdge);
  const service = await startService({ ...options, tls, tell: report.tell });
  output.event("ready", {
    url: service.url.origin,
    region: options.noEdge ? WORKER_REGION : options.region,
    port: service.port,
  });
  output.line();
  output.pairs([
    ["Share service", service.url.origin, output.colors.cyan],
    ["Shares", sharesAt(service.url, options.domain)],
    ["Listening", `${options.listen.host}, port ${service.port} (${options.noEdge ? "TCP" : PROTOCOLS})`],
    ["State", options.dataDir],
  ]);
  output.line();
  output.note(`In another terminal: ${COMMAND} share 3000${relayFlag(service.url)}. Ctrl-C stops the service.`);
  if (options.domain === "localhost" && !isLoopback(options.listen.host)) {
    output.warn(
      "Others reach this relay, but not its shares: *.localhost leads everybody to their own machine.",
      "Give a name under which they find this machine: --domain NAME (see the README on teams).",
    );
  }
  output.line();
  report.ready();
  await aborted(signal);
  await service.stop();
  output.event("closed", { reason: "interrupted" });
  output.line("The share service has stopped.");
}

const PROTOCOLS = "TCP for visitors, UDP for agents";

function sharesAt({ protocol, port }: URL, domain: string): string {
  return `${protocol}//NAME.${domain}${port === "" ? "" : `:${port}`}`;
}

/**
 * `spanway edge`: one more edge of a service that runs elsewhere, until the signal aborts.
 * @throws {SpanwayError}
 */
export async function runEdge(options: EdgeOptions, { output, signal, home }: CommandContext): Promise<void> {
  needDeno();
  const tls = await readTls(options.tls);
  const control = options.control;
  const report = new ServiceReport(output);
  const edge = await Edge.start({
    id: options.region,
    region: options.region,
    listen: options.listen,
    domain: await serviceDomain(control),
    ...(options.publicHost === undefined ? {} : { publicHost: options.publicHost }),
    ...(tls === undefined ? {} : { tls }),
    service: { url: () => control, key: options.serviceKey },
    workerComesBy: "front",
    certificateDir: join(home.dir, "edge"),
    tell: report.tell,
  });
  output.event("ready", { url: edge.url.origin, region: options.region });
  output.line();
  output.pairs([
    ["Edge", options.region, output.colors.cyan],
    ["Service", control.origin],
    ["Listening", `${options.listen.host}, port ${edge.url.port || "443"} (${PROTOCOLS})`],
  ]);
  output.line();
  report.ready();
  await aborted(signal);
  await edge.close();
  output.event("closed", { reason: "interrupted" });
}

/** The domain of the shares of a service. @throws {ServiceError} `unavailable` */
async function serviceDomain(control: URL): Promise<string> {
  try {
    const response = await fetch(new URL("/api/service", control), { signal: AbortSignal.timeout(API_TIMEOUT_MS) });
    const text = await boundedText(response, API_BODY_MAX_BYTES);
    const { service, domain } = JSON.parse(text ?? "{}") as { service?: unknown; domain?: unknown };
    if (service === "spanway" && typeof domain === "string") return domain;
  } catch {
    // Said below: there is nothing there that we could ask.
  }
  throw new ServiceError("unavailable", `There is no spanway service at ${control.origin}.`, {
    hint: "Check the address given with --control.",
  });
}

/** @throws {SpanwayError} `needs-deno`: only that runtime can listen for QUIC */
export function needDeno(): void {
  if ("Deno" in globalThis) return;
  throw new SpanwayError("needs-deno", "A relay runs on Deno only, and this is Node.", {
    hint: "Unset SPANWAY_RUNTIME, and install spanway without --omit=optional so that Deno comes along.",
  });
}

/** What to add to a command so that it finds this service; nothing for the default one. */
function relayFlag(url: URL): string {
  return url.origin === "http://localhost:8080" ? "" : ` --relay ${url.origin}`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

async function readTls(files: TlsFiles | undefined): Promise<FrontTls | undefined> {
  if (files === undefined) return undefined;
  const read = async (path: string) => {
    try {
      return await readFile(path, "utf8");
    } catch (cause) {
      throw new SpanwayError("tls-unreadable", `Cannot read ${path}.`, {
        hint: "Give PEM files with --tls-cert and --tls-key that this user can read.",
        cause,
      });
    }
  };
  return { cert: await read(files.certFile), key: await read(files.keyFile) };
}
