import { ServiceError } from "../../shared/errors.ts";
import type { ShareRecord, SshLogin } from "./share_record.ts";

/** What is due to the stored key of a share's SSH login: to be stored in place of whatever was there, or to be erased. */
export type SshKeyChange = { readonly key: Uint8Array } | "erase";

/** The login of a share, as long as there is one. @throws {ServiceError} `ssh-none`, `ssh-used` */
export function openSshLogin(name: string, login: SshLogin | undefined): SshLogin {
  if (login === undefined) {
    throw new ServiceError("ssh-none", `The share ${name} offers no SSH login.`, {
      hint: "Ask its owner to share with --ssh.",
    });
  }
  if (login.usedAt !== undefined) {
    throw new ServiceError("ssh-used", `The one login to ${name} has been used.`, {
      hint: "Ask its owner to share it again with --ssh-once.",
    });
  }
  return login;
}

/** Refuses a login that is not the only one: it cannot be used up. @throws as {@link openSshLogin}; `bad-request` */
export function checkClaimable({ name, ssh }: ShareRecord): void {
  if (openSshLogin(name, ssh).once) return;
  throw new ServiceError("bad-request", `The login to ${name} is not for one use.`, {
    hint: "Only a share with --ssh-once has a login to claim.",
  });
}
