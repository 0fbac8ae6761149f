#!/usr/bin/env node
import { runCli } from './cli.ts'
import { processIo } from './io.ts'

// Not process.exit: what was written to a pipe has to arrive.
process.exitCode = await runCli(process.argv.slice(2), processIo)
