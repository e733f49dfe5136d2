import type { Edges } from "./edges/edges_object.ts";
import type { Names } from "./names/names_object.ts";
import type { ServiceEnv } from "./settings.ts";
import type { Share } from "./share/share_object.ts";

/** Bindings of the Worker. */
export interface Env extends ServiceEnv {
  readonly SHARE: DurableObjectNamespace<Share>;
  readonly EDGES: DurableObjectNamespace<Edges>;
  readonly NAMES: DurableObjectNamespace<Names>;
}
