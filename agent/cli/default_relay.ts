/** The service that is used when none is named: the one that `spanway relay` runs on this machine. */
export const DEFAULT_RELAY = "http://localhost:8080";
