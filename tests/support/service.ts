/**
 * Which service the tests run against, by SPANWAY_TEST_SERVICE: `edge`, the default, is an edge in front of the Worker;
 * `workerd` is the Worker alone (`relay --no-edge`), as on Cloudflare.
 */
import process from "node:process";

const { SPANWAY_TEST_SERVICE = "edge" } = process.env;
if (!["edge", "workerd"].includes(SPANWAY_TEST_SERVICE)) {
  throw new Error(`SPANWAY_TEST_SERVICE is "edge" or "workerd", not ${JSON.stringify(SPANWAY_TEST_SERVICE)}`);
}

/** True when there is no edge. */
export const WORKERD_ALONE = SPANWAY_TEST_SERVICE === "workerd";

/** Words of `spanway relay` that make it the service to test. */
export const RELAY_ARGS: readonly string[] = WORKERD_ALONE ? ["--no-edge"] : [];

/** Why a test does not run against the Worker alone, for `testUnless`; undefined where there is an edge. */
export function withoutEdge(why: string): string | undefined {
  return WORKERD_ALONE ? `without an edge: ${why}` : undefined;
}

/** Fields of an answer that is to break off: workerd ends one in chunks as if it were whole. */
export const UNENDING: Readonly<Record<string, string>> = WORKERD_ALONE ? { "Content-Length": "1000000000" } : {};
