/** Errors that only the command line knows. */
import { SpanwayError } from "../shared/errors.ts";

/** The command line itself is wrong: an unknown option, a bad port, a missing value. Exit code 2. */
export class UsageError extends SpanwayError<"usage"> {
  constructor(message: string, hint?: string) {
    super("usage", message, hint === undefined ? {} : { hint });
  }
}

/** What the person has been told of already: only the exit code is left to say. */
export class ToldError extends SpanwayError {}

export type HomeErrorCode =
  | "home-unusable" // the configuration directory cannot be made, read or written
  | "key-exposed" // other people on this machine can read the private key
  | "key-corrupted"; // the key file is not one

/** The configuration directory or the key in it cannot be used. */
export class HomeError extends SpanwayError<HomeErrorCode> {}

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
