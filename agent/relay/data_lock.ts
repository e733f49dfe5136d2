import { join } from "node:path";
import { SpanwayError } from "../../shared/errors.ts";
import { RUNNING_RECORD_MAX_BYTES } from "../../shared/limits.ts";
import { giveLifeSign, isAlive, type LifeSign } from "../home/alive.ts";
import { createFile, readText, removeFile } from "../home/files.ts";

/** The name of the lock in a data directory. */
export const DATA_LOCK = "relay.lock";

/**
 * Takes a service's data directory for this process: two services on one state would each undo what the other has done.
 * The function returned gives it back; after a kill the next process takes it over.
 * @param hint what to do when another one runs
 * @throws {SpanwayError} `data-in-use`
 */
export async function lockData(
  dataDir: string,
  hint = "Use that one, or give this one a directory of its own with --data DIR.",
): Promise<() => Promise<void>> {
  const path = join(dataDir, DATA_LOCK);
  const sign = await giveLifeSign();
  const own = JSON.stringify({ port: sign.port, nonce: sign.nonce });
  // A second try: the lock of a dead process has been removed by then.
  for (let tries = 0; tries < 2; tries++) {
    if (await createFile(path, own)) {
      return async () => {
        sign.close();
        await removeFile(path);
      };
    }
    const holder = parse(await readText(path, RUNNING_RECORD_MAX_BYTES));
    if (holder !== undefined && await isAlive(holder)) break;
    await removeFile(path);
  }
  sign.close();
  throw new SpanwayError("data-in-use", `Another relay is running on ${dataDir}.`, { hint });
}

function parse(text: string | undefined): LifeSign | undefined {
  try {
    const { port, nonce } = JSON.parse(text ?? "") as Partial<LifeSign>;
    return typeof port === "number" && port > 0 && port < 65536 && typeof nonce === "string"
      ? { port, nonce }
      : undefined;
  } catch {
    return undefined;
  }
}
