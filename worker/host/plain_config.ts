import { workerdConfig } from "./capnp_config.ts";

/** What can be set by the environment of workerd: see `ServiceEnv`. */
const SETTINGS = [
  "SPANWAY_SERVICE_KEY",
  "SPANWAY_DOMAIN",
  "SPANWAY_ORIGINS",
  "SPANWAY_VISITOR_HEADER",
  "SPANWAY_BODY_MAX_BYTES",
  "SPANWAY_ATTACH",
  "SPANWAY_TRACE",
];

/**
 * The configuration of workerd without spanway around it: the same on every machine, with the settings from its
 * environment. Where it keeps its state is told to it with `-dobjects=DIR`, another address with `-shttp=HOST:PORT`.
 */
export function plainConfig(): string {
  return workerdConfig({
    module: "worker.js",
    objectsDir: undefined,
    listen: "127.0.0.1:8080",
    proxied: true,
    bindings: Object.fromEntries(SETTINGS.map((name) => [name, { fromEnvironment: name }])),
  });
}
