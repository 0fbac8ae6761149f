/** `node test/support/run-ts.mjs FILE ARG…`: runs `main(...args)` of a TypeScript file in a process of its own, from source. */
import { runnerImport } from 'vite'

const [file, ...args] = process.argv.slice(2)
const { module } = await runnerImport(file, { configFile: false, logLevel: 'error' })
await module.main(...args)
