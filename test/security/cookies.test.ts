/**
 * Section K on the running program: garbage is "signed out", never a 500 and never a look at the store; a cookie is
 * worth nothing on another host, after the sign-out (CVE-2024-21492 caddy-security), or as a bare id (Teleport's
 * app-session hijack); bombs end quickly; attributes of https and http (K05).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoSeed } from '../../emulator/okta/demo-seed.ts'
import { ADMIN, APP, createGauntlet, type Gauntlet, only } from '../support/gauntlet.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { createTestWorld } from '../support/world.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet()
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const value = (login: string) => (gauntlet.cookies[login] ?? '').replace('postern=', '')

async function expectSignedOut(...headers: readonly string[]): Promise<void> {
  const { statuses, received, lines } = await gauntlet.get('/user', ...headers)
  expect({ headers: headers.map((line) => line.slice(0, 200)), statuses, received }).toEqual({
    headers: headers.map((line) => line.slice(0, 200)),
    statuses: [401],
    received: [],
  })
  expect(only(lines)).toMatchObject({ decision: 'sign-in', reasons: ['user-unauthenticated'] })
  expect(only(lines)['user_id']).toBeUndefined()
}

describe('K01 K10 a session cookie that is not as we made it', () => {
  test('with any byte changed gets 401', async () => {
    const good = value('alice')
    for (let at = 0; at < good.length; at++) {
      await expectSignedOut(`Cookie: postern=${good.slice(0, at)}${good[at] === 'A' ? 'B' : 'A'}${good.slice(at + 1)}`)
    }
  })

  test('made of two halves, an id alone, another name, quotes or another encoding gets 401', async () => {
    const [version, id, mac] = value('alice').split('.')
    const [, otherId, otherMac] = value('bob').split('.')
    for (const cookie of [
      `postern=${version}.${id}.${otherMac}`,
      `postern=${version}.${otherId}.${mac}`,
      `postern=${id}`,
      `postern=${version}.${id}`,
      `postern=${version}.${id}.`,
      `postern=.${id}.${mac}`,
      `Postern=${value('alice')}`,
      `_pomerium=${value('alice')}`,
      `postern-nonce.x=${value('alice')}`,
      `postern-sign-in.x=${value('alice')}`,
      `postern="${value('alice')}"`,
      `postern=${encodeURIComponent(value('alice')).replaceAll('.', '%2E')}`,
      `postern=${Buffer.from(value('alice')).toString('base64')}`,
      `postern=${value('alice')}${value('alice')}`,
      `postern=${value('alice').replaceAll('.', ';')}`,
      'postern=',
      'postern',
      '=;=;;;=',
      'postern=\xff\xfe\x80',
      'postern=__proto__; __proto__=postern',
      'postern={"$gt":""}',
      `postern=${'A'.repeat(20_000)}`,
    ]) {
      await expectSignedOut(`Cookie: ${cookie}`)
    }
  })

  test('in a query, a header or a body gets 401', async () => {
    const token = value('alice')
    await expectSignedOut(`Authorization: Bearer ${token}`)
    await expectSignedOut(`Authorization: Postern ${token}`)
    await expectSignedOut(`X-Postern-Jwt-Assertion: ${token}`)
    expect((await gauntlet.get(`/user?postern=${token}&session=${token}`)).statuses).toEqual([401])
    // It is in the log now, as the path's query never is.
    expect(gauntlet.world.logText()).not.toContain(token)
  })

  test('behind forged ones still counts; of two good ones the first counts', async () => {
    const planted = Array.from({ length: 5 }, (_, i) => `postern=v1.${'A'.repeat(22)}.${String(i).repeat(43)}`).join(
      '; ',
    )
    const { received } = await gauntlet.get('/user', `Cookie: ${planted}; ${gauntlet.cookies['bob']}`)
    expect(only(received).values('x-postern-claim-email')).toEqual(['bob@example.com'])
    const both = await gauntlet.get('/user', `Cookie: ${gauntlet.cookies['bob']}; ${gauntlet.cookies['alice']}`)
    expect(only(both.received).values('x-postern-claim-email')).toEqual(['bob@example.com'])
    expect(only(both.lines)['email']).toBe('bob@example.com')
  })
})

describe('K03 a Cookie header that is too long or has too many cookies', () => {
  test.each([
    ['1 MiB in one cookie', `bomb=${'x'.repeat(1024 * 1024)}`],
    ['180 cookies of 4 KiB', Array.from({ length: 180 }, (_, i) => `bomb${i}=${'x'.repeat(4096)}`).join('; ')],
  ])('%s gets 431', async (_, cookie) => {
    const { statuses, received } = await gauntlet.get('/user', `Cookie: ${cookie}`)
    expect({ statuses, received }).toEqual({ statuses: [431], received: [] })
  })

  test('with 1,000 small cookies keeps the session', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => `c${i}=${i}`).join('; ')
    const { statuses } = await gauntlet.get('/user', `Cookie: ${many}; ${gauntlet.cookies['bob']}`)
    expect(statuses).toEqual([200])
    await expectSignedOut(`Cookie: ${Array.from({ length: 1000 }, () => 'postern=v1.x.y').join('; ')}`)
  })
})

describe('K06 K09 a session cookie used elsewhere or later', () => {
  test('on another host gets 401, in every spelling of the host', async () => {
    await expectSignedOut(`Host: ${ADMIN}`, `Cookie: ${gauntlet.cookies['alice']}`)
    const browser = gauntlet.world.browser()
    await gauntlet.world.signIn(browser, `http://${ADMIN}/`, 'alice@example.com')
    // The browser's own requests have left lines and requests behind: not of these bytes.
    const own = browser.cookies.get(ADMIN)?.get('postern')
    const auth = browser.cookies.get('authenticate.localhost')?.get('postern')
    await gauntlet.skip()
    expect((await gauntlet.get('/x', `Host: ${ADMIN}`, `Cookie: postern=${own}`)).statuses).toEqual([200])
    for (const foreign of [own, auth]) await expectSignedOut(`Cookie: postern=${foreign}`)
    expect((await gauntlet.get('/x', `Host: ${ADMIN}.`, `Cookie: postern=${own}`)).statuses).toEqual([200])
  })

  test('after its sign-out gets 401 on every host from the next request on', async () => {
    const { world } = gauntlet
    const browser = world.browser()
    await world.signIn(browser, `http://${APP}/user`, 'bob@example.com')
    const kept = browser.cookies.get(APP)?.get('postern')
    const page = await browser.ask(`http://${APP}/.postern/sign_out`)
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    const out = await browser.ask(`http://${APP}/.postern/sign_out`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${csrf}`,
    })
    expect(out.status).toBe(303)
    expect(browser.cookies.get(APP)?.has('postern')).toBe(false)
    await gauntlet.skip()
    await expectSignedOut(`Cookie: postern=${kept}`)
  })
})

describe('K05 attributes of our cookies of our cookies of our cookies', () => {
  const HTTPS = 'https://authenticate.corp.example'

  test('on https every cookie is __Host-, Secure, HttpOnly, Lax, Path=/, without a Domain, and ends with the session', async () => {
    const world = await createTestWorld({
      config: { authenticate_service_url: HTTPS, insecure_server: true },
      routes: [{ from: 'https://app.corp.example', allow_any_authenticated_user: true }],
      okta: { seed: demoSeed({ redirectUris: [`${HTTPS}/oauth2/callback`] }) },
    })
    const browser = world.browser()
    const lines: string[] = []
    const step = async (url: string | URL): Promise<URL> => {
      const answer = await browser.ask(url)
      lines.push(...(answer.headers['set-cookie'] ?? []))
      return new URL(answer.headers.location ?? '')
    }
    const authorize = await step(await step('https://app.corp.example/'))
    const callback = await signInWith(world.okta.url, authorize, 'alice@example.com')
    expect((await step(await step(callback))).href).toBe('https://app.corp.example/')

    const shape =
      /^__Host-postern(?:-(?:nonce|sign-in)\.[\w-]{12})?=[^;]*; Path=\/; Max-Age=(\d+); HttpOnly; Secure; SameSite=Lax$/
    const ages = lines.map((line) => Number(shape.exec(line)?.[1]))
    // nonce, waiting sign-in; spent and session at the service; spent and session at the application.
    expect(ages).toEqual([4200, 3600, 0, expect.closeTo(14 * 3600, -1), 0, expect.closeTo(14 * 3600, -1)])
    for (const age of ages) expect(age).toBeLessThanOrEqual(14 * 3600)
    for (const host of ['app.corp.example', 'authenticate.corp.example']) {
      expect([...(browser.cookies.get(host)?.keys() ?? [])]).toEqual(['__Host-postern'])
    }
    await world.close()
  })
})
