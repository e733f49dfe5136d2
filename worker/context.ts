import type { Env } from "./env.ts";
import type { Settings } from "./settings.ts";

/** What every route of the app has at hand. */
export interface Context {
  readonly Bindings: { readonly env: Env; readonly settings: Settings };
}
