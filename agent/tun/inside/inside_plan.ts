/** What the process in the namespace is told. */
import { type TunIps, tunIps } from "../addresses.ts";
import { parseIp } from "../../reach/ip.ts";

/** The variable with the path of the file in which it stands: one variable has no room for long commands. */
export const INSIDE_VARIABLE = "SPANWAY_INSIDE";

export interface InsidePlan {
  /** Absolute path of the C library. */
  readonly libc: string;
  /** The socket on which it hands over what it has opened. */
  readonly socket: number;
  /** Every address leads to the device, not only the share's. */
  readonly internet: boolean;
  /** Files that stand in the place of others: [path of ours, path of theirs]. */
  readonly files: readonly (readonly [string, string])[];
  /** What to run then, and its environment. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | null>>;
}

/** The addresses that every namespace has: nothing else is there that could have them. */
export const INSIDE = { own: "172.16.0.1", share: "172.16.0.2", resolver: "172.16.0.53" } as const;

/** The first two, with their twins, as they stand in packets. */
export const INSIDE_IPS: TunIps = tunIps(parseIp(INSIDE.own)!, parseIp(INSIDE.share)!);
