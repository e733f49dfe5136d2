/**
 * The contract of `Session`, as cases that any test runner can run:
 *
 *     for (const { name, run } of complianceCases("memory", connect)) Deno.test(name, run);
 *     for (const { name, run } of complianceCases("h2", connect)) test(name, run);   // node:test
 *
 * Each case makes a pair of its own, is bounded in time, and leaves nothing behind. An unhandled rejection fails the
 * case in either runner.
 */

import assert from "node:assert/strict";
import { CLOSE_CASES } from "./compliance_close.ts";
import { DATAGRAM_CASES } from "./compliance_datagrams.ts";
import { STREAM_CASES } from "./compliance_streams.ts";
import { type Capabilities, COMPLIANCE_CASE_MS, type CompliancePair, within } from "./compliance_tools.ts";

export type { Capabilities, CompliancePair } from "./compliance_tools.ts";

/** One requirement. `run` rejects when the transport does not keep it. */
export interface ComplianceCase {
  readonly name: string;
  run(): Promise<void>;
}

/**
 * The cases for one transport.
 *
 * @param transport what the names of the cases start with
 * @param connect makes a fresh connected pair
 * @param capabilities what the transport truly cannot do; everything is asked for by default
 */
export function complianceCases(
  transport: string,
  connect: () => Promise<CompliancePair>,
  capabilities: Partial<Capabilities> = {},
): ComplianceCase[] {
  const able: Capabilities = {
    readsEndCleanly: true,
    datagrams: true,
    closeDetails: true,
    abortsAtOnce: true,
    losesPaths: true,
    ...capabilities,
  };
  const cases = [...STREAM_CASES, ...DATAGRAM_CASES, ...CLOSE_CASES];
  return cases.filter((item) => item.needs === undefined || able[item.needs]).map((item) => ({
    name: `${transport}: ${item.name}`,
    async run() {
      const pair = await within(connect(), "connecting");
      try {
        assert.equal(pair.client.transport, pair.server.transport);
        await within(item.run(pair, able), item.name, COMPLIANCE_CASE_MS);
      } catch (failure) {
        // Says more than a pair that cannot be disposed of either.
        pair.dispose().catch(() => {});
        throw failure;
      }
      await within(pair.dispose(), "disposing of the pair");
      // Rejections that nobody handles are reported at the end of a turn: let them show up in this case.
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  }));
}
