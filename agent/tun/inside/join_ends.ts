import type { LinkErrorCode } from "../../../shared/errors.ts";
import type { StreamEnd, TcpEnd, TcpListener } from "../../../shared/link/ends.ts";

/**
 * Carries bytes between two ends until both directions have ended. `local` begins at once, so that a program that goes
 * away is noticed; what it says waits, paused, until `begin`.
 */
export function joinEnds(local: TcpEnd, remote: TcpEnd): { begin(): Promise<StreamEnd> } {
  const { promise, resolve } = Promise.withResolvers<StreamEnd>();
  let [bytesOut, bytesIn] = [0, 0];
  let over = false;
  const finish = (code: LinkErrorCode | undefined) => {
    if (over) return;
    over = true;
    resolve({ code, bytesOut, bytesIn, resumed: 0 });
  };
  const ended = { local: false, remote: false };
  const listener = (
    from: "local" | "remote",
    near: TcpEnd,
    far: TcpEnd,
    count: (bytes: number) => void,
  ): TcpListener => ({
    data(bytes) {
      count(bytes.length);
      if (!far.write(bytes, () => {})) near.pause();
    },
    end() {
      ended[from] = true;
      far.end();
      if (!ended.local || !ended.remote) return;
      local.close();
      remote.close();
      finish(undefined);
    },
    drain: () => far.resume(),
    broken() {
      far.reset();
      finish("reset");
    },
  });
  local.start(listener("local", local, remote, (bytes) => bytesOut += bytes));
  return {
    begin() {
      if (!over) remote.start(listener("remote", remote, local, (bytes) => bytesIn += bytes));
      return promise;
    },
  };
}
