#!/usr/bin/env node
import { runCli } from './cli.ts'
import { processIo } from './io.ts'

process.stdout.on('error', onOutputError)
// Nobody is left to be told.
process.stderr.on('error', () => {})

const exitCode = await runCli(process.argv.slice(2), processIo)
// Not process.exit: what was written to a pipe has to arrive.
process.exitCode = exitCode || process.exitCode

/** `postern config print | head`: a reader that has seen enough is no failure; a full disk is. */
function onOutputError({ code, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED' || process.exitCode !== undefined) return
  process.exitCode = 1
  process.stderr.write(`postern: cannot write the output: ${message}\n`)
}
