/** What each command is given once its command line has been read and checked. */
import type { LinkTarget } from "../../shared/link/ends.ts";
import type { Jurisdiction } from "../../shared/object_place.ts";
import type { ReachRules } from "../reach/policy.ts";

/** Options that every command knows. */
export interface GlobalOptions {
  /** One JSON object per line on standard output. */
  readonly json: boolean;
  /** No line per request, no remarks. */
  readonly quiet: boolean;
  /** Origin of the share service: scheme, host, port; the path is "/". */
  readonly relay: URL;
}

/** Where to listen. */
export interface ListenAddress {
  /** Name or IP address, IPv6 without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** What the person wrote it behind, for errors. */
  readonly option?: string;
}

/** What the origin sees as `Host`: its own address, the visitor's, or a fixed value. */
export type HostHeader =
  | { readonly mode: "rewrite" }
  | { readonly mode: "keep" }
  | { readonly mode: "value"; readonly value: string };

/** Where people log in. `usual`: a Vagrant machine where the folder has one, else this machine. */
export type SshWhere =
  | { readonly kind: "usual" }
  | { readonly kind: "here" }
  | { readonly kind: "own-server" }
  | { readonly kind: "vagrant"; readonly machine: string | undefined }
  | { readonly kind: "host"; readonly user: string | undefined; readonly host: string };

/** How a share lets people log in. */
export interface SshOptions {
  readonly where: SshWhere;
  /** An account of this machine; undefined for whoever shares. */
  readonly user: string | undefined;
  /** Of the SSH server; undefined where it says itself, or is the usual one. */
  readonly port: number | undefined;
  /** Where its sshd looks for keys, absolute; undefined for the usual file. */
  readonly authorizedKeys: string | undefined;
  /** The first login is the only one. */
  readonly once: boolean;
  /** Absolute path. */
  readonly passwordFile: string | undefined;
  readonly generatePassword: boolean;
  readonly weakPassword: boolean;
}

/** What `share` and `up` have in common. */
export interface SharedTargetOptions {
  /** As typed; `parseTarget` reads it. Undefined: look for something to share. */
  readonly target: string | undefined;
  /** A chosen name, already checked for its form. */
  readonly name: string | undefined;
  /** How long to share, in milliseconds. */
  readonly expires: number;
  readonly hostHeader: HostHeader;
  /** Do not check the certificate of an https target. */
  readonly insecureTarget: boolean;
  /** Print the URL as a QR code. */
  readonly qr: boolean;
  /** What those who connect may reach. */
  readonly reach: ReachRules;
  /** Visitors of the URL get nothing but word of it; connecting goes on. */
  readonly disableHttp: boolean;
  /** How long a connection without a path is kept, in milliseconds. */
  readonly resumeWindow: number;
  /** Undefined where nobody may log in. */
  readonly ssh: SshOptions | undefined;
  /** Where the service must keep the share; undefined: anywhere. */
  readonly jurisdiction: Jurisdiction | undefined;
}

export interface ShareOptions extends GlobalOptions, SharedTargetOptions {}

/** PEM files for HTTPS. */
export interface TlsFiles {
  /** Absolute path. */
  readonly certFile: string;
  /** Absolute path. */
  readonly keyFile: string;
}

/** What `relay` and `up` have in common. */
export interface ServiceOptions {
  readonly listen: ListenAddress;
  /** Shares are at NAME.domain. */
  readonly domain: string;
  /** Absolute path. */
  readonly dataDir: string;
}

export interface RelayOptions extends GlobalOptions, ServiceOptions {
  readonly region: string;
  readonly tls: TlsFiles | undefined;
  /** workerd alone. */
  readonly noEdge: boolean;
  /** Origin of a proxy in front, without an edge only. */
  readonly publicUrl: URL | undefined;
}

/** What `backup` and `restore` have in common. */
export interface BackupOptions extends GlobalOptions {
  /** Absolute path of the backup. */
  readonly file: string;
  /** Absolute path of the state. */
  readonly dataDir: string;
  /** What is in the way gives way. */
  readonly force: boolean;
}

export interface UpOptions extends GlobalOptions, ServiceOptions, SharedTargetOptions {}

export interface EdgeOptions extends GlobalOptions {
  /** Origin of the service that this edge works for. */
  readonly control: URL;
  readonly region: string;
  readonly listen: ListenAddress;
  /** A name of its own, where the domain of the shares leads elsewhere. */
  readonly publicHost: string | undefined;
  readonly tls: TlsFiles | undefined;
  /** Shared secret of the service and its edges. Never shown. */
  readonly serviceKey: string;
}

/** What a SOCKS client must show: each 1 to 255 bytes in UTF-8. Never shown. */
export interface SocksAuth {
  readonly user: string;
  readonly password: string;
}

/** One `-L`: what arrives at an address of this machine goes to a port of the share. */
export interface Forward {
  readonly protocol: "tcp" | "udp";
  readonly listen: ListenAddress;
  /** As typed; empty for the shared host itself. */
  readonly host: string;
  readonly port: number;
}

/** What it takes to log in to a share. */
export interface LoginOptions extends Pick<ConnectOptions, keyof GlobalOptions | "share" | "resumeWindow" | "forget"> {
  /** Words of the command to run there; none for a shell. */
  readonly command: readonly string[];
  /** A terminal for the command, too. */
  readonly tty: boolean;
  /** Absolute path; undefined: the environment, or the terminal. */
  readonly passwordFile: string | undefined;
}

export interface SetupTunOptions extends GlobalOptions {
  /** Name of an account; undefined: who asks. */
  readonly user: string | undefined;
  readonly ip: string | undefined;
  readonly remove: boolean;
  /** What of this was asked for, as words. */
  readonly words: readonly string[];
}

/** What runs where the static IP of a share is, and nowhere else. */
export interface InsideOptions {
  /** Its words; none for the person's shell. */
  readonly command: readonly string[];
  /** Let it reach everything else through this machine. */
  readonly internet: boolean;
}

export interface ConnectOptions extends GlobalOptions {
  readonly share: {
    readonly name: string;
    /** The identity that it must prove; undefined: the one that it proved before. */
    readonly fingerprint: string | undefined;
  };
  /** Undefined: no SOCKS5. */
  readonly socks:
    | (ListenAddress & { /** Asked for by the person: no other port will do. */ readonly explicit: boolean })
    | undefined;
  readonly socksAuth: SocksAuth | undefined;
  readonly forwards: readonly Forward[];
  /** Where standard input and output lead. */
  readonly stdio: LinkTarget | undefined;
  /** Mirror the ports that the share listens on. */
  readonly map: boolean;
  /** An address of its own for the share: `best` is one if it is possible, else `map`; a person who asks gets told why not. */
  readonly tun: "wanted" | "best" | "none";
  /** The address that it must be, in its canonical form. */
  readonly ip: string | undefined;
  /** Make NAME.spanway known through the system's file of host names. */
  readonly hosts: boolean;
  /** A command in a namespace of its own, where the address is. */
  readonly inside: InsideOptions | undefined;
  /** How long a gap without a path is survived, in milliseconds. */
  readonly resumeWindow: number;
  /** Forget the share's remembered identity and remember the one that it proves now. */
  readonly forget: boolean;
}
