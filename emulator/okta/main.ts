/** The emulator as a process of its own, for benchmarks: `node dist/emulator/okta/main.js --size 100k --port 9001`. */
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { DEMO, demoSeed } from './demo-seed.ts'
import { createOktaEmulator, type OktaEmulatorOptions } from './emulator.ts'
import { generatedSeed } from './generate.ts'

const SIZES = ['demo', '1k', '20k', '100k'] as const
const PLANS = ['workforce', 'enterprise', 'integrator', 'off'] as const
const ROLES = ['SUPER_ADMIN', 'READ_ONLY_ADMIN'] as const

export const USAGE = `usage: main.js [--port 0] [--url ORIGIN] [--size ${SIZES.join('|')}]
  [--token SSWS-TOKEN] [--role ${ROLES.join('|')}] [--redirect-uri URI]… [--post-logout-redirect-uri URI]…
  [--rate-limits ${PLANS.join('|')}]
When it listens it prints one line of JSON: {"url", "port"}. The control API is below /control/ of that address.
`

/** What the arguments say, or a TypeError that says what is wrong with them. */
export function emulatorOptions(args: readonly string[]): OktaEmulatorOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: 'string', default: '0' },
      url: { type: 'string' },
      size: { type: 'string', default: 'demo' },
      token: { type: 'string', default: DEMO.apiToken },
      role: { type: 'string', default: 'SUPER_ADMIN' },
      'redirect-uri': { type: 'string', multiple: true },
      'post-logout-redirect-uri': { type: 'string', multiple: true },
      'rate-limits': { type: 'string', default: 'workforce' },
    },
  })
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new TypeError(`--port: ${values.port} is no port`)
  const base = {
    ...demoSeed({
      ...(values['redirect-uri'] && { redirectUris: values['redirect-uri'] }),
      ...(values['post-logout-redirect-uri'] && { postLogoutRedirectUris: values['post-logout-redirect-uri'] }),
    }),
    tokens: [
      {
        value: values.token,
        owner: 'service@example.com',
        role: oneOf('--role', values.role, ROLES),
      },
    ],
  }
  const size = oneOf('--size', values.size, SIZES)
  return {
    port,
    seed: size === 'demo' ? base : generatedSeed(size, base),
    rateLimits: oneOf('--rate-limits', values['rate-limits'], PLANS),
    ...(values.url !== undefined && { publicUrl: values.url }),
  }
}

/** Runs until SIGTERM or SIGINT. */
export async function main(...args: readonly string[]): Promise<void> {
  const emulator = await createOktaEmulator(emulatorOptions(args))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void emulator.close())
  process.stdout.write(`${JSON.stringify({ url: emulator.url, port: emulator.address.port })}\n`)
}

function oneOf<T extends string>(option: string, value: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === value)
  if (choice === undefined) throw new TypeError(`${option}: expected one of ${choices.join(', ')}, not ${value}`)
  return choice
}

if (process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === import.meta.url) {
  try {
    await main(...process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    process.exitCode = 2
  }
}
