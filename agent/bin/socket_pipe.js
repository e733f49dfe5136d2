#!/usr/bin/env node
// @ts-check
/**
 * Joins standard input and output to a Unix socket: what ssh runs as its ProxyCommand to get at the link of the `spanway
 * connect --ssh` that started it.
 */
import { connect } from "node:net";

const socket = connect({ path: process.argv[2] ?? "", allowHalfOpen: true });
socket.on("error", () => process.exit(1));
socket.on("close", () => process.exit());
process.stdin.on("error", () => socket.destroy());
process.stdout.on("error", () => socket.destroy());
process.stdin.pipe(socket);
socket.pipe(process.stdout);
// Node keeps standard output open for as long as it runs, and ssh waits for its end.
socket.on("end", () => process.stdout.end(() => process.exit()));
