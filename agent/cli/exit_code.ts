/** Exit codes: 0 done, 1 failed, 2 usage, 3 not found or expired, 4 refused, 130 interrupted. */
import { errorCode } from "../../shared/errors.ts";

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_NOT_FOUND = 3;
export const EXIT_REFUSED = 4;
export const EXIT_INTERRUPTED = 130;

const BY_CODE: Readonly<Record<string, number>> = {
  "usage": EXIT_USAGE,
  "name-invalid": EXIT_USAGE,

  "share-unknown": EXIT_NOT_FOUND,
  "share-expired": EXIT_NOT_FOUND,
  "share-ended": EXIT_NOT_FOUND,
  "share-away": EXIT_NOT_FOUND,
  "ssh-none": EXIT_NOT_FOUND,
  "ssh-session-unknown": EXIT_NOT_FOUND,
  "target-missing": EXIT_NOT_FOUND,
  "target-none": EXIT_NOT_FOUND,

  "name-taken": EXIT_REFUSED,
  "not-allowed": EXIT_REFUSED,
  "identity-changed": EXIT_REFUSED,
  "refused": EXIT_REFUSED,
  "rate-limited": EXIT_REFUSED,
  "ssh-used": EXIT_REFUSED,
  "ssh-password": EXIT_REFUSED,
  "ssh-refused": EXIT_REFUSED,
  "ticket-malformed": EXIT_REFUSED,
  "ticket-forged": EXIT_REFUSED,
  "ticket-expired": EXIT_REFUSED,
  "ticket-not-yet-valid": EXIT_REFUSED,
  "ticket-replayed": EXIT_REFUSED,
  "ticket-foreign": EXIT_REFUSED,

  "interrupted": EXIT_INTERRUPTED,
};

/** The exit code for any thrown value. */
export function exitCodeOf(error: unknown): number {
  return BY_CODE[errorCode(error)] ?? EXIT_FAILED;
}
