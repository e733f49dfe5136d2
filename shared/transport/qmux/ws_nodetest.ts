/** The compliance suite under Node: `node --import tsx --test shared/transport/qmux/ws_nodetest.ts`. */

import { test } from "node:test";
import { complianceCases } from "../compliance.ts";
import { qmuxPair } from "./loopback.ts";

for (const { name, run } of complianceCases("qmux", () => qmuxPair())) test(name, run);
