import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { SERVICE_KEY_MAX_BYTES } from "../../shared/limits.ts";
import { HomeError } from "../errors.ts";
import { createFile, ensurePrivateDir, readText } from "../home/files.ts";

/**
 * The secret that a service and its edges share, from `service.key` in the service's data directory; made on first use,
 * mode 0600.
 * @throws {HomeError}
 */
export async function serviceKey(dataDir: string): Promise<string> {
  await ensurePrivateDir(dataDir);
  const path = join(dataDir, "service.key");
  await createFile(path, randomBytes(32).toString("base64url") + "\n");
  const key = (await readText(path, SERVICE_KEY_MAX_BYTES))?.trim() ?? "";
  if (key.length >= 32) return key;
  throw new HomeError("key-corrupted", `${path} holds no service key.`, {
    hint: "Remove the file to have a new key made; edges elsewhere need the new one too.",
  });
}
