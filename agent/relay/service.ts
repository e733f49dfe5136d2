import { join } from "node:path";
import { Edge, type EdgeEvent } from "../../worker/edge/edge.ts";
import type { FrontTls } from "../../worker/edge/http_front.ts";
import { startWorkerd } from "../../worker/host/workerd.ts";
import { VERSION } from "../version.ts";
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
  readonly tell: (event: ServiceEvent) => void;
}

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
    const { url, stop } = await start(options, key);
    return {
      url,
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
        SPANWAY_VERSION: VERSION,
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
