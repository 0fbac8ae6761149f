/** Forked: answers `{ args, ahead }` with what the command line said. From source, and in a process of its own: LMDB must not be opened twice in one. */
import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'

const root = fileURLToPath(new URL('../..', import.meta.url))
const server = await createServer({
  root,
  configFile: false,
  logLevel: 'error',
  appType: 'custom',
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, watch: null, ws: false },
})
const { runCli } = await server.ssrLoadModule('/cmd/postern/cli.ts')

async function answer({ args, ahead }) {
  const out = []
  const err = []
  const clock = { now: () => Date.now() + ahead, monotonic: () => performance.now() + ahead, after: () => () => {} }
  const exitCode = await runCli(args, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env: {},
    ...(ahead > 0 && { clock }),
  })
  process.send({ exitCode, out: out.join('\n'), err: err.join('\n') })
}

process.on('message', (asked) => void answer(asked))
process.on('disconnect', () => process.exit(0))
process.send('ready')
