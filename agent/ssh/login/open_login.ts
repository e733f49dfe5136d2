/** What a colleague needs to log in: the share's own word, and the key from the service, checked against it. */
import type { ServiceApi } from "../../attach/service_api.ts";
import { decodeSshRecord, SshAbout, type SshRecord } from "../../../shared/ssh/messages.ts";
import { unsealSshKey } from "../../../shared/ssh/sealed_key.ts";
import type { PathController } from "../../connect/path_controller.ts";
import { SshError } from "../../errors.ts";
import { inspectLoginKey } from "../key/open_key.ts";

export interface FoundLogin {
  readonly record: SshRecord;
  /** OpenSSH PEM, encrypted with the password. */
  readonly privateKey: string;
}

/**
 * Asks the share how to log in, and the service for the key.
 * @throws {AnswerError} `ssh-none`, `ssh-used`; {ServiceError}; {SshError} `ssh-key-damaged`
 */
export async function findLogin(controller: PathController, api: ServiceApi, name: string): Promise<FoundLogin> {
  const record = decodeSshRecord(await controller.ask(SshAbout.RECORD));
  const { key } = await api.sshKey(name);
  const privateKey = unsealSshKey(record.sealKey, key);
  if (privateKey === undefined || inspectLoginKey(privateKey).publicKey !== record.publicKey) {
    throw new SshError("ssh-key-damaged", "The key that the service has is not the one that the share stored there.", {
      hint: "Try again in a moment; if it stays so, somebody changed it: ask the owner to share anew.",
    });
  }
  return { record, privateKey };
}
