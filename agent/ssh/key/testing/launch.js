// @ts-check
/** Starts a program as the launcher starts the agent. */
import { spawn } from "node:child_process";
import process from "node:process";
import { handOverStdio } from "../../../bin/hand_over.js";

const [program = "", ...words] = process.argv.slice(2);
const { stdio, env, release } = handOverStdio(false);
const child = spawn(program, words, { stdio, env: { ...process.env, ...env } });
child.on("spawn", release);
// As the launcher does: it is the program that ends, not this one.
process.on("SIGINT", () => {});
child.on("exit", (code) => process.exit(code ?? 99));
