/** The configuration of workerd (Cap'n Proto text form) that wrangler.toml describes for Cloudflare. */

/** Of wrangler.toml: the two must be the same. */
export const COMPATIBILITY_DATE = "2026-04-20";
export const COMPATIBILITY_FLAGS = ["enable_request_signal"] as const;

/** Binding, class and directory of each Durable Object class. Another directory would lose its data. */
export const DURABLE_OBJECTS = [
  { binding: "SHARE", className: "Share", uniqueKey: "spanway-share" },
  { binding: "EDGES", className: "Edges", uniqueKey: "spanway-edges" },
  { binding: "NAMES", className: "Names", uniqueKey: "spanway-names" },
] as const;

/** The value of a text binding, or the environment variable that has it: null for the Worker where that is not set. */
export type Binding = string | { readonly fromEnvironment: string };

/** What differs from one machine to the next. */
export interface WorkerdConfig {
  /** File name of the bundle, beside the configuration. */
  readonly module: string;
  /** Absolute path of the directory for Durable Object data; it must exist. Undefined: told to workerd with `-dobjects=`. */
  readonly objectsDir: string | undefined;
  /** Where workerd listens. Port 0: any free one. */
  readonly listen: string;
  /** A proxy in front says by which scheme it was asked (X-Forwarded-Proto): the Worker sees that one. */
  readonly proxied?: boolean;
  /** Text bindings of the Worker; may be secret. */
  readonly bindings: Readonly<Record<string, Binding>>;
}

/** The file's text. It holds the bindings: keep it readable by its owner only. */
export function workerdConfig(config: WorkerdConfig): string {
  const texts = Object.entries(config.bindings).map(([name, value]) =>
    typeof value === "string"
      ? `( name = ${text(name)}, text = ${text(value)} ),`
      : `( name = ${text(name)}, fromEnvironment = ${text(value.fromEnvironment)} ),`
  );
  const objects = DURABLE_OBJECTS.map(({ binding, className }) =>
    `( name = ${text(binding)}, durableObjectNamespace = ${text(className)} ),`
  );
  const namespaces = DURABLE_OBJECTS.map(({ className, uniqueKey }) =>
    `( className = ${text(className)}, uniqueKey = ${text(uniqueKey)}, enableSql = true ),`
  );
  const path = config.objectsDir === undefined ? "" : `path = ${text(config.objectsDir)}, `;
  const http = config.proxied ? `( forwardedProtoHeader = "X-Forwarded-Proto" )` : "()";
  // Edges listen on loopback or on a private network as often as not, so the Worker may reach every address.
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    ( name = "worker", worker = (
      modules = [ ( name = "worker.js", esModule = embed ${text(config.module)} ) ],
      compatibilityDate = ${text(COMPATIBILITY_DATE)},
      compatibilityFlags = [ ${COMPATIBILITY_FLAGS.map(text).join(", ")} ],
      bindings = [
        ${[...texts, ...objects].join("\n        ")}
      ],
      durableObjectNamespaces = [
        ${namespaces.join("\n        ")}
      ],
      durableObjectStorage = ( localDisk = "objects" ),
      globalOutbound = "network",
    ) ),
    ( name = "objects", disk = ( ${path}writable = true ) ),
    ( name = "network", network = (
      allow = [ "public", "private" ],
      tlsOptions = ( trustBrowserCas = true ),
    ) ),
  ],
  sockets = [ ( name = "http", address = ${text(config.listen)}, http = ${http}, service = "worker" ) ],
);
`;
}

/** A Cap'n Proto text literal. Everything but plain ASCII is written as bytes of UTF-8. */
function text(value: string): string {
  let literal = '"';
  for (const byte of new TextEncoder().encode(value)) {
    const char = String.fromCharCode(byte);
    if (char === '"' || char === "\\") literal += `\\${char}`;
    else if (byte >= 0x20 && byte < 0x7f) literal += char;
    else literal += `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `${literal}"`;
}
