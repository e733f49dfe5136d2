/**
 * How people call this program from where they are: in a checkout nothing has put it into their PATH. (The bundle of the
 * published package is JavaScript.)
 */
export const COMMAND = import.meta.url.endsWith(".ts") ? "npx spanway" : "spanway";
