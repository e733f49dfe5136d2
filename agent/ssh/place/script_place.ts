import { randomBytes } from "node:crypto";
import { SSH_PLACEMENTS_MAX } from "../../../shared/limits.ts";
import type { KeyLine, Place } from "./place.ts";
import { placeFailure, readSaid, type Said } from "./place_failure.ts";
import { placeScript, type Task, type Where } from "./script.ts";
import type { Shell } from "./shells.ts";
import type { ServerAddress } from "./where_server.ts";
import { checkLine, isTag } from "./words.ts";

/** A place that a shell leads to. */
export class ScriptPlace implements Place {
  readonly label: string;
  readonly server: ServerAddress;
  readonly #shell: Shell;
  readonly #where: Where;

  constructor(label: string, server: ServerAddress, shell: Shell, where: Where) {
    this.label = label;
    this.server = server;
    this.#shell = shell;
    this.#where = where;
  }

  async add({ publicKey, tag, expiresInMs }: KeyLine, signal?: AbortSignal): Promise<void> {
    checkLine(publicKey, tag);
    const seconds = Math.max(1, Math.ceil(expiresInMs / 1000));
    await this.#run({ task: "add", publicKey, tag, seconds }, signal, true);
  }

  async remove(tag: string, signal?: AbortSignal): Promise<void> {
    await this.#run({ task: "remove", tag: checked(tag) }, signal);
  }

  async sweep(tags: readonly string[], signal?: AbortSignal): Promise<number> {
    const some = tags.slice(0, SSH_PLACEMENTS_MAX).map(checked);
    const { count } = await this.#run({ task: "sweep", tags: some }, signal);
    return count;
  }

  async hostKeys(signal?: AbortSignal): Promise<readonly string[]> {
    const { hostKeys } = await this.#run({ task: "host-keys" }, signal, true);
    return hostKeys;
  }

  /** Nobody is asked anything for the sake of tidying up. */
  async #run(task: Task, signal: AbortSignal | undefined, mayAsk = false): Promise<Extract<Said, { ok: true }>> {
    const script = placeScript(task, this.#where, randomBytes(8).toString("hex"));
    const ended = await this.#shell.run(script, mayAsk, signal);
    const said = readSaid(ended.stdout);
    if (said === undefined) throw this.#shell.failed(ended);
    if (!said.ok) throw placeFailure(this.label, said);
    return said;
  }
}

function checked(tag: string): string {
  if (!isTag(tag)) throw new TypeError("not a tag");
  return tag;
}
