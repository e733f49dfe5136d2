/** Makes ready what a share needs to let people log in, before the service hears of it. */
import { join } from "node:path";
import type { Home } from "../../home/home.ts";
import { SshError, UsageError } from "../../errors.ts";
import type { SshOptions } from "../../cli/options.ts";
import type { Output } from "../../cli/output.ts";
import { openTerminal } from "../../cli/terminal_prompt.ts";
import { giveLifeSign } from "../../home/alive.ts";
import { launched, type Surroundings } from "../../launched.ts";
import { createLookup } from "../../reach/lookup.ts";
import { ownAddresses } from "../../reach/own_addresses.ts";
import { makeLoginKey } from "../key/make_key.ts";
import { openPlace, type PlaceKind, type Programs } from "../place/place.ts";
import { sweepStale } from "../place/placements.ts";
import type { Landing, NewKey } from "./landing.ts";
import { newPassword } from "./new_password.ts";
import { PlaceLanding } from "./place_landing.ts";

/** A landing and a key for it. */
export interface PreparedSsh {
  readonly landing: Landing;
  readonly key: NewKey;
  /** Gives up what the landing holds. Idempotent. */
  close(): void;
}

const SSH_PORT = 22;

/**
 * @param words that are no secret here, such as the name of the share
 * @returns undefined when whoever was asked for a password gave up
 * @throws {SshError | UsageError | HomeError}
 */
export async function prepareSsh(
  options: SshOptions,
  words: readonly string[],
  { home, output, signal }: { readonly home: Home; readonly output: Output; readonly signal: AbortSignal },
): Promise<PreparedSsh | undefined> {
  const around = launched();
  const { landing, close } = await openLanding(options, around, home, output);
  const terminal = openTerminal();
  try {
    const password = await newPassword(options, terminal, [...words, landing.user], signal);
    if (password === undefined) {
      close();
      return undefined;
    }
    output.note("Making a key.");
    const pair = await makeLoginKey({
      password,
      comment: "spanway",
      sshKeygen: around.programs["ssh-keygen"],
      dir: around.runDir ?? home.dir,
    });
    return { landing, key: { ...pair, password }, close };
  } catch (error) {
    close();
    throw error;
  } finally {
    terminal?.close();
  }
}

async function openLanding(
  options: SshOptions,
  around: Surroundings,
  home: Home,
  output: Output,
): Promise<{ landing: Landing; close: () => void }> {
  const { user, sessionEnv } = around;
  if (options.where.kind === "own-server") {
    const { OwnLanding, ownHostKey } = await import("./own_landing.ts");
    const own = new OwnLanding({
      user: user.name,
      home: sessionEnv["HOME"] ?? "/",
      shell: sessionEnv["SHELL"] ?? "/bin/sh",
      env: sessionEnv,
    }, await ownHostKey(home.dir));
    return { landing: own, close: () => own.close() };
  }
  const placementsDir = join(home.dir, "ssh", "placed");
  const programs = programsOf(around);
  const port = options.port ?? SSH_PORT;
  const open = (kind: PlaceKind) => openPlace(kind, programs, { port, userName: user.name, uid: user.uid });
  await sweepStale(placementsDir, open, (text) => output.note(text));
  const kind = placeKind(options, around);
  const place = await open(kind);
  // Lines of shares that are long over, of which nothing is written down any more.
  if (kind.kind === "account") await place.sweep([]);
  const sign = await giveLifeSign();
  const landing = new PlaceLanding(kind, place, { placementsDir, sign, lookup: createLookup(), ownAddresses });
  return { landing, close: sign.close };
}

function programsOf({ programs }: Surroundings): Programs {
  const sh = programs["sh"];
  if (sh === undefined) {
    throw new SshError("ssh-missing", "There is no sh on this machine.", { hint: "Use --ssh-server." });
  }
  const { runuser, su, ssh, vagrant } = programs;
  return { sh, runuser, su, ssh, vagrant };
}

function placeKind(
  { where, user, port, authorizedKeys }: SshOptions,
  { vagrantFolder, programs }: Surroundings,
): PlaceKind {
  switch (where.kind) {
    case "host":
      return { kind: "host", user: where.user, host: where.host, port };
    case "vagrant":
      if (vagrantFolder === undefined) {
        throw new UsageError("There is no Vagrantfile in this folder.", "Change to the folder of the Vagrant machine.");
      }
      return { kind: "vagrant", folder: vagrantFolder, machine: where.machine };
    case "usual":
      if (vagrantFolder !== undefined && programs["vagrant"] !== undefined) {
        return { kind: "vagrant", folder: vagrantFolder, machine: undefined };
      }
      break;
    case "here":
    case "own-server":
  }
  return { kind: "account", user, ...(authorizedKeys === undefined ? {} : { file: authorizedKeys }) };
}
