/** Errors that only the command line knows. */
import { errorMessage, SpanwayError } from "../shared/errors.ts";

/** The command line itself is wrong: an unknown option, a bad port, a missing value. Exit code 2. */
export class UsageError extends SpanwayError<"usage"> {
  constructor(message: string, hint?: string) {
    super("usage", message, hint === undefined ? {} : { hint });
  }
}

/** What the person has been told of already: only the exit code is left to say. */
export class ToldError extends SpanwayError {}

/** A command that runs another one ends as that one did. */
export class ExitCodeError extends ToldError {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("exit-code", `ended with code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

export type HomeErrorCode =
  | "home-unusable" // the configuration directory cannot be made, read or written
  | "key-exposed" // other people on this machine can read the private key
  | "key-corrupted"; // the key file is not one

/** The configuration directory or the key in it cannot be used. */
export class HomeError extends SpanwayError<HomeErrorCode> {}

export type BackupErrorCode =
  | "backup-nothing" // there is no state in the directory
  | "backup-exists" // the file, or one that is needed on the way, is there already
  | "backup-damaged" // cut off, changed, or none of ours
  | "backup-unsupported" // of a later version
  | "backup-failed" // a file could not be read or written
  | "state-changed" // something wrote to the state while it was read
  | "restore-occupied"; // the directory has something in it

/** The state of a service could not be saved, or not be put back. */
export class BackupError extends SpanwayError<BackupErrorCode> {}

export type TargetErrorCode =
  | "target-none" // no target was given and nothing was found
  | "target-missing" // the folder that was named does not exist
  | "target-unsupported"; // something that spanway cannot share

/** What should be shared cannot be. */
export class TargetError extends SpanwayError<TargetErrorCode> {}

export type ListenErrorCode =
  | "address-in-use" // another program has the port
  | "address-not-permitted" // a port below 1024, or a rule of the system
  | "address-unavailable" // not an address of this machine
  | "listen-failed";

/** An address of this machine cannot be listened on. */
export class ListenError extends SpanwayError<ListenErrorCode> {}

export type SshErrorCode =
  | "ssh-password" // none was given, it is too weak, or it does not open the key
  | "ssh-key-damaged" // the key is not one, is cut off, or was changed on the way
  | "ssh-key-failed" // no key could be made
  | "ssh-place-failed" // the key could not be put where logins are decided, or taken away from there
  | "ssh-unreachable" // no SSH server answers
  | "ssh-refused" // the SSH server does not take the key
  | "ssh-missing" // a program that is needed is not installed
  | "ssh-session-unknown"; // no login of that name is under way

/** Logging in over a share, or letting somebody log in, failed. */
export class SshError extends SpanwayError<SshErrorCode> {}

export type TunErrorCode =
  | "tun-unsupported" // this system, or this runtime, has no such thing
  | "tun-not-permitted"
  | "tun-busy" // another process has the device
  | "tun-address-taken" // the address is used for something else here
  | "tun-firewalled" // a rule of this machine drops what comes in from the device
  | "tun-failed";

/** There can be no static IP here, or not this one. */
export class TunError extends SpanwayError<TunErrorCode> {
  /** Any failure as one of these. */
  static from(error: unknown): TunError {
    if (error instanceof TunError) return error;
    return new TunError("tun-failed", errorMessage(error), { cause: error });
  }
}
