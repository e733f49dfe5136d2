import { errorMessage, SpanwayError } from "../../shared/errors.ts";
import { makeBundle } from "./make_bundle.js";

/**
 * The path of the Worker as one file for workerd: `dist/worker.js`. A checkout makes it with esbuild when it is missing
 * or older than its sources; a published package brings it along.
 * @throws {SpanwayError} `worker-missing`, `worker-broken`
 */
export function bundleWorker(): string {
  let bundle: string | undefined;
  try {
    bundle = makeBundle();
  } catch (cause) {
    throw new SpanwayError("worker-broken", `The Worker cannot be bundled: ${errorMessage(cause)}`, { cause });
  }
  if (bundle !== undefined) return bundle;
  throw new SpanwayError("worker-missing", "The service's program (dist/worker.js) is missing.", {
    hint: "Install spanway again; in a checkout, run `npm install` with the development packages.",
  });
}
