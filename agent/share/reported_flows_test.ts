import assert from "node:assert/strict";
import type { Reach } from "../../shared/link/ends.ts";
import { type FlowReport, ReportedFlows } from "./reported_flows.ts";

Deno.test("flows are told with the link that they belong to, refused ones too", () => {
  const refuse: Record<number, () => void> = {};
  const reach: Reach = {
    connect: () => assert.fail(),
    openFlow: ({ port }, _, closed) => {
      refuse[port] = () => closed("not-allowed");
      return { send() {}, close() {} };
    },
  };
  const reports: FlowReport[] = [];
  const reported = new ReportedFlows(reach, () => 7, (report) => reports.push(report));
  const [one, two] = ["one", "two"].map((link) => reported.forLink({ link, device: "", from: undefined }));
  const open = (link: Reach | undefined, port: number) => link!.openFlow({ host: "", port }, () => {}, () => {});
  const flow = open(one, 53);
  open(two, 9);
  flow.send(new Uint8Array(4));
  refuse[9]!();
  flow.close();
  const of = (link: string, port: number, code: "not-allowed" | undefined, bytesIn: number) => ({
    ...{ link, target: { host: "", port }, startedAt: 7 },
    end: { code, bytesIn, bytesOut: 0, resumed: 0 },
  });
  assert.deepEqual(reports, [of("two", 9, "not-allowed", 0), of("one", 53, undefined, 4)]);
});
