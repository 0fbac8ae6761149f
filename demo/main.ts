/** `npm start`: the Okta emulator, two sample apps and Postern on the embedded store, in one terminal. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { fileURLToPath } from 'node:url'
import { DEMO, demoSeed } from '../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../emulator/okta/emulator.ts'
import { startSampleApps } from './apps.ts'

const PORTS = { postern: 8080, okta: 9001, engineering: 9101, everyone: 9102 }
const root = fileURLToPath(new URL('../..', import.meta.url))
const state = `${root}.postern/demo`

/** Kept between runs, so that whoever was signed in stays signed in. */
function sharedSecretFile(): string {
  const file = `${state}/shared-secret`
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
  return file
}

function writeConfig(): string {
  const file = `${state}/config.yaml`
  const template = readFileSync(`${root}demo/config.yaml`, 'utf8')
  const values: Readonly<Record<string, string>> = {
    ISSUER: `http://localhost:${PORTS.okta}`,
    CLIENT_ID: DEMO.clientId,
    CLIENT_SECRET: DEMO.clientSecret,
    API_TOKEN: DEMO.apiToken,
    SHARED_SECRET_FILE: sharedSecretFile(),
    STORE: `${state}/store`,
  }
  writeFileSync(file, template.replaceAll(/\{\{(\w+)\}\}/g, (_match, name: string) => values[name] ?? ''), { mode: 0o600 })
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

async function main(): Promise<void> {
  mkdirSync(state, { recursive: true, mode: 0o700 })
  const okta = await createOktaEmulator({ port: PORTS.okta, seed: demoSeed() })
  const apps = await startSampleApps({ ports: { engineering: PORTS.engineering, everyone: PORTS.everyone } })
  const postern = spawn(process.execPath, [`${root}dist/cmd/postern/main.js`, 'run', '--config', writeConfig()], { stdio: 'inherit' })
  const ended = new Promise<number>((resolve) => postern.once('exit', (code) => resolve(code ?? 1)))
  let stopping = false
  const stop = (): void => {
    stopping = true
    postern.kill('SIGTERM')
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    await untilAnswering(postern, `http://127.0.0.1:${PORTS.postern}/ping`)
    console.log(WELCOME)
  } catch (error) {
    if (!stopping) console.error(error instanceof Error ? error.message : error)
    stop()
  }
  const code = await ended
  await Promise.all([apps.close(), okta.close()])
  process.exitCode = stopping ? 0 : code
}

const WELCOME = `
  Postern is running.

    http://engineering.localhost:${PORTS.postern}   an app for the group Engineering
    http://everyone.localhost:${PORTS.postern}      an app for everyone who can sign in
    http://localhost:${PORTS.okta}/              the Okta emulator: change memberships, suspend people

  People (no password): alice (Engineering), bob (Sales), carol (suspended), dave (no group).

  Try: sign in as alice; open the second app; remove alice from Engineering at the emulator and reload
  within a minute; sign out at http://everyone.localhost:${PORTS.postern}/.postern/sign_out; come back as bob.

  Ctrl-C ends everything.
`

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
