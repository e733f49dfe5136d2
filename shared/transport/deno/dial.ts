import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { errorMessage } from "../../errors.ts";
import { DIAL_ADDRESSES_MAX, DIAL_STAGGER_MS, SESSION_IDLE_TIMEOUT_MS } from "../../limits.ts";
import { H3_NO_ERROR } from "../h3/webtransport.ts";
import { ALPN_H3, closeConn, type ConnectOptions } from "./quic.ts";

/** Where to dial, and whom to expect there. */
export interface DialTarget {
  /** Host name or IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly endpoint: Deno.QuicEndpoint;
  readonly options: Omit<ConnectOptions, "hostname" | "port" | "alpnProtocols">;
}

/**
 * Connects to the first address of a host that answers, joining the next one after DIAL_STAGGER_MS (RFC 8305). The
 * runtime itself would try one address only, and block while it looks up the name. Rejects when a host answers with a
 * failure, when all addresses are in vain, or with the signal's reason; connections that come too late are closed.
 */
export async function dial(target: DialTarget, signal: AbortSignal): Promise<Deno.QuicConn> {
  const addresses = await unlessAborted(addressesOf(target.host), signal);
  return await new Promise((resolve, reject) => {
    let next = 0;
    let running = 0;
    let settled = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = (finish: () => void) => {
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      finish();
    };
    const aborted = () => settle(() => reject(signal.reason));
    const failed = (error: unknown, answered: boolean) => {
      if (settled) return;
      if (answered || (running === 0 && next >= addresses.length)) settle(() => reject(error));
      else attempt();
    };
    const attempt = () => {
      clearTimeout(timer);
      const address = addresses[next++];
      if (address === undefined) return;
      const started = performance.now();
      running++;
      connect(target, address).then((conn) => {
        if (settled) closeConn(conn, H3_NO_ERROR);
        else settle(() => resolve(conn));
      }, (error) => {
        running--;
        const elapsed = performance.now() - started;
        failed(error, !(error instanceof Unreachable) && elapsed < SESSION_IDLE_TIMEOUT_MS);
      });
      timer = setTimeout(attempt, DIAL_STAGGER_MS);
    };
    signal.addEventListener("abort", aborted);
    attempt();
  });
}

/** This machine cannot even send to an address. */
class Unreachable extends Error {}

async function connect({ host, port, endpoint, options }: DialTarget, address: string): Promise<Deno.QuicConn> {
  const all: ConnectOptions = {
    ...options,
    endpoint,
    hostname: address,
    port,
    serverName: host,
    alpnProtocols: [ALPN_H3],
  };
  let connecting;
  try {
    connecting = Deno.connectQuic(all);
  } catch (cause) {
    throw new Unreachable(errorMessage(cause), { cause });
  }
  return await connecting;
}

/** The addresses of a host, in the system's order. Names under localhost are this machine (RFC 6761, section 6.3). */
async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  if (host === "localhost" || host.endsWith(".localhost")) return ["127.0.0.1", "::1"];
  const found = await lookup(host, { all: true, order: "verbatim" });
  return found.slice(0, DIAL_ADDRESSES_MAX).map(({ address }) => address);
}

/** The promise's outcome, or the signal's reason when that comes first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
