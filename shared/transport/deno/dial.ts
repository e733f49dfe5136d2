import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { DIAL_ADDRESSES_MAX, DIAL_STAGGER_MS } from "../../limits.ts";
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
 * runtime itself would try one address only, and block while it looks up the name. Rejects with the last failure, or
 * with the signal's reason; connections that come too late are closed.
 */
export async function dial(target: DialTarget, signal: AbortSignal): Promise<Deno.QuicConn> {
  const addresses = await resolve(target.host);
  signal.throwIfAborted();
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
    const attempt = () => {
      clearTimeout(timer);
      const address = addresses[next++];
      if (address === undefined || settled) return;
      running++;
      connect(target, address).then((conn) => {
        if (settled) closeConn(conn, 0);
        else settle(() => resolve(conn));
      }, (error) => {
        running--;
        if (settled) return;
        if (next < addresses.length) attempt();
        else if (running === 0) settle(() => reject(error));
      });
      timer = setTimeout(attempt, DIAL_STAGGER_MS);
    };
    signal.addEventListener("abort", aborted);
    attempt();
  });
}

async function connect({ host, port, endpoint, options }: DialTarget, address: string): Promise<Deno.QuicConn> {
  const all: ConnectOptions = {
    ...options,
    endpoint,
    hostname: address,
    port,
    serverName: host,
    alpnProtocols: [ALPN_H3],
  };
  return await Deno.connectQuic(all);
}

/** The addresses of a host, in the system's order. Names under localhost are this machine (RFC 6761, section 6.3). */
async function resolve(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  if (host === "localhost" || host.endsWith(".localhost")) return ["127.0.0.1", "::1"];
  const found = await lookup(host, { all: true, order: "verbatim" });
  return found.slice(0, DIAL_ADDRESSES_MAX).map(({ address }) => address);
}
