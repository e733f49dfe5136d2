/** Local listeners each of which leads to one port of the share. */
import { LOCAL_CONNECTIONS_MAX, LOCAL_FLOWS_MAX } from "../../shared/limits.ts";
import type { LinkTarget, Tunnel } from "../../shared/link/ends.ts";
import type { ListenAddress } from "../cli/options.ts";
import { listenTcp } from "../net/listen.ts";
import { socketEnd } from "../net/socket_end.ts";
import { bindUdp } from "../net/udp.ts";
import { FlowTable } from "./udp/flow_table.ts";

export interface Forwarding {
  /** As the system has it. */
  readonly address: ListenAddress;
  /** Takes nobody any more; UDP flows end, TCP connections go on. Idempotent. */
  close(): void;
}

/**
 * Takes connections, or datagrams, at `at` and carries them to `target`.
 * @throws {ListenError}
 */
export function forward(
  protocol: "tcp" | "udp",
  at: ListenAddress,
  target: LinkTarget,
  tunnel: Tunnel,
): Promise<Forwarding> {
  return protocol === "tcp" ? forwardTcp(at, target, tunnel) : forwardUdp(at, target, tunnel);
}

function forwardTcp(at: ListenAddress, target: LinkTarget, tunnel: Tunnel): Promise<Forwarding> {
  return listenTcp(at, LOCAL_CONNECTIONS_MAX, async (socket) => {
    const end = socketEnd(socket);
    let opened = false;
    await tunnel.connect(target, end, () => void (opened = true));
    // What was refused there breaks here: nobody may take it for a connection that was served and ended.
    if (!opened) end.reset();
  });
}

async function forwardUdp(at: ListenAddress, target: LinkTarget, tunnel: Tunnel): Promise<Forwarding> {
  const flows = new FlowTable({ tunnel, max: LOCAL_FLOWS_MAX, now: () => performance.now() });
  try {
    const socket = await bindUdp(at, (payload, from) => {
      flows.send(`${from.host} ${from.port}`, target, payload, {
        receive: (answer) => socket.send(answer, from),
      });
    });
    return {
      address: socket.address,
      close() {
        socket.close();
        flows.close();
      },
    };
  } catch (error) {
    flows.close();
    throw error;
  }
}
