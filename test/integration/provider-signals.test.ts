/** Identity providers that end sessions: everywhere, on every process, with the streams of them. */
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Browser } from '../support/browser.ts'
import { startHostileIdp } from './identity/hostile-idp.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const AUTH = 'http://authenticate.localhost'
const LOGIN = 'alice@example.com'
const STREAM = 'Bearer the-secret-of-the-stream'

let world: World
afterEach(() => world.close())

async function open(config: Readonly<Record<string, unknown>> = {}): Promise<void> {
  world = await createTestWorld({
    config,
    routes: [{ from: APP, allow_any_authenticated_user: true }],
    upstream(req, res) {
      if (req.url === '/events') res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
      else res.end('ok')
    },
  })
  world.okta.routeOutbound(AUTH, { host: '127.0.0.1', port: world.port })
}

async function signedIn(): Promise<Browser> {
  const browser = world.browser()
  expect((await world.signIn(browser, APP, LOGIN)).status).toBe(200)
  return browser
}

/** The same cookies at another process. */
function statusAt(port: number, browser: Browser): Promise<string> {
  return asked(port, browser, '/').then((text) => text.slice(9, 12))
}

function asked(port: number, browser: Browser, path: string, until?: string, onText?: (text: string) => void) {
  const cookie = [...(browser.cookies.get('app.localhost') ?? [])].map((pair) => pair.join('=')).join('; ')
  return new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1')
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: app.localhost\r\nconnection: close\r\naccept: */*\r\ncookie: ${cookie}\r\n\r\n`,
    )
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (until !== undefined && text.includes(until)) onText?.(text)
    })
    socket.on('close', () => resolve(text)).on('error', reject)
  })
}

function universalLogout(format: 'email' | 'iss_sub', server = 'org'): Promise<number | string> {
  const alice = world.okta.org.people.get(DEMO.people.alice)
  if (!alice) throw new Error('no alice')
  return world.okta.signals.universalLogout(alice, {
    endpoint: `${AUTH}/.postern/universal_logout`,
    clientId: DEMO.clientId,
    format,
    server,
  })
}

describe('Universal Logout of Okta', () => {
  test.each(['email', 'iss_sub'] as const)(
    'by %s ends every session of the person, on every process, and open streams',
    async (format) => {
      await open()
      const browser = await signedIn()
      const second = await signedIn()
      const bob = world.browser()
      await world.signIn(bob, APP, 'bob@example.com')
      const other = await world.another()
      expect(await statusAt(other.app.listener.address.port, browser)).toBe('200')
      let open2 = (): void => {}
      const opened = new Promise<void>((resolve) => (open2 = resolve))
      const stream = asked(other.app.listener.address.port, browser, '/events', 'data: 1', () => open2())
      await opened

      expect(await universalLogout(format)).toBe(204)
      expect(await statusAt(world.port, browser)).toBe('401')
      expect(await statusAt(world.port, second)).toBe('401')
      expect(await statusAt(world.port, bob)).toBe('200')
      // The stream on the other process ends with its session, which is unknown there from then on.
      await stream
      expect(await statusAt(other.app.listener.address.port, browser)).toBe('401')
      const ends = world.log().filter(({ event }) => event === 'session-end')
      expect(ends.map(({ reason }) => reason)).toEqual(['universal-logout', 'universal-logout'])
    },
  )

  test('of a custom authorization server is signed by that server, or by the org', async () => {
    await open()
    await world.restart({ idp_provider_url: `${world.okta.url}/oauth2/default` })
    world.okta.routeOutbound(AUTH, { host: '127.0.0.1', port: world.port })
    for (const server of ['default', 'org']) {
      const browser = await signedIn()
      expect(await universalLogout('iss_sub', server), server).toBe(204)
      expect(await statusAt(world.port, browser), server).toBe('401')
    }
  })

  test('of somebody who is unknown is 404', async () => {
    await open()
    expect(await universalLogout('email')).toBe(404)
  })
})

describe('shared signals of Okta', () => {
  test('a sign-out at Okta ends the sessions here', async () => {
    await open({ shared_signals: { authorization: STREAM } })
    const endpoint = `${AUTH}/.postern/ssf`
    const { signals, org } = world.okta
    signals.stream({ endpoint, audience: endpoint, authorization: STREAM })
    expect(await signals.verify('hello')).toBe(202)
    const browser = await signedIn()
    // Okta's events are of milliseconds: this one comes after the sign-in.
    await expect.poll(() => statusAt(world.port, browser)).toBe('200')
    org.note('user.session.end', DEMO.people.alice)
    await signals.settle()
    expect(signals.answers()).toEqual([202])
    expect(await statusAt(world.port, browser)).toBe('401')
    expect(world.log().find(({ msg }) => msg === 'the stream of shared signals works')).toBeDefined()
  })

  test('a factor that is reset ends them, too; one more factor does not', async () => {
    await open({ shared_signals: { authorization: STREAM } })
    const endpoint = `${AUTH}/.postern/ssf`
    const { signals, org } = world.okta
    signals.stream({ endpoint, audience: endpoint, authorization: STREAM })
    const browser = await signedIn()
    org.updatePerson(DEMO.people.alice, { secondFactor: true }, 'user.mfa.factor.activate')
    await signals.settle()
    expect(await statusAt(world.port, browser)).toBe('200')
    org.updatePerson(DEMO.people.alice, { secondFactor: false }, 'user.mfa.factor.deactivate')
    await signals.settle()
    expect(signals.answers()).toEqual([202, 202])
    expect(await statusAt(world.port, browser)).toBe('401')
  })

  test('a stream may call us by the origin of the sign-in service', async () => {
    await open({ shared_signals: { authorization: STREAM } })
    const to = { endpoint: `${AUTH}/.postern/ssf`, authorization: STREAM }
    world.okta.signals.stream({ ...to, audience: AUTH })
    expect(await world.okta.signals.verify('hello')).toBe(202)
    world.okta.signals.stream({ ...to, audience: APP })
    expect(await world.okta.signals.verify('hello')).toBe(400)
  })

  test('a transmitter at another address than the provider speaks of the provider’s people', async () => {
    // As a provider whose issuer ends in a slash, with an org beside it that speaks for it.
    const idp = await startHostileIdp()
    const issuer = `${idp.issuer}/`
    idp.behave({ metadata: (all) => ({ ...all, issuer }), claims: { iss: issuer, email: 'alice@example.com' } })
    world = await createTestWorld({
      config: {
        idp_provider: 'oidc',
        idp_provider_url: issuer,
        idp_client_id: 'postern',
        idp_service_account: undefined,
      },
      routes: [{ from: APP, allow_any_authenticated_user: true }],
    })
    const transmitter = world.okta.url
    await world.restart({ shared_signals: { authorization: STREAM, issuer: transmitter, audience: AUTH } })
    for (const sub_id of [
      { format: 'iss_sub', iss: transmitter, sub: '00u-alice' },
      { format: 'iss_sub', iss: issuer, sub: '00u-alice' },
      { format: 'email', email: 'Alice@example.com' },
    ]) {
      const browser = world.browser()
      const { url } = await browser.go(APP, ({ origin }) => origin === idp.issuer)
      idp.nonce = url.searchParams.get('nonce') ?? ''
      const query = new URLSearchParams({ code: 'the-code', state: url.searchParams.get('state') ?? '' })
      expect((await browser.go(`${AUTH}/oauth2/callback?${query}`)).status).toBe(200)
      const event = await world.okta.signals.sign(
        { typ: 'secevent+jwt' },
        {
          iss: transmitter,
          aud: AUTH,
          jti: JSON.stringify(sub_id),
          iat: Math.floor(Date.now() / 1000),
          sub_id,
          events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': {} },
        },
      )
      const told = await world.browser().ask(`${AUTH}/.postern/ssf`, {
        method: 'POST',
        headers: { authorization: STREAM, 'content-type': 'application/secevent+jwt' },
        body: event,
      })
      expect(told.status, told.body).toBe(202)
      expect(await statusAt(world.port, browser), JSON.stringify(sub_id)).toBe('401')
    }
    await idp.close()
  })

  test('nobody is heard where nothing is configured', async () => {
    await open()
    const endpoint = `${AUTH}/.postern/ssf`
    world.okta.signals.stream({ endpoint, audience: endpoint, authorization: STREAM })
    expect(await world.okta.signals.verify('hello')).toBe(404)
  })
})
