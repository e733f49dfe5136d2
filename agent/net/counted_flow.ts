import type { StreamEnd, Tunnel, UdpFlow } from "../../shared/link/ends.ts";

/** How a UDP flow ended; `sent` and `received` as its opener sees them. */
export interface FlowEnd {
  readonly code: StreamEnd["code"];
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** Opens a flow as `open` does, and tells `ended` once how it ended, whoever ended it. */
export function countedFlow(
  open: Tunnel["openFlow"],
  [target, receive, closed]: Parameters<Tunnel["openFlow"]>,
  ended: (end: FlowEnd) => void,
): UdpFlow {
  let sentBytes = 0;
  let receivedBytes = 0;
  let over = false;
  const finish = (code: StreamEnd["code"]) => {
    if (over) return;
    over = true;
    ended({ code, sentBytes, receivedBytes });
  };
  const flow = open(target, (payload) => {
    receivedBytes += payload.length;
    receive(payload);
  }, (code) => {
    finish(code);
    closed(code);
  });
  return {
    send(payload) {
      sentBytes += payload.length;
      flow.send(payload);
    },
    close() {
      flow.close();
      finish(undefined);
    },
  };
}
