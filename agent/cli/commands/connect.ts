import process from "node:process";
import { type Command, Option } from "commander";
import { LINK_RESUME_WINDOW_MS, SOCKS_AUTH_FILE_MAX_BYTES } from "../../../shared/limits.ts";
import type { LinkTarget } from "../../../shared/link/ends.ts";
import { isOtherShare, linkTarget } from "../../connect/link_target.ts";
import { UsageError } from "../../errors.ts";
import { describeCommand, type Runner } from "../command.ts";
import { formatDuration } from "../duration.ts";
import type { ConnectOptions, Forward, GlobalOptions, ListenAddress, LoginOptions, SocksAuth } from "../options.ts";
import { listenAddress, path, resumeWindow } from "../parse.ts";
import { forwards, shareCode, socksAuth, staticIp, stdioTarget } from "../parse_connect.ts";

/** The port that SOCKS has by convention. */
const SOCKS_PORT = 1080;

/** `spanway connect SHARE` */
export function connectCommand(run: Runner): Command {
  const command = describeCommand("connect", "reach the ports of a share, encrypted from end to end, until Ctrl-C", [
    ["connect frosty-weasel-0857", "all its ports through SOCKS5 at 127.0.0.1:1080, names as NAME.spanway"],
    ["connect frosty-weasel-0857 -L 5432:5432 -L 5353:53/udp", "its database and its DNS, as local ports"],
    ["connect frosty-weasel-0857 --map", "every port that it listens on, at an address of its own"],
    ["connect frosty-weasel-0857 --tun", "at an IP address: every TCP and UDP port, and ping"],
    [
      "connect frosty-weasel-0857 --exec -- psql -h frosty-weasel-0857.spanway",
      "the same for one command, without rights",
    ],
    ["connect --ssh frosty-weasel-0857", "a shell there, if its owner shares one"],
    ["connect --ssh frosty-weasel-0857 -- uname -a", "one command"],
    ["connect frosty-weasel-0857 --stdio 22", "a ProxyCommand, for who has an account there: see docs/connect.md"],
  ])
    .argument("<share>", "NAME, NAME#FINGERPRINT (as its owner sees it; proves that it is the right one), or its URL")
    .argument("[command...]", "behind --: what to run, with --ssh there, with --exec here");
  return command
    .addOption(
      new Option("--socks <host:port>", `where to serve SOCKS5 (default: 127.0.0.1:${SOCKS_PORT}, or any free port)`)
        .argParser(listenAddress),
    )
    .option("--no-socks", "serve no SOCKS5")
    .addOption(
      new Option(
        "--socks-auth <user:password>",
        "what SOCKS clients must show; others on this machine can see it here",
      )
        .argParser(socksAuth),
    )
    .addOption(
      new Option("--socks-auth-file <file>", "file with USER:PASSWORD, which nobody sees (default: SPANWAY_SOCKS_AUTH)")
        .argParser(path),
    )
    .addOption(
      new Option("-L <forward>", "[BIND:]PORT[:HOST]:RPORT[/udp], a local port for one of the share; may be repeated")
        .argParser(forwards).default([], "none"),
    )
    .addOption(
      new Option("--stdio <port>", "one connection to PORT, HOST:PORT or ssh over standard input and output; no SOCKS")
        .argParser(stdioTarget),
    )
    .option("--ssh", "log in over SSH with the key that the owner made for it, and do nothing else", false)
    .option("-t, --tty", "with --ssh: a terminal for the command, too", false)
    .addOption(
      new Option(
        "--ssh-password-file <file>",
        "file with the password of the key (default: SPANWAY_SSH_PASSWORD, or asked for)",
      ).argParser(path),
    )
    .option("--tun", "an IP address for the share on this machine (the default, where it is possible)")
    .option("--no-tun", "no address for it")
    .addOption(
      new Option("--ip <address>", "the address that it shall be, IPv4 (default: 172.16.0.2, or the next free one)")
        .argParser(staticIp),
    )
    .option("--hosts", "make NAME.spanway known in /etc/hosts while connected (as root)", false)
    .option("--exec", "run the command behind -- where the share has an address, without any rights", false)
    .option("--shell", "the same with your shell", false)
    .option("--internet", "with --exec and --shell: reach everything else through this machine, too", false)
    .option("--map", "mirror the ports that the share listens on to 127.77.x.y, as they come and go", false)
    .addOption(
      new Option("--resume-window <time>", "how long connections outlive the loss of their path")
        .argParser(resumeWindow).default(LINK_RESUME_WINDOW_MS, formatDuration(LINK_RESUME_WINDOW_MS)),
    )
    .option("--forget", "accept that the share has another identity than before, and remember the new one", false)
    .action((share: string, words: readonly string[]) =>
      run(async (context) => {
        const raw = command.optsWithGlobals<RawConnect>();
        const login = loginOptions(share, words, raw);
        if (login !== undefined) {
          const { runLogin } = await import("../../ssh/login/run_login.ts");
          return await runLogin(login, context);
        }
        const options = await connectOptions(share, words, raw);
        const { runConnect } = await import("../../connect/run_connect.ts");
        await runConnect(options, context);
      })
    );
}

/** What commander makes of the options. */
interface RawConnect extends GlobalOptions {
  /** False with --no-socks. */
  readonly socks?: ListenAddress | false;
  readonly socksAuth?: SocksAuth;
  readonly socksAuthFile?: string;
  readonly L: readonly Forward[];
  readonly stdio?: LinkTarget;
  readonly map: boolean;
  /** False with --no-tun, undefined without either. */
  readonly tun?: boolean;
  readonly ip?: string;
  readonly hosts: boolean;
  readonly exec: boolean;
  readonly shell: boolean;
  readonly internet: boolean;
  readonly resumeWindow: number;
  readonly forget: boolean;
  readonly ssh: boolean;
  readonly tty: boolean;
  readonly sshPasswordFile?: string;
}

/** With --ssh there is one thing to do. @throws {UsageError} */
function loginOptions(share: string, command: readonly string[], raw: RawConnect): LoginOptions | undefined {
  const { json, quiet, relay, ssh, tty, sshPasswordFile, resumeWindow, forget } = raw;
  if (!ssh) {
    const lost = command.length > 0 && !raw.exec && !raw.shell
      ? "A command"
      : tty
      ? "--tty"
      : sshPasswordFile
      ? "--ssh-password-file"
      : undefined;
    if (lost === undefined) return undefined;
    throw new UsageError(
      `${lost} needs --ssh${lost === "A command" ? " or --exec" : ""}.`,
      lost === "A command"
        ? "To run it there: spanway connect --ssh NAME -- COMMAND; here, where the share is: --exec -- COMMAND"
        : "Write: spanway connect --ssh NAME -t -- COMMAND",
    );
  }
  const other = [
    ["-L", raw.L.length > 0],
    ["--map", raw.map],
    ["--stdio", raw.stdio !== undefined],
    [
      "--socks",
      raw.socks,
    ],
    ["--tun", raw.tun],
    ["--ip", raw.ip],
    ["--hosts", raw.hosts],
    ["--exec", raw.exec],
    ["--shell", raw.shell],
  ]
    .find(([, given]) => given);
  if (other !== undefined) {
    throw new UsageError(
      `--ssh logs in and does nothing else; ${other[0]} is for another connect.`,
      "Run both, each in its own terminal.",
    );
  }
  const code = shareCode(share, relay);
  return { json, quiet, relay, share: code, command, tty, passwordFile: sshPasswordFile, resumeWindow, forget };
}

async function connectOptions(share: string, words: readonly string[], raw: RawConnect): Promise<ConnectOptions> {
  const { json, quiet, relay, L, stdio, map, ip, hosts, resumeWindow, forget } = raw;
  const socks = socksAddress(raw);
  const inside = insideOptions(words, raw);
  const tun = tunWish(raw);
  if (socks === undefined && stdio === undefined && L.length === 0 && !map && tun !== "wanted" && !inside) {
    throw new UsageError(
      "With --no-socks alone nothing is opened here.",
      "Say what should be: --tun, -L PORT:RPORT, --map or --stdio PORT.",
    );
  }
  const code = shareCode(share, relay);
  for (const { host, port } of stdio === undefined ? L : [...L, stdio]) {
    if (!isOtherShare(linkTarget(host, port, code.name))) continue;
    throw new UsageError(
      `${host} is another share than ${code.name}.`,
      `Connect to it: spanway connect ${host.split(".")[0]}`,
    );
  }
  return {
    json,
    quiet,
    relay,
    share: code,
    socks,
    socksAuth: socks && (raw.socksAuth ?? await storedAuth(raw.socksAuthFile)),
    forwards: L,
    stdio,
    map,
    tun,
    ip,
    hosts,
    inside,
    resumeWindow,
    forget,
  };
}

/** Whoever asks for nothing gets the best that is possible; whoever asks for something else gets that. @throws {UsageError} */
function tunWish({ tun, ip, hosts, map, stdio, L, exec, shell }: RawConnect): ConnectOptions["tun"] {
  const asked = tun ? "--tun" : ip !== undefined ? "--ip" : hosts ? "--hosts" : undefined;
  const against = tun === false
    ? "--no-tun"
    : stdio !== undefined
    ? "--stdio"
    : exec
    ? "--exec"
    : shell
    ? "--shell"
    : undefined;
  if (asked !== undefined && against !== undefined) {
    throw new UsageError(`${asked} and ${against} exclude each other.`, `Leave out ${asked}, or ${against}.`);
  }
  if (asked !== undefined) return "wanted";
  return against !== undefined || map || L.length > 0 ? "none" : "best";
}

/** What runs in a namespace of its own. @throws {UsageError} */
function insideOptions(command: readonly string[], raw: RawConnect): ConnectOptions["inside"] {
  const { exec, shell, internet, map, stdio } = raw;
  if (!exec && !shell) {
    if (!internet) return undefined;
    throw new UsageError("--internet needs --exec or --shell.", "Write: spanway connect NAME --internet --shell");
  }
  if (exec === (command.length === 0) || exec && shell) {
    throw new UsageError(
      exec ? shell ? "--exec and --shell exclude each other." : "--exec needs a command." : "--shell takes no command.",
      "Write: spanway connect NAME --exec -- COMMAND, or spanway connect NAME --shell",
    );
  }
  if (map || stdio !== undefined) {
    throw new UsageError(
      `--${exec ? "exec" : "shell"} and --${map ? "map" : "stdio"} exclude each other.`,
      "Run both, each in its own terminal.",
    );
  }
  return { command, internet };
}

/** With --stdio, --exec and --shell there is SOCKS only where somebody wants it: such a command serves one connection, often among many. */
function socksAddress({ socks, stdio, exec, shell }: RawConnect): ConnectOptions["socks"] {
  if (socks === false) return undefined;
  if (socks !== undefined) return { ...socks, explicit: true };
  return stdio === undefined && !exec && !shell ? { host: "127.0.0.1", port: SOCKS_PORT, explicit: false } : undefined;
}

/** User name and password from their file, or from the environment. */
async function storedAuth(file: string | undefined): Promise<SocksAuth | undefined> {
  let text = process.env.SPANWAY_SOCKS_AUTH;
  if (file !== undefined) {
    const { readText } = await import("../../home/files.ts");
    text = await readText(file, SOCKS_AUTH_FILE_MAX_BYTES).catch(() => undefined);
    if (text === undefined) {
      throw new UsageError(`The file ${file} cannot be read.`, "Give a file with USER:PASSWORD to --socks-auth-file.");
    }
  }
  return text === undefined || text === "" ? undefined : socksAuth(text.replace(/\r?\n$/, ""));
}
