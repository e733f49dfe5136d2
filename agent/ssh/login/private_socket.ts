import type { Server } from "node:net";
import { SshError } from "../../errors.ts";

/**
 * Listens at a Unix socket.
 * @param path in a directory that nobody else can enter; at most 107 bytes are possible on Linux, 103 on macOS
 * @throws {SshError} `ssh-missing`
 */
export function listenPrivately(server: Server, path: string): Promise<{ close(): void }> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new SshError("ssh-missing", `No socket can be made at ${path}.`, {
          hint: "Set TMPDIR to a short path on a disk of this machine.",
          cause,
        }),
      ));
    server.listen(path, () => {
      server.on("error", () => {});
      resolve({ close: () => void server.close() });
    });
  });
}
