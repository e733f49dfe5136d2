import { Buffer } from "node:buffer";
import { errorCode, ServiceError } from "../../shared/errors.ts";
import { GOODBYE_TIMEOUT_MS } from "../../shared/limits.ts";
import { generateName } from "../../shared/names.ts";
import { secureRandom } from "../../shared/random.ts";
import type { CommandContext } from "../cli/context.ts";
import { LAUNCHER_GONE } from "../cli/interrupts.ts";
import type { ShareOptions } from "../cli/options.ts";
import { type OpenTarget, openTarget } from "../target/open_target.ts";
import { connectAnyEdge, connectEdge } from "../attach/connect_edge.ts";
import { ToldError } from "../errors.ts";
import type { PreparedSsh } from "../ssh/share/prepare_ssh.ts";
import { openSsh } from "../ssh/share/running_ssh.ts";
import { openLinks } from "./open_links.ts";
import { observed } from "./observe.ts";
import { serveSession } from "./serve_session.ts";
import { ServiceApi } from "../attach/service_api.ts";
import { ShareController, type Standing } from "./share_controller.ts";
import { ShareReport } from "./share_report.ts";
import { sleep } from "../attach/sleep.ts";

/**
 * `spanway share`: shares a target until the signal aborts or the share expires.
 * @throws {SpanwayError} when there is nothing to share, or the service refuses
 */
export async function runShare(options: ShareOptions, context: CommandContext): Promise<void> {
  const { hostname, port } = options.relay;
  const relayHere = /^(localhost|127\.|\[::1\])/.test(hostname);
  const exceptPorts = relayHere ? [Number(port || 80)] : [];
  const target = await openSshTarget(
    options,
    () => openTarget({ ...options, excluded: [context.home.dir], exceptPorts }),
  );
  try {
    await shareTarget(target, options, context);
  } finally {
    target.close();
  }
}

/** Who lets people log in need not have a web server: without one there is nothing over HTTP. */
async function openSshTarget(options: ShareOptions, open: () => Promise<OpenTarget>): Promise<OpenTarget> {
  try {
    return await open();
  } catch (error) {
    if (options.ssh === undefined || errorCode(error) !== "target-none") throw error;
    const { httpDisabledTarget } = await import("../target/http_disabled.ts");
    return { ...await httpDisabledTarget(undefined), label: "nothing over HTTP: no web server was found" };
  }
}

/** Shares an open target until the signal aborts or the share expires. */
export async function shareTarget(
  target: OpenTarget,
  options: Omit<ShareOptions, "target">,
  context: CommandContext,
): Promise<void> {
  const { home, output, signal } = context;
  const identity = await home.identity();
  const prepared = await prepare(options, context);
  const running = await home.claimRunning({ relay: options.relay.origin, target: target.key });
  const api = new ServiceApi({ relay: options.relay, identity, now: Date.now, random: secureRandom });
  const chosen = options.name !== undefined;
  const { jurisdiction } = options;
  const meta = { agent: Buffer.from(secureRandom(8)).toString("hex") };
  const expiresAt = Date.now() + options.expires;
  const report = new ShareReport(output, options, target, identity.fingerprint, prepared?.landing);
  const ssh = prepared && await openSsh(prepared, {
    once: options.ssh?.once ?? false,
    fingerprint: identity.fingerprint,
    report,
    store: {
      put: (name, key, once, signal) => api.putSshKey(name, key, once, signal),
      claim: (name, device) => api.claimSshLogin(name, device),
    },
  });
  const handler = observed(target.handle, () => performance.now(), (request) => report.request(request));
  const controller: ShareController = new ShareController(
    options.name ?? running.previousName ?? generateName(secureRandom),
    {
      now: Date.now,
      random: Math.random,
      sleep,
      async register(name, signal) {
        const registration = await api.register(name, { expiresAt, chosen, meta, jurisdiction }, signal);
        if (jurisdiction !== undefined && registration.place?.jurisdiction !== jurisdiction) {
          await api.unregister(name, AbortSignal.timeout(GOODBYE_TIMEOUT_MS)).catch(() => {});
          throw new ServiceError(
            "bad-request",
            "This service does not say that it keeps the share where it has to be.",
            {
              hint: "Share without --jurisdiction, or use a newer service on Cloudflare.",
            },
          );
        }
        await running.remember(name, ssh?.door);
        try {
          await ssh?.begin(name, registration.expiresAt - Date.now(), signal);
        } catch (error) {
          const late = Date.now() >= registration.expiresAt;
          // Nobody has been told of the share yet: it ends as if it had never been.
          await api.unregister(name, AbortSignal.timeout(GOODBYE_TIMEOUT_MS)).catch(() => {});
          await running.forget();
          if (!late) throw error;
          throw new ServiceError("share-expired", "The share expired before anybody could log in.", {
            hint: "Give it more time, such as --expires 10m.",
          });
        }
        return registration;
      },
      standing: (name, signal) => standing(api, name, meta.agent, signal),
      // A share that was killed is away, not over: the same command brings it back.
      unregister: async (name) => {
        if (!killed(signal)) await api.unregister(name, AbortSignal.timeout(GOODBYE_TIMEOUT_MS));
      },
      connect: (edges, signal) => connectAnyEdge(edges, controller.name, signal),
      dial: async (edge, name, signal) => (await connectEdge(edge, name, signal)).session,
      hasEdge: (signal) => api.hasEdge(signal),
      ticket: (name) => api.ticket("share", name),
      otherName: () => (chosen ? undefined : generateName(secureRandom)),
      serve: (session) => serveSession(session, handler, links.links),
    },
    (event) => report.event(event),
  );
  const links = await openLinks({
    name: () => controller.name,
    identity,
    host: target.host,
    rules: options.reach,
    ssh: ssh?.share,
    resumeWindowMs: options.resumeWindow,
    report,
  });
  const close = () => {
    links.close("The share has ended.");
    void ssh?.end();
  };
  // Before the controller's own: connectors hear of it while there is still a path to them.
  signal.addEventListener("abort", close);
  try {
    const end = await controller.run(signal);
    close();
    await ssh?.end();
    report.ended(end);
    if (!killed(signal)) await running.forget();
  } catch (error) {
    if (OVER.has(errorCode(error))) await running.forget();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
    close();
    await ssh?.end();
  }
}

/** What people log in to, and with what: before anybody hears of the share. @throws {ToldError} on Ctrl-C */
async function prepare(
  { ssh, name }: Pick<ShareOptions, "ssh" | "name">,
  context: CommandContext,
): Promise<PreparedSsh | undefined> {
  if (ssh === undefined) return undefined;
  const { prepareSsh } = await import("../ssh/share/prepare_ssh.ts");
  const prepared = await prepareSsh(ssh, name === undefined ? [] : [name], context);
  if (prepared === undefined) throw new ToldError("interrupted", "No password was given.");
  return prepared;
}

/** Errors after which the name is not asked for again. After any other, such as a service that is down, it is. */
const OVER: ReadonlySet<string> = new Set(["name-taken", "share-ended", "share-replaced"]);

/** True when the share ends only because its launcher was killed. */
function killed(signal: AbortSignal): boolean {
  return signal.reason === LAUNCHER_GONE;
}

/** How a share stands that the agent of this id had to leave alone for a while. */
async function standing(api: ServiceApi, name: string, agent: string, signal: AbortSignal): Promise<Standing> {
  try {
    const { state, meta } = await api.show(name, signal);
    if (meta["agent"] !== agent) return "replaced";
    return state === "ended" || state === "expired" ? state : "ours";
  } catch (error) {
    if (errorCode(error) === "share-unknown") return "ours";
    throw error;
  }
}
