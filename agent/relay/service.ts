import { join } from "node:path";
import { Edge, type EdgeEvent } from "../../worker/edge/edge.ts";
import type { FrontTls } from "../../worker/edge/http_front.ts";
import { startWorkerd } from "../../worker/host/workerd.ts";
import { listenTcp } from "../net/listen.ts";
import { lockData } from "./data_lock.ts";
import { serviceKey } from "./service_key.ts";
import { machineAddresses, serviceOrigins } from "./service_origins.ts";

export interface ServiceOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly domain: string;
  /** Absolute path of the service's state. */
  readonly dataDir: string;
  readonly region: string;
  readonly tls: FrontTls | undefined;
  /** workerd alone: agents attach to the objects of their shares, over WebSocket. */
  readonly noEdge?: boolean;
  /** Without an edge only: the origin by which a proxy in front is reached. */
  readonly publicUrl?: URL | undefined;
  readonly tell: (event: ServiceEvent) => void;
}

/** In which a proxy in front says the visitor's address, over whatever the visitor has written there. */
const PROXY_VISITOR_HEADER = "x-real-ip";

/** What happens in the service, for whoever runs it. */
export type ServiceEvent =
  | EdgeEvent
  | { readonly event: "worker-exit"; readonly reason: string; readonly restartInMs: number }
  | { readonly event: "worker-ready" }
  | { readonly event: "worker-log"; readonly line: string };

/** The whole share service in this process and one workerd under it. */
export interface Service {
  /** Where people and agents reach it. */
  readonly url: URL;
  /** The port on which it listens here. */
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Starts the service: an edge in front, the Worker in workerd behind it. Resolves once both answer.
 * @throws {SpanwayError} `listen-failed`, `workerd-missing`, `workerd-failed`, and those of the data directory
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const key = await serviceKey(options.dataDir);
  const unlock = await lockData(options.dataDir);
  try {
    const { url, port, stop } = await (options.noEdge ? startAlone(options, key) : start(options, key));
    return {
      url,
      port,
      async stop() {
        await stop();
        await unlock();
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** The Worker alone, which is the front door itself. */
async function startAlone({ dataDir, domain, listen, publicUrl, tell }: ServiceOptions, key: string): Promise<Service> {
  // The Worker has to know its own address before it is started.
  const port = listen.port === 0 ? await freePort(listen.host) : listen.port;
  const own = new URL(`http://${domain}:${port}`);
  const origins = serviceOrigins(own, listen.host, machineAddresses);
  let begun = false;
  const workerd = await startWorkerd({
    dataDir,
    listen: { host: listen.host, port },
    proxied: publicUrl !== undefined,
    bindings: {
      SPANWAY_SERVICE_KEY: key,
      SPANWAY_DOMAIN: domain,
      SPANWAY_ORIGINS: (publicUrl === undefined ? origins : [publicUrl.origin, ...origins]).join(","),
      // Without a proxy it would be the visitor himself who says it.
      SPANWAY_VISITOR_HEADER: publicUrl === undefined ? "none" : PROXY_VISITOR_HEADER,
    },
    onListening() {
      if (begun) tell({ event: "worker-ready" });
      begun = true;
    },
    onExit: (exit) => tell({ event: "worker-exit", ...exit }),
    onLog: (line) => tell({ event: "worker-log", line }),
  });
  return { url: publicUrl ?? own, port, stop: () => workerd.stop() };
}

/** A port that was free a moment ago. @throws {ListenError} */
async function freePort(host: string): Promise<number> {
  const { address, close } = await listenTcp({ host, port: 0 }, 0, () => {});
  close();
  return address.port;
}

async function start({ dataDir, domain, region, listen, tls, tell }: ServiceOptions, key: string): Promise<Service> {
  let worker: URL | undefined;
  const edge = await Edge.start({
    id: region,
    region,
    listen,
    domain,
    ...(tls === undefined ? {} : { tls }),
    service: { url: () => worker, key },
    workerComesBy: "loopback",
    certificateDir: join(dataDir, "edge"),
    tell,
  });
  try {
    const workerd = await startWorkerd({
      dataDir,
      bindings: {
        SPANWAY_SERVICE_KEY: key,
        SPANWAY_DOMAIN: domain,
        SPANWAY_ORIGINS: serviceOrigins(edge.url, listen.host, machineAddresses).join(","),
        // An agent that came before the edge is known again would be sent past it.
        SPANWAY_ATTACH: "edges",
      },
      onListening({ host, port }) {
        const again = worker !== undefined;
        worker = new URL(`http://${host}:${port}`);
        if (again) void edge.register().then(() => tell({ event: "worker-ready" }));
      },
      onExit: (exit) => tell({ event: "worker-exit", ...exit }),
      onLog: (line) => tell({ event: "worker-log", line }),
    });
    await edge.register();
    return {
      url: edge.url,
      port: Number(edge.url.port || 443),
      async stop() {
        await edge.close();
        await workerd.stop();
      },
    };
  } catch (error) {
    await edge.close();
    throw error;
  }
}
