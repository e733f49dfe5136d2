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

/** What differs from one machine to the next. */
export interface WorkerdConfig {
  /** File name of the bundle, beside the configuration. */
  readonly module: string;
  /** Absolute path of the directory for Durable Object data; it must exist. */
  readonly objectsDir: string;
  /** Where workerd listens. Port 0: any free one. */
  readonly listen: string;
  /** Text bindings of the Worker; may be secret. */
  readonly bindings: Readonly<Record<string, string>>;
}

/** The file's text. It holds the bindings: keep it readable by its owner only. */
export function workerdConfig(config: WorkerdConfig): string {
  const texts = Object.entries(config.bindings).map(([name, value]) =>
    `( name = ${text(name)}, text = ${text(value)} ),`
  );
  const objects = DURABLE_OBJECTS.map(({ binding, className }) =>
    `( name = ${text(binding)}, durableObjectNamespace = ${text(className)} ),`
  );
  const namespaces = DURABLE_OBJECTS.map(({ className, uniqueKey }) =>
    `( className = ${text(className)}, uniqueKey = ${text(uniqueKey)}, enableSql = true ),`
  );
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
    ( name = "objects", disk = ( path = ${text(config.objectsDir)}, writable = true ) ),
    ( name = "network", network = (
      allow = [ "public", "private" ],
      tlsOptions = ( trustBrowserCas = true ),
    ) ),
  ],
  sockets = [ ( name = "http", address = ${text(config.listen)}, http = (), service = "worker" ) ],
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
