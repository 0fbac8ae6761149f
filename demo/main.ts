/** `npm start`: the Okta emulator, two sample apps and Postern on the embedded store, in one terminal. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { fileURLToPath } from 'node:url'
import { DEMO, demoSeed } from '../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../emulator/okta/emulator.ts'
import { ICON } from './app-assets.ts'
import { startSampleApps } from './apps.ts'
import { type DemoOptions, demoOptions, USAGE } from './options.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The demo ends at once when asked to: it does not wait for open event streams. */
const PATIENCE_MS = 3000

async function main(options: DemoOptions): Promise<void> {
  const { port, state } = options
  mkdirSync(state, { recursive: true, mode: 0o700 })
  const auth = `http://authenticate.localhost:${port}`
  const okta = await createOktaEmulator({
    port: options.oktaPort,
    seed: demoSeed({
      redirectUris: [`${auth}/oauth2/callback`],
      postLogoutRedirectUris: [`${auth}/.postern/signed_out`],
    }),
  }).catch(explainTakenPort)
  const apps = await startSampleApps({
    ports: { engineering: options.engineeringPort, everyone: options.everyonePort },
    postern: `http://127.0.0.1:${port}`,
  }).catch(explainTakenPort)
  const config = writeConfig(state, {
    PORT: String(port),
    ISSUER: okta.url,
    CLIENT_ID: DEMO.clientId,
    CLIENT_SECRET: DEMO.clientSecret,
    API_TOKEN: DEMO.apiToken,
    SHARED_SECRET_FILE: sharedSecretFile(state),
    STORE: `${state}/store`,
    REFRESH_INTERVAL: options.refreshInterval,
    LOGO: ICON,
    ENGINEERING: apps.urls.engineering,
    EVERYONE: apps.urls.everyone,
  })
  const postern = spawn(process.execPath, [`${root}dist/cmd/postern/main.js`, 'run', '--config', config], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const ended = new Promise<number>((resolve) => {
    postern.once('exit', (code) => resolve(code ?? 1))
    postern.once('error', () => resolve(1))
  })
  // Whatever ends this process ends Postern too.
  process.once('exit', () => postern.kill('SIGKILL'))

  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    postern.kill('SIGTERM')
    setTimeout(() => postern.kill('SIGKILL'), PATIENCE_MS).unref()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  try {
    await untilAnswering(postern, `http://127.0.0.1:${port}/ping`)
    if (!stopping) console.log(welcome(port, okta.url))
  } catch (error) {
    if (!stopping) console.error(error instanceof Error ? error.message : error)
    stop()
    process.exitCode = 1
  }
  const code = await ended
  await Promise.all([apps.close(), okta.close()])
  process.exitCode ??= stopping ? 0 : code
}

/** Kept between runs, so that people stay signed in. */
function sharedSecretFile(state: string): string {
  const file = `${state}/shared-secret`
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
  return file
}

function writeConfig(state: string, values: Readonly<Record<string, string>>): string {
  const file = `${state}/config.yaml`
  const template = readFileSync(`${root}demo/config.yaml`, 'utf8')
  const filled = template.replaceAll(/\{\{(\w+)\}\}/g, (_match, name: string) => values[name] ?? '')
  writeFileSync(file, filled, { mode: 0o600 })
  return file
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.setTimeout(1000, () => request.destroy())
    request.on('error', () => resolve(false))
  })
}

async function untilAnswering(child: ChildProcess, url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (child.exitCode !== null) throw new Error(`postern ended with exit code ${child.exitCode}`)
    if (await answers(url)) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${url} does not answer`)
}

function explainTakenPort(error: unknown): never {
  const { code, port } = error as NodeJS.ErrnoException & { readonly port?: number }
  if (code !== 'EADDRINUSE') throw error
  throw new Error(`port ${port} is taken: does another demo run here? Or choose other ports.\n\n${USAGE}`, {
    cause: error,
  })
}

function welcome(port: number, oktaUrl: string): string {
  return `
  Postern is running.

    http://engineering.localhost:${port}   an app for the group Engineering
    http://everyone.localhost:${port}      an app for everyone who can sign in
    http://authenticate.localhost:${port}  the portal: what whoever is signed in may open
    http://authenticate.localhost:${port}/.postern/status   how Postern is doing, for alice
    ${oktaUrl}/              the Okta emulator: change memberships, suspend people

  People (no password): alice (Engineering), bob (Sales), carol (suspended), dave (no group).

  Try: sign in as alice; open the second app; remove alice from Engineering at the emulator: within ten
  seconds she cannot open the first one any more; sign out at http://everyone.localhost:${port}/.postern/sign_out; come back as bob.

  Ctrl-C ends everything.
`
}

try {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) console.log(USAGE)
  else await main(demoOptions(args, `${root}.postern/demo`))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
