/** The SSH of a share while its command runs: begun once the share has its name, ended with it. */
import { openDoor } from "../../owner/door.ts";
import type { OwnerDoor } from "../../home/running.ts";
import type { PreparedSsh } from "./prepare_ssh.ts";
import { SshShare, type SshShareParts } from "./ssh_share.ts";

export interface RunningSsh {
  readonly share: SshShare;
  /** Where the owner's other commands reach it. */
  readonly door: OwnerDoor;
  /**
   * Lets people log in, the first time that it is called.
   * @param expiresInMs until the end of the share
   * @throws {SshError | ServiceError | TicketError}
   */
  begin(name: string, expiresInMs: number, signal: AbortSignal): Promise<void>;
  /** Idempotent; never rejects. */
  end(): Promise<void>;
}

export async function openSsh(
  { landing, key, close }: PreparedSsh,
  parts: Omit<SshShareParts, "landing">,
): Promise<RunningSsh> {
  const share = new SshShare({ ...parts, landing });
  const door = await openDoor(share.owner);
  /** Until it has begun: then nobody here can use the key any more. */
  let unused: PreparedSsh["key"] | undefined = key;
  let ended: Promise<void> | undefined;
  return {
    share,
    door,
    async begin(name, expiresInMs, signal) {
      if (unused === undefined) return;
      const login = unused;
      unused = undefined;
      await share.begin(name, expiresInMs, login, signal);
    },
    end() {
      ended ??= share.end().finally(() => {
        door.close();
        close();
      });
      return ended;
    },
  };
}
