/** G05: a form is worth what its session is worth when it has been read, and not when it began to come. */
import { connect } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sessionTag } from '../../src/lib/audit.ts'
import type { Browser } from '../support/browser.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost/'
const AUTH = 'http://authenticate.localhost'

let world: World
beforeAll(async () => {
  world = await createTestWorld({ routes: [{ from: 'http://app.localhost', allow_any_authenticated_user: true }] })
})
afterAll(() => world.close())

async function signedIn(): Promise<Browser> {
  const browser = world.browser()
  expect((await world.signIn(browser, APP, 'alice@example.com')).status).toBe(200)
  return browser
}

const tokenOn = async (browser: Browser, url: string): Promise<string> =>
  /name="csrf" value="([^"]+)"/.exec((await browser.ask(url)).body)?.[1] ?? ''

const idOf = (browser: Browser): string => browser.cookies.get('app.localhost')?.get('postern')?.split('.')[1] ?? ''

/** Sends the head of a form at the sign-in service, signs the browser out, and sends the form. */
async function sendAfterSignOut(browser: Browser, url: URL, fields: Record<string, string>): Promise<string> {
  const token = await tokenOn(browser, `${APP}.postern/sign_out`)
  const csrf = await tokenOn(browser, `${AUTH}/.postern/sign_out`)
  const body = new URLSearchParams({ csrf, ...fields }).toString()
  const [[name, value] = []] = [...(browser.cookies.get('authenticate.localhost') ?? [])]
  const socket = connect(world.port, '127.0.0.1')
  let answer = ''
  socket.on('data', (data: Buffer) => (answer += data.toString('latin1')))
  socket.write(
    [
      `POST ${url.pathname}${url.search} HTTP/1.1`,
      'Host: authenticate.localhost',
      'Connection: close',
      `Cookie: ${name}=${value}`,
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
      '\r\n',
    ].join('\r\n'),
  )
  const out = await browser.ask(`${APP}.postern/sign_out`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `csrf=${token}`,
  })
  expect(out.status).toBe(303)
  socket.write(body)
  await once(socket, 'close')
  return answer
}

test.each([
  ['everywhere', '/.postern/sign_out', () => ({ scope: 'everywhere' })],
  ['of one session', '/.postern/end_session', (other: Browser) => ({ session: sessionTag(idOf(other)) })],
])('a sign-out %s ends nothing any more', async (_, path, fields) => {
  const browser = await signedIn()
  const other = await signedIn()
  expect(await sendAfterSignOut(browser, new URL(path, AUTH), fields(other))).toMatch(/^HTTP\/1.1 303 /)
  expect((await other.ask(APP, { headers: { accept: 'application/json' } })).status).toBe(200)
})

test('a yes to a program is no yes: the person is asked to sign in', async () => {
  const browser = await signedIn()
  const query = new URLSearchParams({ code_challenge: 'c'.repeat(43), code_challenge_method: 'S256' })
  const address = new URL((await browser.ask(`${APP}.postern/api/v1/login?${query}`)).body.trim())
  const answer = await sendAfterSignOut(browser, address, { answer: 'allow' })
  expect(answer).toMatch(/^HTTP\/1.1 303 [^]*\r\nlocation: http:\/\/authenticate\.localhost\/\.postern\/sign_in\?/i)
  expect(world.log().filter(({ event }) => event === 'program-allowed')).toEqual([])
})
