/** `postern login` and `postern curl` against a running Postern, with the real curl; the test is the browser. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signInProgram } from '../../cmd/postern/program-login.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Browser } from '../support/browser.ts'
import { cli } from '../support/cli.ts'
import { createTestWorld, listenOn, portOf, type World } from '../support/world.ts'

const folder = mkdtempSync(join(tmpdir(), 'postern-login-'))
const opened = join(folder, 'opened')
let world: World
let browser: Browser
let env: Record<string, string>
let origin: string

beforeAll(async () => {
  // What `postern login` starts instead of a browser: it writes down the address.
  const script = join(folder, 'browser')
  writeFileSync(script, `#!/bin/sh\nprintf %s "$1" > ${opened}.draft && mv ${opened}.draft ${opened}\n`)
  chmodSync(script, 0o755)
  env = { BROWSER: script, XDG_STATE_HOME: join(folder, 'state') }
  world = await createTestWorld({
    routes: [{ name: 'app', from: 'http://127.0.0.1', allow_any_authenticated_user: true }],
  })
  origin = `http://127.0.0.1:${world.port}`
  browser = world.browser()
  await world.signIn(browser, 'http://127.0.0.1/', 'alice@example.com')
})
afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The person answers on the page, and the browser goes where it is told. */
async function answer(what: 'allow' | 'deny'): Promise<string> {
  const address = await expect
    .poll(() => readFileSync(opened, 'utf8'), { timeout: 60_000 })
    .toMatch(/^http/)
    .then(() => readFileSync(opened, 'utf8'))
  rmSync(opened)
  const page = await browser.ask(address)
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  const posted = await browser.ask(address, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ csrf, answer: what }).toString(),
  })
  const back = String(posted.headers['refresh']).replace(/^0;url=/, '')
  // Somebody else on this machine guesses.
  expect((await fetch(back.replace(/state=[^&]*/, 'state=x'))).status).toBe(404)
  return (await fetch(back)).text()
}

test('a name below localhost is this machine, whatever its resolver says', async () => {
  const asked: unknown[] = []
  const server = createServer((request, response) => {
    asked.push(request.headers.host)
    response.writeHead(404).end()
  })
  const port = portOf(await listenOn(server))
  try {
    const application = `http://app.localhost:${port}`
    const signIn = signInProgram(application, { kind: 'copy', ask: async () => '' }, systemClock)
    await expect(signIn).rejects.toMatchObject({ code: 'ERR_USAGE' })
    expect(new Set(asked)).toEqual(new Set([`app.localhost:${port}`]))
  } finally {
    server.close()
  }
})

test('signs the terminal in, keeps the token for this user alone, and curl uses it', async () => {
  const ran = cli(['login', `${origin}/some/page`], { env })
  expect(await answer('allow')).toContain('close this window')
  const { exitCode, out, err } = await ran
  expect({ exitCode, out }).toEqual({ exitCode: 0, out: '' })
  expect(err).toContain(`signed in to ${origin}`)
  const tokens = join(folder, 'state', 'postern', 'tokens')
  const [file = ''] = readdirSync(tokens)
  expect(statSync(join(tokens, file)).mode & 0o777).toBe(0o600)
  expect(statSync(tokens).mode & 0o777).toBe(0o700)

  const output = join(folder, 'answer')
  expect(await cli(['curl', `${origin}/api?x=1`, '-s', '-o', output, '-d', 'body'], { env })).toMatchObject({
    exitCode: 0,
  })
  expect(JSON.parse(readFileSync(output, 'utf8'))).toMatchObject({
    method: 'POST',
    url: '/api?x=1',
    body: 'body',
    headers: { 'x-postern-claim-email': 'alice@example.com' },
  })

  chmodSync(join(tokens, file), 0o644)
  expect(await cli(['curl', origin], { env })).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining('postern login'),
  })
})

test('prints the token where it is asked to, and keeps nothing', async () => {
  const state = join(folder, 'other-state')
  const ran = cli(['login', origin, '--print'], { env: { ...env, XDG_STATE_HOME: state } })
  await answer('allow')
  const { out } = await ran
  expect(out).toMatch(/^psl_v1\.[\w-]{22}\.[\w-]{43}$/)
  expect(readdirSync(folder)).not.toContain('other-state')
  const asked = await fetch(`${origin}/`, { headers: { authorization: `Bearer ${out}` } })
  expect(asked.status).toBe(200)
})

test('takes a code that the person copies, where no browser is', async () => {
  const token = await signInProgram(
    origin,
    {
      kind: 'copy',
      async ask(url) {
        const page = await browser.ask(url)
        const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
        const posted = await browser.ask(url, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ csrf, answer: 'allow' }).toString(),
        })
        return ` ${/<code>([\w-]{43})<\/code>/.exec(posted.body)?.[1]}\n`
      },
    },
    systemClock,
  )
  const asked = await fetch(`${origin}/`, { headers: { authorization: `Bearer ${token.token}` } })
  expect(asked.status).toBe(200)
})

test('says that the person said no', async () => {
  const ran = cli(['login', origin], { env })
  await answer('deny')
  expect(await ran).toMatchObject({ exitCode: 1, err: expect.stringContaining('refused in the browser') })
})

test.each([
  ['login', 'http://app.corp.example/'],
  ['login', 'ftp://127.0.0.1/'],
  ['login', 'https://alice@127.0.0.1/'],
  ['login', 'app.corp.example'],
  ['curl', 'http://app.corp.example/'],
  ['curl', 'http://127.0.0.1:1/', 'https://evil.test/'],
  ['curl', 'http://127.0.0.1:1/', '--url', 'http://127.0.0.1:2/'],
  ['curl', 'http://127.0.0.1:1/', '-x', 'http://127.0.0.1@evil.test/'],
  // What browsers and curl read in different ways.
  ['login', 'http://127.0.0.1:1\\@127.0.0.1:2/'],
  ['curl', 'http://127.0.0.1:1\\@127.0.0.1:2/'],
  ['curl', 'http:127.0.0.1:1/'],
  ['curl', 'http://127.0.0.1:1/', 'http://127.0.0.1:1\\@127.0.0.1:2/'],
  ['curl', 'http://127.0.0.1:1/', 'http:/127.0.0.1:2/'],
])('refuses %s %s %s', async (...args) => {
  expect((await cli(args, { env })).exitCode).toBe(2)
})

test('says that there is no Postern, or no answer', async () => {
  expect(await cli(['login', world.okta.url], { env })).toMatchObject({
    exitCode: 2,
    err: expect.stringContaining('not the address of an application behind Postern'),
  })
  expect(await cli(['login', 'http://127.0.0.1:1'], { env })).toMatchObject({ exitCode: 4 })
})
