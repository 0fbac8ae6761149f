#!/usr/bin/env node
process.stdout.on('error', onOutputError)
// Nobody is left to be told.
process.stderr.on('error', () => {})

// It asks for a reload. Before there is something to reload, and while ending, it must not end the process.
if (process.argv[2] === 'run') process.on('SIGHUP', () => {})

// Loading the program takes a while, in which a signal may come.
const { runCli } = await import('./cli.ts')
const { processIo } = await import('./io.ts')
// Our timers keep no process alive, and between two attempts to reach a store there is nothing but a timer.
const atWork = setInterval(() => {}, 1 << 30)
const exitCode = await runCli(process.argv.slice(2), processIo)
clearInterval(atWork)
// A start that failed half-way, or a stop: whatever is still open would keep the process alive. Its lines are written.
if (process.argv[2] === 'run') process.exit(exitCode)
// Otherwise not: what was written to a pipe has to arrive.
process.exitCode = exitCode || process.exitCode

/** `postern config print | head`: a reader that has seen enough is no failure; a full disk is. */
function onOutputError({ code, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED' || process.exitCode !== undefined) return
  process.exitCode = 1
  process.stderr.write(`postern: cannot write the output: ${message}\n`)
}
