import { shellWord } from "../../shell/shell_word.ts";
/** What ssh is told, as text of its configuration files (ssh_config(5), sshd(8) for known_hosts). */

/** Where what a login needs lies. Absolute paths. */
export interface LoginFiles {
  readonly knownHosts: string;
  /** The public half, where an agent has the key; else the encrypted key. */
  readonly identity: string;
  /** Socket of the agent that has the key; undefined where ssh asks for the password itself. */
  readonly agent: string | undefined;
}

export interface LoginSettings {
  /** Name of the share: what people write behind `ssh`. */
  readonly name: string;
  readonly user: string;
  readonly files: LoginFiles;
  /** Words of the command whose input and output is the connection. */
  readonly proxy: readonly string[];
  /** Words that run here once the login has succeeded, as text for a shell. */
  readonly afterLogin?: string;
}

/** Under this name the host keys of a share are known. */
export function hostAlias(name: string): string {
  return `${name}.spanway`;
}

/** A known_hosts file for one share. @param hostKeys as `ssh-ed25519 AAAA...` */
export function knownHosts(name: string, hostKeys: readonly string[]): string {
  return hostKeys.map((key) => `${hostAlias(name)} ${key}\n`).join("");
}

/** A Host block: nothing but the share's own key is offered, and nothing but its own host keys is believed. */
export function hostBlock({ name, user, files, proxy, afterLogin }: LoginSettings): string {
  const settings: [string, string][] = [
    ["HostName", name],
    ["HostKeyAlias", hostAlias(name)],
    ["User", user],
    ["IdentityFile", quoted(files.identity)],
    ["IdentitiesOnly", "yes"],
    ...(files.agent === undefined ? [] : [["IdentityAgent", quoted(files.agent)] as [string, string]]),
    ["PreferredAuthentications", "publickey"],
    ["UserKnownHostsFile", quoted(files.knownHosts)],
    ["GlobalKnownHostsFile", "/dev/null"],
    ["StrictHostKeyChecking", "yes"],
    ["CheckHostIP", "no"],
    ["UpdateHostKeys", "no"],
    ["ProxyCommand", proxy.map(shellWord).join(" ").replaceAll("%", "%%")],
    // Whoever shares is no more trusted with this side than the server of a web page is.
    ["ForwardAgent", "no"],
    ["ForwardX11", "no"],
    // It would tell the link what the link does better: the loss of a path is no reason to hang up.
    ["ServerAliveInterval", "0"],
    ...(afterLogin === undefined
      ? []
      : [["PermitLocalCommand", "yes"], ["LocalCommand", afterLogin.replaceAll("%", "%%")]] as [string, string][]),
  ];
  return [`Host ${name} ${hostAlias(name)}`, ...settings.map(([key, value]) => `  ${key} ${value}`), ""].join("\n");
}

/** A file name in ssh_config, where `%` begins a token. */
function quoted(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}
